"""Objects such as the results are, to be sent: colour captures, a binary and a labelled segmentation, text."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)

from vigil.delivery.dicom import OutgoingObject


def picture(rows: int = 61, columns: int = 83, seed: int = 1) -> NDArray[np.uint8]:
    """[row, column, 3]: flat, noisy and sharp parts, of odd size, so that padding and row ends are met."""
    made = np.zeros((rows, columns, 3), np.uint8)
    made[10:40, 5:60] = np.random.default_rng(seed).integers(0, 255, (30, 55, 3))
    made[45:, :] = (255, 222, 50)
    return made


def capture(rgb: NDArray[np.uint8], seed: str = "capture") -> Dataset:
    ds = _plain(SecondaryCaptureImageStorage, seed)
    ds.Modality, ds.ConversionType = "OT", "WSD"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.Rows, ds.Columns = rgb.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.LossyImageCompression = "00"
    pixels = rgb.tobytes()
    ds.add_new(0x7FE00010, "OB", pixels + b"\0" * (len(pixels) % 2))
    return ds


def grey(values: NDArray[np.unsignedinteger], seed: str = "grey") -> Dataset:
    """``values``: [frame, row, column], of 8 or 16 bits."""
    ds = _plain(SecondaryCaptureImageStorage, seed)
    ds.Modality, ds.ConversionType = "OT", "WSD"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.NumberOfFrames, ds.Rows, ds.Columns = values.shape
    bits = values.dtype.itemsize * 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, 0
    pixels = values.tobytes()
    ds.add_new(0x7FE00010, "OW" if bits == 16 else "OB", pixels + b"\0" * (len(pixels) % 2))
    return ds


def binary_segmentation(frames: int = 4) -> Dataset:
    ds = _plain(SegmentationStorage, f"segmentation {frames}")
    ds.Modality, ds.SegmentationType = "SEG", "BINARY"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames, 16, 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 1, 1, 0, 0
    ds.add_new(0x7FE00010, "OB", b"\x0f\xf0" * (frames * 16))
    return ds


def report() -> Dataset:
    ds = _plain(Comprehensive3DSRStorage, "report")
    ds.Modality, ds.CompletionFlag, ds.VerificationFlag = "SR", "COMPLETE", "UNVERIFIED"
    return ds


def outgoing(ds: Dataset) -> OutgoingObject:
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return OutgoingObject(str(ds.SOPClassUID), str(ds.SOPInstanceUID), buffer.getvalue())


def _plain(sop_class: UID, seed: str) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["encoded", seed])
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["encoded study"])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["encoded series", str(sop_class)])
    ds.PatientName, ds.PatientID = "Vigil^Test", "VIGIL-TEST-1"
    ds.StudyDate, ds.StudyTime = "20261122", "203000"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    return ds
