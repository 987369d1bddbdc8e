"""Values of a header, taken from its raw bytes: an odd value is an absent one, never an error, and no library's warning
quotes a patient.

Reading raw also spares a series of 300 images the conversion of attributes that nobody asks for.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

_LARGEST_INTEGER = 2**31 - 1  # of an Integer String (PS3.5 6.2)


class Attributes:
    """One level of a data set: its top, or an item of a sequence. ``encodings``: those of the level above it."""

    def __init__(self, dataset: Dataset, encodings: Sequence[str] | None = None) -> None:
        self._dataset = dataset
        self._encodings = encodings if encodings is not None else convert_encodings(
            [part.strip() for part in self.text(0x00080005).split("\\")])

    def raw(self, tag: int) -> bytes:
        """The value as it stands; empty where the attribute is absent or a sequence."""
        element = self._element(tag)
        return b"" if element is None else element.value or b""

    def text(self, tag: int) -> str:
        """A value of the default repertoire (UI, CS, DA, TM, AS, DS, IS)."""
        return self.raw(tag).decode("latin-1").strip("\0 ")

    def person(self, tag: int) -> str:
        return decode_bytes(self.raw(tag), self._encodings, PN_DELIMS).strip("\0 ")

    def words(self, tag: int) -> str:
        """A value of the data set's own character set (LO, SH)."""
        return decode_bytes(self.raw(tag), self._encodings, TEXT_VR_DELIMS).strip("\0 ")

    def code_strings(self, tag: int) -> tuple[str, ...]:
        text = self.text(tag).upper()
        return tuple(part.strip() for part in text.split("\\")) if text else ()

    def integer(self, tag: int) -> int | None:
        """An Integer String."""
        number = self.decimal(tag)
        return int(number) if number is not None and number == int(number) and abs(number) <= _LARGEST_INTEGER else None

    def decimal(self, tag: int) -> float | None:
        numbers = self.decimals(tag)
        return numbers[0] if numbers else None

    def decimals(self, tag: int) -> tuple[float, ...]:
        """Decimal Strings; empty where one of them is no finite number."""
        text = self.text(tag)
        if not text or "_" in text:
            return ()
        try:
            numbers = tuple(float(part) for part in text.split("\\"))
        except ValueError:
            return ()
        return numbers if all(math.isfinite(number) for number in numbers) else ()

    def double(self, tag: int) -> float | None:
        """The first Floating Point Double; None where it is absent or no finite number."""
        element = self._element(tag)
        if element is None or len(element.value or b"") < 8:
            return None
        value: float = struct.unpack_from("<d" if element.is_little_endian else ">d", element.value or b"")[0]
        return value if math.isfinite(value) else None

    def unsigned_short(self, tag: int) -> int:
        """0 where the attribute is absent."""
        return next(iter(self._unsigned(tag, "H")), 0)

    def unsigned_shorts(self, tag: int) -> tuple[int, ...]:
        """Of a value of several; an attribute tag (AT) is two."""
        return self._unsigned(tag, "H")

    def unsigned_longs(self, tag: int) -> tuple[int, ...]:
        return self._unsigned(tag, "I")

    def items(self, tag: int) -> tuple[Attributes, ...]:
        """The items of a sequence; none where it is absent, or no sequence.

        Raises: what pydicom raises of a sequence that cannot be read (:data:`~vigil.intake.part10.PARSER_ERRORS`).
        """
        if BaseTag(tag) not in self._dataset:
            return ()
        value = self._dataset[tag].value
        return tuple(Attributes(item, self._encodings) for item in value) if isinstance(value, Items) else ()

    def _unsigned(self, tag: int, form: str) -> tuple[int, ...]:
        element = self._element(tag)
        if element is None:
            return ()
        value = element.value or b""
        order, count = "<" if element.is_little_endian else ">", len(value) // struct.calcsize(form)
        return struct.unpack_from(f"{order}{count}{form}", value)

    def _element(self, tag: int) -> RawDataElement | None:
        try:
            element = self._dataset.get_item(BaseTag(tag))
        except KeyError:
            return None
        return element if isinstance(element, RawDataElement) else None
