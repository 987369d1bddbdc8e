"""The frames of a segmentation as bytes: bits, numbers of segments, or shares (PS3.3 C.8.20.2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from vigil.results.options import SegmentationKind
from vigil.results.segments import Segment

Frame = tuple[Segment | None, int]
"""A segment and the index of a slice; of a label map, whose frames hold all segments, None."""

WHOLE = 255


def describe_pixels(ds: Dataset, kind: SegmentationKind) -> None:
    """Segmentation Type, and what of Image Pixel depends on it."""
    ds.SegmentationType = kind.value.upper()
    bits = 1 if kind is SegmentationKind.BINARY else 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, 0
    if kind is SegmentationKind.FRACTIONAL:
        ds.SegmentationFractionalType = "OCCUPANCY"
        ds.MaximumFractionalValue = WHOLE
    if kind is SegmentationKind.LABELMAP:
        ds.add_new("PixelPaddingValue", "US", 0)  # what belongs to no segment


def pixel_bytes(shown: Sequence[Segment], kind: SegmentationKind, frames: Sequence[Frame]) -> bytes:
    if kind is SegmentationKind.LABELMAP:
        pixels = b"".join(_labels(shown, index).tobytes() for _, index in frames)
    else:
        planes = [segment.mask[index] for segment, index in frames if segment is not None]
        if kind is SegmentationKind.FRACTIONAL:
            pixels = b"".join((plane * np.uint8(WHOLE)).tobytes() for plane in planes)
        else:
            pixels = _packed(planes)
    return pixels + b"\0" * (len(pixels) % 2)


def _labels(shown: Sequence[Segment], index: int) -> NDArray[np.uint8]:
    labels = np.zeros(shown[0].mask.shape[1:], np.uint8)
    for segment in shown:
        labels[segment.mask[index]] = segment.number
    return labels


def _packed(planes: Sequence[NDArray[np.bool_]]) -> bytes:
    """As bits, the first pixel in the lowest, one frame right behind the other (PS3.5 8.1.1, annex D).

    Eight at a time, which always fill whole bytes: a copy of the whole mask would cost its size again."""
    remaining = iter(planes)
    parts = []
    while eight := list(islice(remaining, 8)):
        parts.append(np.packbits(np.stack(eight), bitorder="little").tobytes())
    return b"".join(parts)
