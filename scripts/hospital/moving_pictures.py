"""Images without a place in the patient: film loops (XA, US), photographs and secondary captures, grey or in colours."""

from __future__ import annotations

import datetime as dt
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    XRayAngiographicImageStorage,
    generate_uid,
)

from hospital.ct_series import Patient, dicom_bytes

CLASSES = {
    ("US", False): UltrasoundImageStorage, ("US", True): UltrasoundMultiFrameImageStorage,
    ("XA", False): XRayAngiographicImageStorage, ("XA", True): XRayAngiographicImageStorage,
    ("OT", False): SecondaryCaptureImageStorage,
}


def moving_picture(
    values: NDArray[np.uint8], modality: str, seed: str, *, body_part: str = "HEART", patient: Patient | None = None,
    started: dt.datetime | None = None, **changes: Any,
) -> Dataset:
    """``values``: [frame, row, column], or [frame, row, column, 3] in RGB; of one frame an image that is no loop."""
    frames, rows, columns, *colours = values.shape
    patient = patient or Patient(patient_id=f"VIGIL-{seed}"[:64])
    started = started or dt.datetime.now(dt.UTC).replace(microsecond=0)
    ds = Dataset()
    ds.SpecificCharacterSet = patient.character_set
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = patient.name, patient.patient_id, patient.issuer
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = patient.birth_date, patient.sex, patient.age
    ds.SOPClassUID = CLASSES[modality, frames > 1]
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[seed, "instance"])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[seed, "series"])
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[seed, "study"])
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = started.strftime("%Y%m%d")
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = started.strftime("%H%M%S")
    ds.TimezoneOffsetFromUTC = "+0000"
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", f"ACC-{seed}"[:16], "Referrer^Rita"
    ds.SeriesNumber = ds.InstanceNumber = 1
    ds.Modality, ds.BodyPartExamined = modality, body_part
    ds.StudyDescription, ds.SeriesDescription = f"{modality} {body_part}", "Loop" if frames > 1 else "Picture"
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "Vigil test scanner", "Phantom", "1"
    ds.ImageType = ["DERIVED", "SECONDARY"] if modality == "OT" else ["ORIGINAL", "PRIMARY"]
    ds.PatientOrientation = ""
    ds.SamplesPerPixel = 3 if colours else 1
    ds.PhotometricInterpretation = "RGB" if colours else "MONOCHROME2"
    if colours:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    if frames > 1:
        ds.NumberOfFrames, ds.FrameTime = frames, "40"
        ds.FrameIncrementPointer = 0x00181063
    if modality == "XA":
        ds.PixelIntensityRelationship, ds.ImagerPixelSpacing = "LOG", ["0.3", "0.3"]
    ds.BurnedInAnnotation, ds.LossyImageCompression = "NO", "00"
    ds.PixelData = np.ascontiguousarray(values).tobytes()
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return dcmread(BytesIO(dicom_bytes(ds)))
