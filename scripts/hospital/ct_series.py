"""Wraps a volume of Hounsfield units as a DICOM CT series, with the headers that a scanner writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


@dataclass(frozen=True)
class Patient:
    """A patient who is plainly a test."""

    name: str = "Vigil^Test"
    patient_id: str = "VIGIL-TEST-1"
    issuer: str = "VIGIL-TEST"
    birth_date: str = "19700101"
    sex: str = "O"
    age: str = "056Y"
    character_set: str = "ISO_IR 192"


@dataclass(frozen=True)
class Acquisition:
    """How the series was made. ``orientation``: row and column direction cosines; ``origin_mm``: centre of the first voxel
    of the first slice; slices follow the cross product of the two directions. ``seed`` makes the UIDs."""

    seed: str
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    orientation: tuple[float, float, float, float, float, float] = (1, 0, 0, 0, 1, 0)
    study_seed: str | None = None
    series_number: int = 2
    series_description: str = "HEAD 1.5 H30s"
    study_description: str = "CT HEAD WITHOUT CONTRAST"
    body_part: str = "HEAD"
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "AXIAL")
    accession: str = "ACC-1"
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC).replace(microsecond=0))
    declare_images: bool = False
    drift: tuple[float, float] = (0.0, 0.0)
    """Of a tilted gantry: by how many mm a slice lies further along row and column direction for each mm along the normal."""


def ct_series(hu: NDArray[np.number], acquisition: Acquisition, patient: Patient = Patient()) -> Iterator[Dataset]:
    """One data set a slice, in the order of the array: ``hu`` is [slice, row, column], stored with intercept -1024."""
    stored = np.clip(np.rint(hu + 1024.0), 0, 4095).astype("<u2")
    for ds in plain_slices(stored, acquisition, patient):
        ds.ImageType = list(acquisition.image_type)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
        ds.Modality = "CT"
        ds.StationName = "CT1"
        ds.KVP = "120"
        ds.ProtocolName = "Head routine"
        ds.ConvolutionKernel = "H30s"
        ds.WindowCenter, ds.WindowWidth = "40", "80"
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
        yield ds


def plain_slices(stored: NDArray[np.uint16], acquisition: Acquisition, patient: Patient) -> Iterator[Dataset]:
    """What the images of any scanner have: ``stored`` is [slice, row, column], 12 bits. Modality and SOP class are the
    caller's."""
    slices, rows, columns = stored.shape
    spacing = acquisition.spacing_mm
    row, column = np.array(acquisition.orientation[:3]), np.array(acquisition.orientation[3:])
    normal = np.cross(row, column)
    study_seed = acquisition.study_seed or acquisition.seed
    date, time = acquisition.started.strftime("%Y%m%d"), acquisition.started.strftime("%H%M%S")
    for index in range(slices):
        step = normal + acquisition.drift[0] * row + acquisition.drift[1] * column
        position = np.array(acquisition.origin_mm) + step * spacing[0] * index
        ds = Dataset()
        ds.SpecificCharacterSet = patient.character_set
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[acquisition.seed, "instance", str(index)])
        ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = date
        ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = time
        ds.TimezoneOffsetFromUTC = "+0000"
        ds.AccessionNumber = acquisition.accession
        ds.Manufacturer = "Vigil test scanner"
        ds.ManufacturerModelName = "Phantom"
        ds.InstitutionName = "Test Hospital"
        ds.ReferringPhysicianName = "Referrer^Rita"
        ds.StudyDescription = acquisition.study_description
        ds.SeriesDescription = acquisition.series_description
        ds.PatientName = patient.name
        ds.PatientID = patient.patient_id
        ds.IssuerOfPatientID = patient.issuer
        ds.PatientBirthDate = patient.birth_date
        ds.PatientSex = patient.sex
        ds.PatientAge = patient.age
        ds.BodyPartExamined = acquisition.body_part
        ds.SliceThickness = _decimal(spacing[0])
        ds.SoftwareVersions = "1"
        ds.PatientPosition = "HFS"
        ds.StudyInstanceUID = generate_uid(entropy_srcs=[study_seed, "study"])
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=[acquisition.seed, "series"])
        ds.StudyID = "1"
        ds.SeriesNumber = acquisition.series_number
        ds.AcquisitionNumber = 1
        ds.InstanceNumber = index + 1
        if acquisition.declare_images:
            ds.ImagesInAcquisition = slices
        ds.ImagePositionPatient = [_decimal(value) for value in position]
        ds.ImageOrientationPatient = [_decimal(value) for value in acquisition.orientation]
        ds.FrameOfReferenceUID = generate_uid(entropy_srcs=[study_seed, "frame of reference"])
        ds.PositionReferenceIndicator = ""
        ds.SliceLocation = _decimal(float(position @ normal))
        ds.SamplesPerPixel = 1
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.Rows, ds.Columns = rows, columns
        ds.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[2])]
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
        ds.PixelRepresentation = 0
        ds.PixelData = stored[index].tobytes()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        yield ds


def dicom_bytes(dataset: Dataset) -> bytes:
    """The data set as a DICOM file (PS3.10)."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _decimal(value: float) -> str:
    """A Decimal String of at most 16 characters (PS3.5 6.2)."""
    return f"{value:.6f}".rstrip("0").rstrip(".") or "0"
