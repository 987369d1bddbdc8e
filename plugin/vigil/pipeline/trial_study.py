"""The source images of a trial: a synthetic phantom of a patient who is plainly none, with new UIDs each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from math import pi
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from vigil.results.document import IMPLEMENTATION_CLASS_UID

SLICES, MATRIX = 24, 256
SPACING_MM = (6.0, 0.9, 0.9)
"""Of slices, rows and columns."""
AIR_HU, SHELL_HU, INSIDE_HU, BALL_HU = -1000.0, 900.0, 35.0, 70.0
HALF_AXES_MM = (66.0, 84.0, 68.0)
SHELL_MM = 6.0
BALL_ML = 20.0
BALL_AT_MM = (12.0, 16.0, -24.0)
"""Towards the head, the back and the right of the patient, from the middle."""
NOISE_HU = 4.0


@dataclass(frozen=True, eq=False)
class TrialStudy:
    """``files``: the images as DICOM files (PS3.10), in the order of the stack; ``headers``: the same without pixels, as they are
    read back. ``voxels`` [slice, row, column] in HU, ``ball``: where the ball is."""

    study_instance_uid: str
    files: tuple[bytes, ...]
    headers: tuple[Dataset, ...]
    voxels: NDArray[np.float32]
    ball: NDArray[np.bool_]


def make_trial_study(now: datetime, new_uuid: Callable[[], UUID]) -> TrialStudy:
    voxels, ball = _phantom()
    stored = np.asarray(np.rint(voxels + 1024.0), dtype="<u2")
    study, series, frame = (f"2.25.{new_uuid().int}" for _ in range(3))
    files = tuple(_file(_image(now, study, series, frame, f"2.25.{new_uuid().int}", index, stored[index]))
                  for index in range(SLICES))
    headers = tuple(dcmread(BytesIO(file), stop_before_pixels=True) for file in files)
    return TrialStudy(study, files, headers, np.asarray(stored, np.float32) - 1024.0, ball)


def _phantom() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """An ellipsoid in a shell, and a ball in it that is known to the millilitre."""
    z, y, x = (((np.arange(count, dtype=np.float32) + 0.5) - count / 2) * spacing
               for count, spacing in zip((SLICES, MATRIX, MATRIX), SPACING_MM, strict=True))
    place = (z[:, None, None], y[None, :, None], x[None, None, :])

    def ellipsoid(grow_mm: float) -> NDArray[np.bool_]:
        return np.asarray(sum((axis / (half + grow_mm)) ** 2 for axis, half in zip(place, HALF_AXES_MM, strict=True)) <= 1)

    radius_mm = (3 * BALL_ML * 1000 / (4 * pi)) ** (1 / 3)
    ball = np.asarray(sum((axis - at) ** 2 for axis, at in zip(place, BALL_AT_MM, strict=True)) <= radius_mm**2)
    voxels = np.full((SLICES, MATRIX, MATRIX), AIR_HU, np.float32)
    voxels[ellipsoid(SHELL_MM)] = SHELL_HU
    voxels[ellipsoid(0.0)] = INSIDE_HU
    voxels[ball] = BALL_HU
    voxels += np.random.default_rng(1).normal(0, NOISE_HU, voxels.shape).astype(np.float32)
    return np.maximum(voxels, -1024.0), ball


def _image(now: datetime, study: str, series: str, frame: str, instance: str, index: int,
           stored: NDArray[np.uint16]) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, instance
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = now.strftime("%Y%m%d")
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = now.strftime("%H%M%S")
    ds.TimezoneOffsetFromUTC = now.strftime("%z")
    ds.AccessionNumber = now.strftime("TEST%y%m%d%H%M%S")
    ds.Modality = "CT"
    ds.Manufacturer = "Vigil for Orthanc"
    ds.ManufacturerModelName = "Synthetic phantom"
    ds.ReferringPhysicianName = None
    ds.StudyDescription = "VIGIL TEST - NOT A PATIENT"
    ds.SeriesDescription = "Synthetic phantom, source images"
    ds.PatientName = "VIGIL^TEST RESULT"
    ds.PatientID = now.strftime("VIGIL-TEST-%Y%m%d%H%M%S")
    ds.IssuerOfPatientID = "VIGIL-TEST"
    ds.PatientBirthDate, ds.PatientSex = "19000101", "O"
    ds.QualityControlSubject = "YES"
    ds.PatientComments = "A synthetic phantom, sent to test the way of results. Delete it at will."
    ds.BodyPartExamined, ds.Laterality = "PHANTOM", None  # no model's scope: should it come back, nobody is alarmed
    ds.SliceThickness = f"{SPACING_MM[0]:g}"
    ds.KVP = None
    ds.PatientPosition = "HFS"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
    ds.StudyID, ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = "1", 1, 1, index + 1
    half_mm = (MATRIX / 2 - 0.5) * SPACING_MM[1]
    ds.ImagePositionPatient = [f"{-half_mm:g}", f"{-half_mm:g}", f"{(index - SLICES / 2 + 0.5) * SPACING_MM[0]:g}"]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.PositionReferenceIndicator = None
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.PixelSpacing = [f"{SPACING_MM[1]:g}", f"{SPACING_MM[2]:g}"]
    # All 16 bits: they go through every lossless encoding
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.WindowCenter, ds.WindowWidth = "40", "80"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    ds.add_new("PixelData", "OW", stored.tobytes())
    return ds


def _file(ds: Dataset) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()
