"""MONOCHROME1 turned over: where low values are shown bright, so that a network sees bright what a reader sees bright."""

from __future__ import annotations

from pydicom import Dataset

from vigil.imaging.volume import Volume
from vigil.intake.attributes import Attributes


def low_is_dark(volume: Volume, source: Dataset) -> Volume:
    """The volume itself where low values are dark already. Turned over within the range that the image's stored bits have, so
    that one grey value is the same number in every image of a detector."""
    header = Attributes(source)
    if header.text(0x00280004) != "MONOCHROME1":
        return volume
    bits, signed = header.unsigned_short(0x00280101), header.unsigned_short(0x00280103) == 1
    lowest = -(1 << bits - 1) if signed else 0
    highest = lowest + (1 << bits) - 1
    slope, intercept = header.decimal(0x00281053), header.decimal(0x00281052) or 0.0
    both = (lowest + highest) * (1.0 if slope is None else slope) + 2 * intercept
    return Volume(both - volume.voxels, volume.affine)
