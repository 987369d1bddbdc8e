"""Where each frame of an image lies in its file: one after the other where they are native, in fragments where they are
compressed."""

from __future__ import annotations

from pydicom.encaps import generate_frames

from vigil.imaging.errors import TruncatedPixels, UnreadablePixels
from vigil.intake.attributes import Attributes
from vigil.intake.part10 import PARSER_ERRORS, PixelElement

_ITEM = b"\xfe\xff\x00\xe0"
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002


def native_start(pixels: PixelElement, frame: int, frame_bytes: int) -> int:
    """Offset of a frame (from 1) in the file.

    Raises: TruncatedPixels.
    """
    start = pixels.start + (frame - 1) * frame_bytes
    if start + frame_bytes > pixels.end:
        raise TruncatedPixels(frame * frame_bytes, pixels.end - pixels.start)
    return start


def are_swapped(pixels: PixelElement) -> bool:
    """Whether values of 8 bits stand in big-endian words of 16 (VR OW, PS3.5 annex D), so that neighbours have changed places."""
    return pixels.source[pixels.start - 8:pixels.start - 6] == b"OW"


def in_order(pixels: PixelElement, start: int, size: int) -> bytes:
    """Values of 8 bits out of big-endian words, as many as ``size`` from the offset ``start`` of the file."""
    skipped = (start - pixels.start) % 2
    first, last = start - skipped, min(pixels.end, start + size + 1)
    words = pixels.source[first:last - (last - first) % 2]
    turned = bytearray(words)
    turned[0::2], turned[1::2] = words[1::2], words[0::2]
    return bytes(turned[skipped:skipped + size])


def compressed_frames(pixels: PixelElement, header: Attributes, frames: int) -> tuple[bytes, ...]:
    """The codestream of each frame, its fragments joined (PS3.5 A.4), by an offset table where there is one.

    Raises: UnreadablePixels where there are not as many as the header says.
    """
    if frames == 1:
        return (_joined(pixels),)
    extended = (header.raw(_OFFSETS), header.raw(_LENGTHS))
    try:
        found = tuple(generate_frames(
            pixels.source[pixels.start:pixels.end], number_of_frames=frames, extended_offsets=extended if all(extended) else None
        ))
    except PARSER_ERRORS as error:
        raise UnreadablePixels(
            f"the frames of the compressed pixels cannot be told apart ({type(error).__name__}); send the image again"
        ) from None
    if len(found) != frames:
        raise UnreadablePixels(f"the compressed pixels hold {len(found)} of {frames} frames; send the image again")
    return found


def _joined(pixels: PixelElement) -> bytes:
    """All fragments; the offset table before them is skipped."""
    parts: list[bytes] = []
    offset, first = pixels.start, True
    while offset + 8 <= pixels.end and pixels.source[offset:offset + 4] == _ITEM:
        size = int.from_bytes(pixels.source[offset + 4:offset + 8], "little")
        if not first:
            parts.append(pixels.source[offset + 8:offset + 8 + size])
        offset, first = offset + 8 + size, False
    return b"".join(parts)
