"""What a compressed image says of itself, read before a decoder is let at it.

Decoders run inside Orthanc's process (law 1). A damaged size in a stream of 400 bytes makes one of them ask for gigabytes,
and a JPEG-LS stream without its end keeps another busy for ever: both were met in fuzzing. So size, samples and end are
looked at first, and only a stream that is the image the header describes is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator

from vigil.imaging.errors import UnreadablePixels

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_J2K_START = b"\xff\x4f\xff\x51"  # SOC, then SIZ (ISO/IEC 15444-1 A.4.1, A.5.1)
_START_OF_SCAN = 0xDA
_WITHOUT_LENGTH = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
# SOF0 to SOF15 without DHT, JPG and DAC (ISO/IEC 10918-1 table B.1), and SOF55 of JPEG-LS (ISO/IEC 14495-1 C.1.1).
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


def refuse_other_image(stream: bytes, rows: int, columns: int, *, samples: int = 1) -> None:
    """For JPEG, JPEG-LS and JPEG 2000 streams.

    Raises: UnreadablePixels where the stream is cut off or holds no image of this size and so many samples a pixel.
    """
    if stream[:2] == _JPEG_START:
        if not stream.rstrip(b"\0").endswith(_JPEG_END):
            raise UnreadablePixels("the compressed pixels have no end: they were cut off; send the image again")
        frames = list(_jpeg_frames(stream))
    else:
        frames = _j2k_frame(stream)
    if not frames or any(frame != (rows, columns, samples) for frame in frames):
        found = ", ".join(f"{height} x {width} with {there} samples" for height, width, there in frames[:2])
        raise UnreadablePixels(
            f"the compressed pixels are {found or 'no image'}, and the header says {rows} x {columns}; send the image again"
        )


def jpeg_says_ycbcr(stream: bytes) -> bool | None:
    """Whether the colours of a JPEG stream are YCbCr, by its markers: JFIF, or Adobe's transform (ISO/IEC 10918-5 and 6). None
    where they do not say."""
    for marker, content in _jpeg_segments(stream):
        if marker == 0xEE and content[:5] == b"Adobe" and len(content) >= 12:
            return content[11] == 1
        if marker == 0xE0 and content[:5] == b"JFIF\0":
            return True
    return None


def _jpeg_segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment before the first scan."""
    offset = 2
    while offset + 4 <= len(stream) and stream[offset] == 0xFF:
        marker = stream[offset + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:  # a fill byte, or a marker alone
            offset += 1 if marker == 0xFF else 2
            continue
        size = int.from_bytes(stream[offset + 2:offset + 4], "big")
        if size < 2:
            return
        yield marker, stream[offset + 4:offset + 2 + size]
        if marker == _START_OF_SCAN:
            return
        offset += 2 + size


def _jpeg_frames(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Rows, columns and samples of each frame header before the first scan."""
    for marker, content in _jpeg_segments(stream):
        if marker in _FRAMES and len(content) >= 6:
            yield int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big"), content[5]


def _j2k_frame(stream: bytes) -> list[tuple[int, int, int]]:
    # Some writers wrap the stream in JP2 boxes, against PS3.5 A.4.4; the decoder reads both.
    start = stream.find(_J2K_START, 0, 4096)
    if start < 0 or start + 42 > len(stream):
        return []
    width, height, left, top = (
        int.from_bytes(stream[start + at:start + at + 4], "big") for at in (8, 12, 16, 20)
    )
    return [(height - top, width - left, int.from_bytes(stream[start + 40:start + 42], "big"))]
