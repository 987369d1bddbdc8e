"""One image of DICOM bytes to its stored values: native, RLE, JPEG, JPEG Lossless, JPEG-LS and JPEG 2000 pixels.

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
from vigil.imaging.modality_table import read_modality_table
from vigil.imaging.stored_image import StoredImage
from vigil.intake.attributes import Attributes
from vigil.intake.part10 import Instance, PixelElement

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

LARGEST_IMAGE_BYTES = 256 << 20
_ITEM = b"\xfe\xff\x00\xe0"


def decode(instance: Instance) -> StoredImage:
    """The pixels of a single-frame grey image.

    Native pixels are not copied: they stay the bytes of the file.

    Raises: UnreadablePixels; TruncatedPixels; NoPixelData; UnsupportedTransferSyntax; UnsupportedPixels.
    """
    header = Attributes(instance.dataset)
    rows, columns = header.unsigned_short(0x00280010), header.unsigned_short(0x00280011)
    if instance.pixels is None or instance.pixels.empty:
        raise NoPixelData
    _refuse_other_kinds(header)
    _refuse_too_large(header, rows, columns)
    stored = _stored_values(instance, instance.pixels, header, rows, columns)
    big_endian = instance.meta.transfer_syntax_uid == BIG_ENDIAN
    table = read_modality_table(instance.dataset, signed=stored.dtype.kind == "i", big_endian=big_endian)
    if table is not None:
        if header.text(0x00080060) == "CT" and table.unit != "HU":
            raise UnsupportedPixels(f"the CT image is in '{table.unit}', not in Hounsfield units")
        return StoredImage(table.apply(stored))
    slope, intercept = _rescale(header)
    # Elsewhere than in CT the value of air is not known.
    padding = _padding(header, signed=stored.dtype.kind == "i") if header.text(0x00080060) == "CT" else None
    return StoredImage(stored, slope, intercept, padding)


def _stored_values(
    instance: Instance, pixels: PixelElement, header: Attributes, rows: int, columns: int
) -> NDArray[np.integer]:
    """Stored pixel values, signed or unsigned as Pixel Representation says (PS3.5 8.1.1)."""
    allocated, stored_bits = header.unsigned_short(0x00280100), header.unsigned_short(0x00280101)
    high_bit = header.unsigned_short(0x00280102)
    if allocated not in (8, 16):
        raise UnsupportedPixels(f"pixels of {allocated} allocated bits are not supported; 8 and 16 are")
    if not stored_bits - 1 <= high_bit < allocated or stored_bits == 0:
        raise UnreadablePixels(f"{stored_bits} bits stored with high bit {high_bit} do not fit {allocated} allocated bits")
    syntax = instance.meta.transfer_syntax_uid
    if pixels.encapsulated:
        raw = _decompressed(syntax, pixels, allocated, rows, columns)
        high_bit = stored_bits - 1  # codecs give the value itself, wherever it lay in the word
    else:
        raw = _native(syntax, pixels, allocated, rows, columns)
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


def _native(syntax: str, pixels: PixelElement, allocated: int, rows: int, columns: int) -> NDArray[Any]:
    if syntax not in LITTLE_ENDIAN and syntax not in (BIG_ENDIAN, ""):
        if syntax in DECODERS or syntax == RLE_LOSSLESS:
            raise UnreadablePixels("the pixels are not encapsulated, as their transfer syntax says")
        raise UnsupportedTransferSyntax(syntax, UID(syntax).name)
    expected = rows * columns * allocated // 8
    if pixels.end - pixels.start < expected:
        raise TruncatedPixels(expected, pixels.end - pixels.start)
    order = ">" if syntax == BIG_ENDIAN and allocated > 8 else "<"
    words = np.frombuffer(pixels.source, f"{order}u{allocated // 8}", rows * columns, pixels.start)
    native: NDArray[Any] = words.astype(f"u{allocated // 8}", copy=False).reshape(rows, columns)
    return native


def _decompressed(syntax: str, pixels: PixelElement, allocated: int, rows: int, columns: int) -> NDArray[Any]:
    fragments = _fragments(pixels)
    dtype = np.dtype(f"u{allocated // 8}")
    try:
        if syntax == RLE_LOSSLESS:
            decoded = _run_lengths(fragments, dtype, rows, columns)
        elif syntax in DECODERS:
            refuse_other_image(fragments, rows, columns)
            decoded = DECODERS[syntax](fragments)
        else:
            raise UnsupportedTransferSyntax(syntax, UID(syntax).name)
    except DECODER_ERRORS as error:
        raise UnreadablePixels(f"the compressed pixels cannot be decoded ({type(error).__name__}); send them again") from None
    if decoded.shape != (rows, columns) or decoded.dtype.kind not in "iu" or decoded.dtype.itemsize > dtype.itemsize:
        raise UnreadablePixels("the compressed pixels are of another size or kind than the header says")
    return decoded.astype(dtype, copy=False)


def _run_lengths(stream: bytes, dtype: np.dtype[Any], rows: int, columns: int) -> NDArray[Any]:
    """RLE (PS3.5 annex G): a segment for each byte of a word, the highest first, each in PackBits.

    Segment by segment, for imagecodecs' decoder of the whole reads past the end of a damaged stream and takes the process
    with it.
    """
    offsets = np.frombuffer(stream[:64].ljust(64, b"\0"), "<u4")
    count = int(offsets[0])
    bounds = [*(int(offset) for offset in offsets[1:count + 1]), len(stream)]
    if count != dtype.itemsize or bounds[0] < 64 or bounds != sorted(bounds):
        raise UnreadablePixels(f"the header of the RLE pixels does not describe {dtype.itemsize} segments; send them again")
    planes = np.empty((rows * columns, count), np.uint8)
    for index in range(count):
        plane = imagecodecs.packbits_decode(stream[bounds[index]:bounds[index + 1]])
        if len(plane) < rows * columns:
            raise TruncatedPixels(rows * columns * count, len(plane) * count)
        planes[:, index] = np.frombuffer(plane, np.uint8, rows * columns)
    words: NDArray[Any] = planes.view(f">u{count}").reshape(rows, columns)
    return words


def _fragments(pixels: PixelElement) -> bytes:
    """The fragments of the one frame, joined (PS3.5 A.4); the offset table before them is skipped."""
    parts: list[bytes] = []
    offset, first = pixels.start, True
    while offset + 8 <= pixels.end and pixels.source[offset:offset + 4] == _ITEM:
        size = int.from_bytes(pixels.source[offset + 4:offset + 8], "little")
        if not first:
            parts.append(pixels.source[offset + 8:offset + 8 + size])
        offset, first = offset + 8 + size, False
    return b"".join(parts)


def _refuse_other_kinds(header: Attributes) -> None:
    samples, frames = header.unsigned_short(0x00280002), header.integer(0x00280008) or 1
    photometric = header.text(0x00280004)
    if frames != 1:
        raise UnsupportedPixels(f"an image of {frames} frames is not supported; send one image a slice")
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnsupportedPixels(f"pixels of {samples} samples, {photometric or 'without a kind'}, are no grey values")


def _refuse_too_large(header: Attributes, rows: int, columns: int) -> None:
    """Before anything of that size is asked for: sixteen bits of header promise 8 GB."""
    size_bytes = rows * columns * header.unsigned_short(0x00280100) // 8
    if size_bytes > LARGEST_IMAGE_BYTES:
        raise VolumeTooLarge(
            f"an image of {rows} x {columns} takes {size_bytes >> 20} MiB, more than the {LARGEST_IMAGE_BYTES >> 20} MiB that "
            "one image may take"
        )


def _rescale(header: Attributes) -> tuple[float, float]:
    """Slope and intercept (PS3.3 C.11.1.1.2). For CT both are required, for without them HU cannot be known."""
    slope, intercept = header.decimal(0x00281053), header.decimal(0x00281052)
    if header.text(0x00080060) == "CT":
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
