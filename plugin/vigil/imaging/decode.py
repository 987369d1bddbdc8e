"""Images of DICOM bytes to their stored values: native, RLE, JPEG, JPEG Lossless, JPEG-LS and JPEG 2000 pixels, frame by frame.

Compressed pixels are decoded by imagecodecs, which lets go of the interpreter lock while it works: other libraries hold
it and would stall Orthanc's callbacks (law 1). JPEG Lossless goes through libjpeg-turbo: liblj92 is quicker, but a damaged
stream made it write past its memory, which would have taken Orthanc down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from vigil.imaging.codestream import refuse_other_image
from vigil.imaging.errors import (
    NoPixelData,
    TruncatedPixels,
    UnreadablePixels,
    UnsupportedPixels,
    UnsupportedTransferSyntax,
    VolumeTooLarge,
)
from vigil.imaging.frames import are_swapped, compressed_frames, in_order, native_start
from vigil.imaging.modality_table import read_modality_table
from vigil.imaging.stored_image import StoredImage
from vigil.intake.attributes import Attributes
from vigil.intake.functional_groups import VALUE_TRANSFORMATION, FunctionalGroups
from vigil.intake.part10 import PARSER_ERRORS, Instance, PixelElement

LITTLE_ENDIAN = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"})
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"

Decoder = Callable[[bytes], "NDArray[Any]"]
DECODERS: dict[str, Decoder] = {
    "1.2.840.10008.1.2.4.50": imagecodecs.jpeg8_decode,  # JPEG Baseline, 8 bits, lossy
    "1.2.840.10008.1.2.4.51": imagecodecs.jpeg8_decode,  # JPEG Extended, 12 bits, lossy
    "1.2.840.10008.1.2.4.57": imagecodecs.jpeg8_decode,  # JPEG Lossless, process 14
    "1.2.840.10008.1.2.4.70": imagecodecs.jpeg8_decode,  # the same, selection value 1
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.81": imagecodecs.jpegls_decode,  # near-lossless
    "1.2.840.10008.1.2.4.90": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.91": imagecodecs.jpeg2k_decode,  # lossy allowed
    "1.2.840.10008.1.2.4.201": imagecodecs.jpeg2k_decode,  # HTJ2K
    "1.2.840.10008.1.2.4.202": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.203": imagecodecs.jpeg2k_decode,
}
# What imagecodecs raises on a broken stream: its own errors are RuntimeErrors.
DECODER_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, MemoryError)

GREY = ("MONOCHROME1", "MONOCHROME2")
LARGEST_IMAGE_BYTES = 256 << 20
"""Of one frame."""


def decode(instance: Instance) -> StoredImage:
    """The pixels of a single-frame grey image.

    Raises: as :class:`Frames`; UnsupportedPixels where there are several frames.
    """
    frames = Frames(instance)
    if frames.count != 1:
        raise UnsupportedPixels(f"an image of {frames.count} frames is not one image")
    return frames.image(1)


class Frames:
    """The grey images of one instance, each decoded when it is asked for, by as many threads as like: so that no more is in
    memory than the file and what was asked for, however much its header promises.

    Raises: UnreadablePixels; TruncatedPixels; NoPixelData; UnsupportedTransferSyntax; UnsupportedPixels; VolumeTooLarge.
    """

    def __init__(self, instance: Instance, *, kinds: tuple[str, ...] = GREY) -> None:
        header = Attributes(instance.dataset)
        if instance.pixels is None or instance.pixels.empty:
            raise NoPixelData
        self.count = max(1, header.integer(0x00280008) or 1)
        self._instance, self._pixels, self._header = instance, instance.pixels, header
        self._rows, self._columns = header.unsigned_short(0x00280010), header.unsigned_short(0x00280011)
        _refuse_other_kinds(header, kinds)
        refuse_impossible_size(header, self._rows, self._columns)
        self._streams = compressed_frames(self._pixels, header, self.count) if self._pixels.encapsulated else ()
        try:
            self._groups = FunctionalGroups(header)
        except PARSER_ERRORS as error:
            raise UnreadablePixels(f"the image's frames cannot be read ({type(error).__name__}); send it again") from None

    def image(self, frame: int) -> StoredImage:
        """A frame, from 1. Native pixels are not copied: they stay the bytes of the file."""
        header, instance = self._header, self._instance
        stored = _stored_values(self._raw(frame), header, encapsulated=self._pixels.encapsulated)
        is_ct = header.text(0x00080060) == "CT"
        big_endian = instance.meta.transfer_syntax_uid == BIG_ENDIAN
        table = read_modality_table(instance.dataset, signed=stored.dtype.kind == "i", big_endian=big_endian)
        if table is not None:
            if is_ct and table.unit != "HU":
                raise UnsupportedPixels(f"the CT image is in '{table.unit}', not in Hounsfield units")
            return StoredImage(table.apply(stored))
        slope, intercept = _rescale(self._groups.of(frame, VALUE_TRANSFORMATION) or header, is_ct=is_ct)
        # Elsewhere than in CT the value of air is not known.
        padding = _padding(header, signed=stored.dtype.kind == "i") if is_ct else None
        return StoredImage(stored, slope, intercept, padding)

    def _raw(self, frame: int) -> NDArray[Any]:
        allocated, syntax = self._header.unsigned_short(0x00280100), self._instance.meta.transfer_syntax_uid
        if allocated not in (8, 16):
            raise UnsupportedPixels(f"pixels of {allocated} allocated bits are not supported; 8 and 16 are")
        if self._pixels.encapsulated:
            return _decompressed(syntax, self._streams[frame - 1], allocated, self._rows, self._columns)
        return _native(syntax, self._pixels, allocated, self._rows, self._columns, frame)


def _stored_values(raw: NDArray[Any], header: Attributes, *, encapsulated: bool) -> NDArray[np.integer]:
    """Stored pixel values, signed or unsigned as Pixel Representation says (PS3.5 8.1.1)."""
    allocated, stored_bits = header.unsigned_short(0x00280100), header.unsigned_short(0x00280101)
    high_bit = header.unsigned_short(0x00280102)
    if not stored_bits - 1 <= high_bit < allocated or stored_bits == 0:
        raise UnreadablePixels(f"{stored_bits} bits stored with high bit {high_bit} do not fit {allocated} allocated bits")
    if encapsulated:
        high_bit = stored_bits - 1  # codecs give the value itself, wherever it lay in the word
    signed = header.unsigned_short(0x00280103) == 1
    words: NDArray[np.integer] = raw.view(f"i{allocated // 8}" if signed else f"u{allocated // 8}")
    if stored_bits == allocated or (high_bit == stored_bits - 1 and _fit(words, stored_bits, signed)):
        return words
    # Bits outside the value may hold overlays or nothing: shift them out, and the sign in.
    shifted: NDArray[np.integer] = (words << (allocated - 1 - high_bit)) >> (allocated - stored_bits)
    return shifted


def _fit(words: NDArray[np.integer], stored_bits: int, signed: bool) -> bool:
    """Whether no bit is set outside the values, as nearly always: then there is nothing to shift out, and nothing is copied."""
    half = 1 << (stored_bits - 1)
    lowest, highest = (-half, half - 1) if signed else (0, 2 * half - 1)
    return lowest <= int(words.min()) and int(words.max()) <= highest


def _native(syntax: str, pixels: PixelElement, allocated: int, rows: int, columns: int, frame: int) -> NDArray[Any]:
    if syntax not in LITTLE_ENDIAN and syntax not in (BIG_ENDIAN, ""):
        if syntax in DECODERS or syntax == RLE_LOSSLESS:
            raise UnreadablePixels("the pixels are not encapsulated, as their transfer syntax says")
        raise UnsupportedTransferSyntax(syntax, UID(syntax).name)
    start = native_start(pixels, frame, rows * columns * allocated // 8)
    if syntax == BIG_ENDIAN and allocated == 8 and are_swapped(pixels):
        return np.frombuffer(in_order(pixels, start, rows * columns), np.uint8).reshape(rows, columns)
    order = ">" if syntax == BIG_ENDIAN and allocated > 8 else "<"
    words = np.frombuffer(pixels.source, f"{order}u{allocated // 8}", rows * columns, start)
    native: NDArray[Any] = words.astype(f"u{allocated // 8}", copy=False).reshape(rows, columns)
    return native


def _decompressed(syntax: str, stream: bytes, allocated: int, rows: int, columns: int) -> NDArray[Any]:
    dtype = np.dtype(f"u{allocated // 8}")
    try:
        if syntax == RLE_LOSSLESS:
            words = run_lengths(stream, dtype.itemsize, rows * columns).view(f">u{dtype.itemsize}")
            decoded = words.reshape(rows, columns)
        elif syntax in DECODERS:
            refuse_other_image(stream, rows, columns)
            decoded = DECODERS[syntax](stream)
        else:
            raise UnsupportedTransferSyntax(syntax, UID(syntax).name)
    except DECODER_ERRORS as error:
        raise UnreadablePixels(f"the compressed pixels cannot be decoded ({type(error).__name__}); send them again") from None
    if decoded.shape != (rows, columns) or decoded.dtype.kind not in "iu" or decoded.dtype.itemsize > dtype.itemsize:
        raise UnreadablePixels("the compressed pixels are of another size or kind than the header says")
    return decoded.astype(dtype, copy=False)


def run_lengths(stream: bytes, planes: int, pixels: int) -> NDArray[np.uint8]:
    """RLE (PS3.5 annex G), [pixel, plane]: a segment for each byte of a word, the highest first, or for each colour; each in
    PackBits.

    Segment by segment, for imagecodecs' decoder of the whole reads past the end of a damaged stream and takes the process
    with it.
    """
    offsets = np.frombuffer(stream[:64].ljust(64, b"\0"), "<u4")
    count = int(offsets[0])
    bounds = [*(int(offset) for offset in offsets[1:count + 1]), len(stream)]
    if count != planes or bounds[0] < 64 or bounds != sorted(bounds):
        raise UnreadablePixels(f"the header of the RLE pixels does not describe {planes} segments; send them again")
    values = np.empty((pixels, count), np.uint8)
    for index in range(count):
        plane = imagecodecs.packbits_decode(stream[bounds[index]:bounds[index + 1]])
        if len(plane) < pixels:
            raise TruncatedPixels(pixels * count, len(plane) * count)
        values[:, index] = np.frombuffer(plane, np.uint8, pixels)
    return values


def _refuse_other_kinds(header: Attributes, kinds: tuple[str, ...]) -> None:
    samples, photometric = header.unsigned_short(0x00280002), header.text(0x00280004)
    if samples != 1 or photometric not in kinds:
        raise UnsupportedPixels(f"pixels of {samples} samples, {photometric or 'without a kind'}, are no grey values")


def refuse_impossible_size(header: Attributes, rows: int, columns: int) -> None:
    """Before anything of that size is asked for: sixteen bits of header promise 8 GB."""
    if rows == 0 or columns == 0:
        raise UnreadablePixels("the image has no rows or no columns; send it again")
    size_bytes = rows * columns * header.unsigned_short(0x00280100) // 8
    if size_bytes > LARGEST_IMAGE_BYTES:
        raise VolumeTooLarge(
            f"an image of {rows} x {columns} takes {size_bytes >> 20} MiB, more than the {LARGEST_IMAGE_BYTES >> 20} MiB that "
            "one image may take"
        )


def _rescale(header: Attributes, *, is_ct: bool) -> tuple[float, float]:
    """Slope and intercept (PS3.3 C.11.1.1.2), of an image or of a frame (C.7.6.16.2.9). For CT both are required, for without
    them HU cannot be known."""
    slope, intercept = header.decimal(0x00281053), header.decimal(0x00281052)
    if is_ct:
        if slope is None or intercept is None:
            raise UnreadablePixels("the CT image lacks its Rescale Slope or Rescale Intercept, so its HU are unknown")
        if (unit := header.text(0x00281054)) not in ("", "HU"):
            raise UnsupportedPixels(f"the CT image is in '{unit}', not in Hounsfield units")
    if slope == 0:
        raise UnreadablePixels("the image has a Rescale Slope of zero")
    return 1.0 if slope is None else slope, intercept or 0.0


def _padding(header: Attributes, *, signed: bool) -> tuple[int, int] | None:
    """Which stored values are padding: Pixel Padding Value, or from it to the Range Limit."""
    if len(header.raw(0x00280120)) < 2:
        return None
    first = _short(header, 0x00280120, signed)
    last = _short(header, 0x00280121, signed) if len(header.raw(0x00280121)) >= 2 else first
    return min(first, last), max(first, last)


def _short(header: Attributes, tag: int, signed: bool) -> int:
    """US or SS, as Pixel Representation says."""
    value = header.unsigned_short(tag)
    return value - 0x10000 if signed and value >= 0x8000 else value
