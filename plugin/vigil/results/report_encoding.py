"""Encodes a report fast.

A content tree repeats few codes and one description of the algorithm in thousands of places. pydicom writes each anew, and
before it does so it searches every subtree for values of ambiguous representation, of which a report has none: together
that takes longer than making the tree.
"""

from __future__ import annotations

from pydicom import Dataset
from pydicom.charset import convert_encodings
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence_item
from pydicom.tag import BaseTag

_VALUE, _SCHEME, _MEANING = (
    BaseTag(tag_for_keyword(keyword) or 0) for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
)
_PLAIN_CODE = {_VALUE, _SCHEME, _MEANING}
_EXPLICIT_LITTLE_ENDIAN = (False, True)


def encode_sequences(document: Dataset) -> None:
    """Replaces each sequence of ``document`` by its bytes in Explicit VR Little Endian: a code and an item that stand in
    several places are written once. Afterwards the document is there to be written, and no longer to be read."""
    _Encoder(document).replace_sequences(document)


class _Encoder:
    def __init__(self, document: Dataset) -> None:
        self._encodings = convert_encodings(document.get("SpecificCharacterSet") or "ISO_IR 6")
        self._codes: dict[tuple[str, str, str], bytes] = {}
        self._items: dict[int, bytes] = {}
        """By identity: the document holds every item for as long as this lasts."""

    def replace_sequences(self, holder: Dataset) -> None:
        for element in list(holder.elements()):
            if element.VR == "SQ" and not isinstance(element, RawDataElement):
                value = b"".join(self._item(item) for item in element.value)
                holder[element.tag] = RawDataElement(element.tag, "SQ", len(value), value, 0, *_EXPLICIT_LITTLE_ENDIAN)

    def _item(self, item: Dataset) -> bytes:
        if item.keys() == _PLAIN_CODE:
            key = (item[_VALUE].value, item[_SCHEME].value, item[_MEANING].value)
            if key not in self._codes:
                self._codes[key] = self._written(item)
            return self._codes[key]
        if id(item) not in self._items:
            self.replace_sequences(item)
            self._items[id(item)] = self._written(item)
        return self._items[id(item)]

    def _written(self, item: Dataset) -> bytes:
        item.set_original_encoding(*_EXPLICIT_LITTLE_ENDIAN, item._character_set)
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = _EXPLICIT_LITTLE_ENDIAN
        write_sequence_item(buffer, item, self._encodings)
        return buffer.getvalue()
