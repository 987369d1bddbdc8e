"""A DICOM file (PS3.10) as bytes: where its data set begins, what stands before its pixels, where its pixels end.

Reading never trusts a length of the file: every failure is an :class:`~vigil.intake.errors.UnreadableInstance`.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset as parse_dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from vigil.intake.errors import TruncatedInstance, UnreadableInstance

PREAMBLE = 132
UNDEFINED_LENGTH = 0xFFFFFFFF
LARGEST_INFLATED = 1 << 29
"""A deflated data set that grows beyond this many bytes is taken for an attack, not for an image."""

_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_TRANSFER_SYNTAX = 0x00020010
_MEDIA_STORAGE_SOP_CLASS = 0x00020002
_PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))  # float, double float, integer (PS3.3 C.7.6.24, C.7.6.3)
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD

# What pydicom raises on bytes that are not DICOM. A list rather than Exception, so that a fault of ours is not taken for
# a fault of the file; the tests run it over mutated files.
PARSER_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError, MemoryError,
    NotImplementedError, OSError, RecursionError, TypeError, ValueError, struct.error, zlib.error,
)


@dataclass(frozen=True)
class FileMeta:
    """File Meta Information (PS3.10 7.1). ``end``: offset of the first byte of the data set."""

    end: int
    transfer_syntax_uid: str
    media_storage_sop_class_uid: str


@dataclass(frozen=True)
class PixelElement:
    """The element at which reading stopped: its value is ``source[start:end]``."""

    source: bytes
    start: int
    end: int
    encapsulated: bool
    empty: bool
    fragments: int = 0
    """Of encapsulated pixels: items after the offset table."""


@dataclass(frozen=True)
class Instance:
    """One file: its meta information, its data set up to the pixels, and where those are (None: it has none).

    ``head``: the file up to the element of its pixels, a file itself, which :func:`read_dataset` reads; the whole file where it
    is deflated. ``pixel_digest``: SHA-256 of the pixels as stored, empty where there are none. ``content_sha256``: of the data
    set and its transfer syntax alone, for the rest of the file meta information changes with the node that sends it.
    """

    meta: FileMeta
    dataset: Dataset
    pixels: PixelElement | None
    head: bytes
    pixel_digest: bytes
    content_sha256: str


def read_meta(dicom: bytes) -> FileMeta:
    """Walks group 0002 element by element: its group length (0002,0000) is often wrong, the elements seldom.

    Raises: UnreadableInstance where there is no "DICM"; TruncatedInstance where the group is cut off.
    """
    if dicom[128:132] != b"DICM":
        raise UnreadableInstance("not a DICOM file: 'DICM' is missing at byte 128")
    offset, values = PREAMBLE, dict[int, bytes]()
    while dicom[offset:offset + 2] == b"\x02\x00":
        if len(dicom) - offset < 8:
            raise TruncatedInstance("the file ends within its file meta information")
        element, = struct.unpack_from("<H", dicom, offset + 2)
        vr = dicom[offset + 4:offset + 6]
        if vr in _LONG_VRS and len(dicom) - offset >= 12:
            length, start = struct.unpack_from("<I", dicom, offset + 8)[0], offset + 12
        elif vr.isalpha() and vr.isupper():
            length, start = struct.unpack_from("<H", dicom, offset + 6)[0], offset + 8
        else:  # some writers encode this group as implicit VR, against PS3.10 7.1
            length, start = struct.unpack_from("<I", dicom, offset + 4)[0], offset + 8
        offset = start + length
        if offset > len(dicom):
            raise TruncatedInstance("the file ends within its file meta information")
        values[0x00020000 | element] = dicom[start:offset]
    return FileMeta(
        end=offset,
        transfer_syntax_uid=_uid(values.get(_TRANSFER_SYNTAX, b"")),
        media_storage_sop_class_uid=_uid(values.get(_MEDIA_STORAGE_SOP_CLASS, b"")),
    )


def read_instance(dicom: bytes) -> Instance:
    """The file up to its pixels, and whether those are all there.

    Raises: UnreadableInstance; TruncatedInstance where the header or the pixel data is cut off.
    """
    meta = read_meta(dicom)
    try:
        return _read(dicom, meta)
    except PARSER_ERRORS as error:
        # The text of a parser's error may quote a value, so only its type is kept.
        raise UnreadableInstance(f"the header cannot be read ({type(error).__name__})") from None


def read_dataset(dicom: bytes) -> Dataset:
    """The header as pydicom gives it, without pixels, with ``file_meta``.

    Raises: UnreadableInstance.
    """
    instance = read_instance(dicom)
    dataset = instance.dataset
    try:
        raw = parse_dataset(BytesIO(dicom[PREAMBLE:instance.meta.end]), False, True)
        dataset.file_meta = FileMetaDataset(raw)
    except PARSER_ERRORS as error:
        raise UnreadableInstance(f"the file meta information cannot be read ({type(error).__name__})") from None
    return dataset


def _read(dicom: bytes, meta: FileMeta) -> Instance:
    source, start = dicom, meta.end
    if meta.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        source, start = _inflate(dicom[start:]), 0
    stream = BytesIO(source)
    stream.seek(start)
    implicit, little = _encoding(meta.transfer_syntax_uid, source[start:start + 6])
    stopped_at: list[tuple[int, int]] = []

    def at_pixels(tag: BaseTag, _vr: str | None, length: int) -> bool:
        if tag in _PIXEL_TAGS:
            stopped_at.append((stream.tell(), length))
            return True
        return False

    dataset = parse_dataset(stream, implicit, little, stop_when=at_pixels)
    element = stream.tell()  # the reader goes back to where the element begins
    for item in dataset.elements():
        if isinstance(item, RawDataElement) and item.length != UNDEFINED_LENGTH and item.length > len(item.value or b""):
            raise TruncatedInstance("the file ends within its header")
    content = hashlib.sha256(meta.transfer_syntax_uid.encode() + b"|")
    if not stopped_at:
        content.update(memoryview(dicom)[meta.end:])
        return Instance(meta, dataset, None, dicom, b"", content.hexdigest())
    value, length = stopped_at[-1]
    pixels = _pixel_element(source, value, length, little)
    # The pixels are nearly all of a file and are hashed once, for two questions: the same file, and the same picture?
    pixel_digest = hashlib.sha256(memoryview(source)[pixels.start:pixels.end]).digest()
    content.update(hashlib.sha256(memoryview(source)[start:pixels.start]).digest())
    content.update(pixel_digest)
    content.update(memoryview(source)[pixels.end:])
    head = dicom[:element] if source is dicom else dicom
    return Instance(meta, dataset, pixels, head, pixel_digest, content.hexdigest())


def _encoding(transfer_syntax_uid: str, first: bytes) -> tuple[bool, bool]:
    """Whether the data set is implicit VR, and little endian (PS3.5 annex A)."""
    if not transfer_syntax_uid:  # named in no file meta information: as the first element's VR looks
        vr = first[4:6]
        return not (len(vr) == 2 and vr.isalpha() and vr.isupper()), True
    return transfer_syntax_uid == ImplicitVRLittleEndian, transfer_syntax_uid != ExplicitVRBigEndian


def _inflate(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(deflated, LARGEST_INFLATED)
    if inflater.unconsumed_tail:
        raise UnreadableInstance(f"the deflated data set grows beyond {LARGEST_INFLATED >> 20} MiB")
    if not inflater.eof:
        raise TruncatedInstance("the file ends within its deflated data set")
    return inflated


def _pixel_element(source: bytes, start: int, length: int, little: bool) -> PixelElement:
    if length != UNDEFINED_LENGTH:
        if start + length > len(source):
            raise TruncatedInstance(f"the pixel data is cut off: {len(source) - start} of {length} bytes are there")
        return PixelElement(source, start, start + length, encapsulated=False, empty=length == 0)
    # Encapsulated (PS3.5 A.4): a Basic Offset Table, which may be empty, then the fragments, then a delimiter.
    header, offset, items, filled = struct.Struct("<HHI" if little else ">HHI"), start, 0, 0
    while len(source) - offset >= 8:
        group, element, size = header.unpack_from(source, offset)
        tag = group << 16 | element
        if tag == _SEQUENCE_END:
            return PixelElement(source, start, offset, encapsulated=True, empty=filled == 0, fragments=max(items - 1, 0))
        if tag != _ITEM:
            raise UnreadableInstance(f"item {items} of the encapsulated pixel data does not begin as an item")
        filled += items > 0 and size > 0
        items, offset = items + 1, offset + 8 + size
    raise TruncatedInstance(f"the pixel data is cut off in its fragment {items}")


def _uid(value: bytes) -> str:
    return value.decode("ascii", "replace").strip("\0 ")
