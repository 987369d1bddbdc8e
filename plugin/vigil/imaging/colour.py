"""Colour images to red, green and blue of 8 bits: RGB, YCbCr and palettes, native, RLE, JPEG, JPEG-LS and JPEG 2000.

What a compressed stream holds and what the header says of it differ in practice: a JPEG whose markers say YCbCr, or RGB, is that
whatever the header says; JPEG 2000 undoes its own transform. Each stream is turned into RGB once.
"""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_color_lut, convert_color_space
from pydicom.pixels.utils import expand_ybr422
from pydicom.uid import UID

from vigil.imaging.codestream import jpeg_says_ycbcr, refuse_other_image
from vigil.imaging.decode import (
    BIG_ENDIAN,
    DECODER_ERRORS,
    DECODERS,
    LITTLE_ENDIAN,
    RLE_LOSSLESS,
    Frames,
    refuse_impossible_size,
    run_lengths,
)
from vigil.imaging.errors import NoPixelData, UnreadablePixels, UnsupportedPixels, UnsupportedTransferSyntax
from vigil.imaging.frames import are_swapped, compressed_frames, in_order, native_start
from vigil.intake.attributes import Attributes
from vigil.intake.part10 import PARSER_ERRORS, Instance

Rgb = NDArray[np.uint8]
PALETTE = "PALETTE COLOR"
SUBSAMPLED = "YBR_FULL_422"
OF_THREE = frozenset({"RGB", "YBR_FULL", SUBSAMPLED, "YBR_ICT", "YBR_RCT"})
JPEG = frozenset({f"1.2.840.10008.1.2.4.{part}" for part in ("50", "51", "57", "70")})
JPEG_2000 = frozenset({f"1.2.840.10008.1.2.4.{part}" for part in ("90", "91", "201", "202", "203")})
COLOURS = ("red", "green", "blue")
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, as DICOM's own YBR (PS3.3 C.7.6.3.1.2)."""


def is_colour(instance: Instance) -> bool:
    return Attributes(instance.dataset).text(0x00280004) in {PALETTE, *OF_THREE}


def luminance(rgb: Rgb) -> NDArray[np.float32]:
    """How bright each pixel looks, 0 to 255."""
    bright: NDArray[np.float32] = rgb.astype(np.float32) @ LUMINANCE
    return bright


class ColourFrames:
    """The colour images of one instance, each decoded when it is asked for.

    Raises: UnreadablePixels; TruncatedPixels; NoPixelData; UnsupportedTransferSyntax; UnsupportedPixels; VolumeTooLarge.
    """

    def __init__(self, instance: Instance) -> None:
        header = Attributes(instance.dataset)
        if instance.pixels is None or instance.pixels.empty:
            raise NoPixelData
        self.count = max(1, header.integer(0x00280008) or 1)
        self._instance, self._pixels, self._header = instance, instance.pixels, header
        self._rows, self._columns = header.unsigned_short(0x00280010), header.unsigned_short(0x00280011)
        self._photometric, samples = header.text(0x00280004), header.unsigned_short(0x00280002)
        if samples != (1 if self._photometric == PALETTE else 3) or self._photometric not in {PALETTE, *OF_THREE}:
            raise UnsupportedPixels(
                f"pixels of {samples} samples, {self._photometric or 'without a kind'}, are no colours that are read")
        if self._photometric != PALETTE and header.unsigned_short(0x00280100) != 8:
            raise UnsupportedPixels(f"colours of {header.unsigned_short(0x00280100)} allocated bits are not supported; 8 are")
        refuse_impossible_size(header, self._rows, 3 * self._columns)
        encapsulated = self._pixels.encapsulated and self._photometric != PALETTE
        self._streams = compressed_frames(self._pixels, header, self.count) if encapsulated else ()
        self._indices = Frames(instance, kinds=(PALETTE,)) if self._photometric == PALETTE else None

    def image(self, frame: int) -> Rgb:
        """A frame, from 1: [row, column, 3]."""
        if self._indices is not None:
            return self._by_palette(self._indices.image(frame).pixels)
        syntax = self._instance.meta.transfer_syntax_uid
        if not self._pixels.encapsulated:
            return self._native(syntax, frame)
        try:
            return self._decompressed(syntax, self._streams[frame - 1])
        except DECODER_ERRORS as error:
            raise UnreadablePixels(
                f"the compressed pixels cannot be decoded ({type(error).__name__}); send them again") from None

    def _native(self, syntax: str, frame: int) -> Rgb:
        if syntax not in LITTLE_ENDIAN and syntax not in (BIG_ENDIAN, ""):
            raise UnsupportedTransferSyntax(syntax, UID(syntax).name)
        subsampled = self._photometric == SUBSAMPLED
        size = self._rows * self._columns * (2 if subsampled else 3)
        start = native_start(self._pixels, frame, size)
        swapped = syntax == BIG_ENDIAN and are_swapped(self._pixels)
        values = in_order(self._pixels, start, size) if swapped else self._pixels.source[start:start + size]
        if subsampled:
            if self._columns % 2:
                raise UnreadablePixels("an image of subsampled colours has an odd number of columns; send it again")
            values = expand_ybr422(values, 8)
        return self._to_rgb(self._shaped(np.frombuffer(values, np.uint8)), self._photometric)

    def _shaped(self, values: NDArray[np.uint8]) -> Rgb:
        if self._header.unsigned_short(0x00280006) == 1 and self._photometric != SUBSAMPLED:  # plane by plane
            return np.moveaxis(values.reshape(3, self._rows, self._columns), 0, -1)
        return values.reshape(self._rows, self._columns, 3)

    def _decompressed(self, syntax: str, stream: bytes) -> Rgb:
        rows, columns = self._rows, self._columns
        if syntax == RLE_LOSSLESS:
            planes = run_lengths(stream, 3, rows * columns)
            return self._to_rgb(planes.reshape(rows, columns, 3), self._photometric)
        if syntax not in DECODERS:
            raise UnsupportedTransferSyntax(syntax, UID(syntax).name)
        refuse_other_image(stream, rows, columns, samples=3)
        decoded: Any
        if syntax in JPEG:
            said = jpeg_says_ycbcr(stream)
            mixed = self._photometric.startswith("YBR") if said is None else said
            decoded = imagecodecs.jpeg8_decode(stream, colorspace="YCBCR" if mixed else "RGB", outcolorspace="RGB")
            told = "RGB"
        else:
            decoded = DECODERS[syntax](stream)
            told = "RGB" if syntax in JPEG_2000 and self._photometric in ("YBR_ICT", "YBR_RCT") else self._photometric
        if decoded.shape != (rows, columns, 3) or decoded.dtype != np.uint8:
            raise UnreadablePixels("the compressed pixels are of another size or kind than the header says")
        return self._to_rgb(decoded, told)

    def _to_rgb(self, values: Rgb, told: str) -> Rgb:
        if told == "RGB":
            return values
        converted: Rgb = convert_color_space(np.ascontiguousarray(values), "YBR_FULL", "RGB")
        return converted

    def _by_palette(self, indices: NDArray[np.integer]) -> Rgb:
        try:
            found = apply_color_lut(np.ascontiguousarray(indices), self._instance.dataset)
        except PARSER_ERRORS as error:
            raise UnreadablePixels(f"the image's palette cannot be read ({type(error).__name__}); send it again") from None
        if found.dtype == np.uint16:
            found = found >> 8
        return np.asarray(found[..., :3], np.uint8)
