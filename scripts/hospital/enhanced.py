"""The slices of a series as one enhanced multi-frame CT, as newer scanners write it (PS3.3 A.38)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedCTImageStorage, generate_uid

from hospital.ct_series import dicom_bytes

_MOVED = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SliceLocation", "WindowCenter",
    "WindowWidth", "RescaleIntercept", "RescaleSlope", "RescaleType",
)  # fmt: skip
_TEMPORAL_POSITION, _POSITION = 0x00209128, 0x00200032
_FRAME_CONTENT, _PLANE_POSITION = 0x00209111, 0x00209113


@dataclass(frozen=True)
class Part:
    """One of several instances into which a multi-frame image was cut. ``total``: None where the scanner does not say."""

    number: int
    total: int | None


def enhanced_ct(slices: Sequence[Dataset], *, phases: Sequence[int] = (), part: Part | None = None) -> Dataset:
    """The same series as one multi-frame image: what stands at the top of a slice lies in functional groups. ``phases``: the
    temporal position of each slice, where there are several."""
    first = slices[0]
    ds = dcmread(BytesIO(dicom_bytes(first)))
    for keyword in (*_MOVED, "ConvolutionKernel", "KVP"):
        del ds[keyword]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.InstanceNumber, ds.NumberOfFrames = 1 if part is None else part.number, len(slices)
    orientation, measures, window, rescale, shared = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = first.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = first.PixelSpacing, first.SliceThickness
    window.WindowCenter, window.WindowWidth = first.WindowCenter, first.WindowWidth
    rescale.RescaleIntercept, rescale.RescaleSlope, rescale.RescaleType = "-1024", "1", "HU"
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.FrameVOILUTSequence, shared.PixelValueTransformationSequence = [window], [rescale]
    ds.SharedFunctionalGroupsSequence = [shared]
    ranks = phases or [1] * len(slices)
    ds.DimensionIndexSequence = [_dimension(_TEMPORAL_POSITION, _FRAME_CONTENT), _dimension(_POSITION, _PLANE_POSITION)]
    ds.PerFrameFunctionalGroupsSequence = Items(
        _frame(source, rank, phase if phases else None) for rank, (source, phase) in enumerate(zip(slices, ranks, strict=True), 1)
    )
    if part is not None:
        ds.ConcatenationUID = generate_uid(entropy_srcs=[str(first.SeriesInstanceUID), "concatenation"])
        ds.InConcatenationNumber = part.number
        if part.total is not None:
            ds.InConcatenationTotalNumber = part.total
    ds.PixelData = b"".join(source.PixelData for source in slices)
    return dcmread(BytesIO(dicom_bytes(ds)))


def _frame(source: Dataset, rank: int, phase: int | None) -> Dataset:
    position, content, groups = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = source.ImagePositionPatient
    content.DimensionIndexValues, content.StackID, content.InStackPositionNumber = [phase or 1, rank], "1", rank
    if phase is not None:
        content.TemporalPositionIndex = phase
    groups.PlanePositionSequence, groups.FrameContentSequence = [position], [content]
    return groups


def _dimension(pointer: int, group: int) -> Dataset:
    item = Dataset()
    item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
    return item
