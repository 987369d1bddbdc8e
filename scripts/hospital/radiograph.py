"""A projection image, as a digital detector writes it: a plane without a place in the patient."""

from __future__ import annotations

import datetime as dt
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from hospital.ct_series import Patient, dicom_bytes

STARTED = dt.datetime(2025, 3, 14, 9, 30, tzinfo=dt.UTC)


def radiograph(
    values: NDArray[np.float32], *, patient: Patient, mammogram: bool = False, inverted: bool = False,
    started: dt.datetime = STARTED, seed: str = "",
) -> Dataset:  # fmt: skip
    """A plane of 12 bits as a DX image, or as a mammogram; ``inverted``: as MONOCHROME1, where much is dark."""
    seed = f"radiograph{seed} {values.shape} {mammogram} {patient.patient_id}"
    ds = Dataset()
    ds.SpecificCharacterSet = patient.character_set
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = patient.name, patient.patient_id, patient.issuer
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = patient.birth_date, patient.sex, patient.age
    ds.SOPClassUID = (
        DigitalMammographyXRayImageStorageForPresentation if mammogram else DigitalXRayImageStorageForPresentation
    )
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[seed, "instance"])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[seed, "series"])
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[seed, "study"])
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = started.strftime("%Y%m%d")
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = started.strftime("%H%M%S")
    ds.TimezoneOffsetFromUTC = "+0000"
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "ACC-2", "Referrer^Rita"
    ds.SeriesNumber = ds.InstanceNumber = 1
    ds.Modality = "MG" if mammogram else "DX"
    ds.SeriesDescription = "Mammogram R MLO" if mammogram else "Chest PA"
    ds.StudyDescription = "MAMMOGRAPHY" if mammogram else "CHEST"
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "Vigil test scanner", "Phantom", "1"
    ds.BodyPartExamined = "BREAST" if mammogram else "CHEST"
    ds.ImageLaterality, ds.ViewPosition = ("R", "MLO") if mammogram else ("U", "PA")
    ds.PatientOrientation = ["P", "FL"] if mammogram else ["L", "F"]
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.ImagerPixelSpacing = ["0.07", "0.07"] if mammogram else ["0.14", "0.14"]
    ds.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    ds.WindowCenter, ds.WindowWidth = ("1800", "3000") if mammogram else ("1700", "3200")
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.BurnedInAnnotation, ds.LossyImageCompression = "NO", "00"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME1" if inverted else "MONOCHROME2"
    ds.Rows, ds.Columns = values.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = np.rint(values).astype("<u2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return dcmread(BytesIO(dicom_bytes(ds)))
