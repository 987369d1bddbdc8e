"""The Modality LUT (PS3.3 C.11.1): stored values to values by a table, where a line (slope and intercept) will not do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from vigil.imaging.errors import UnreadablePixels
from vigil.intake.part10 import PARSER_ERRORS

_SEQUENCE, _DESCRIPTOR, _TYPE, _DATA = 0x00283000, 0x00283002, 0x00283004, 0x00283006


@dataclass(frozen=True, eq=False)
class ModalityTable:
    """``first``: the stored value that ``values[0]`` stands for; below it the first value holds, beyond the table the last.
    ``unit``: Modality LUT Type: HU, OD, US (unspecified)."""

    first: int
    values: NDArray[np.uint16]
    unit: str

    def apply(self, stored: NDArray[np.integer]) -> NDArray[np.integer]:
        indices = np.clip(stored.astype(np.int32) - self.first, 0, len(self.values) - 1)
        looked_up: NDArray[np.integer] = self.values[indices]
        return looked_up


def read_modality_table(dataset: Dataset, *, signed: bool, big_endian: bool = False) -> ModalityTable | None:
    """None where the image has none. ``signed``: whether its stored values are.

    Raises: UnreadablePixels where it cannot be read: without it the values mean nothing.
    """
    if _SEQUENCE not in dataset:
        return None
    try:
        items = dataset[_SEQUENCE].value
        if not items:
            return None
        item = items[0]
        entries, first, bits = (int(number) for number in item[_DESCRIPTOR].value)
        values = _words(item[_DATA].value, bits, big_endian=big_endian)
        unit = str(item[_TYPE].value) if _TYPE in item else ""
    except PARSER_ERRORS as error:
        raise UnreadablePixels(f"the image's Modality LUT cannot be read ({type(error).__name__}); send it again") from None
    count = (entries & 0xFFFF) or 1 << 16
    if len(values) < count:
        raise UnreadablePixels(f"the image's Modality LUT has {len(values)} of {count} entries; send it again")
    first &= 0xFFFF
    return ModalityTable(first - 0x10000 if signed and first >= 0x8000 else first, values[:count], unit)


def _words(data: bytes | int | Sequence[int], bits: int, *, big_endian: bool) -> NDArray[np.uint16]:
    """LUT Data is OW, or US of any number of values. Tables of 8 bits may be packed two entries a word (PS3.3 C.11.1.1.1)."""
    if isinstance(data, bytes):
        word = ">u2" if big_endian else "<u2"
        return np.frombuffer(data, "u1" if bits == 8 else word).astype(np.uint16)
    return np.atleast_1d(np.asarray(data)).astype(np.uint16)
