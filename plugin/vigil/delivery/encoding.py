"""Lossless re-encoding at sending time: the object stays the same instance, bit for bit in its pixels, under its own UID.

A lossless transfer syntax is a matter of transport (PS3.5 Annex A, PS3.4 B.4.1.3): neither SOP Instance UID nor Image Type nor
Lossy Image Compression change. imagecodecs encodes, because it lets go of the interpreter lock meanwhile (law 1).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from vigil.results.viewer_profile import Encoding

_RLE_SEGMENTS = 15


def possible_syntaxes(header: Dataset, encodings: Sequence[Encoding]) -> tuple[UID, ...]:
    """The transfer syntaxes that an object can be sent in, in order of preference: those of ``encodings`` where its pixels allow
    them. ``header``: the object, with or without its pixels. What is compressed already travels as it is."""
    own = UID(header.file_meta.TransferSyntaxUID)
    if own not in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        return (own,)
    if not _compressible(header):
        return Encoding.UNCOMPRESSED.transfer_syntaxes  # text and bits have no other encoding
    return tuple(syntax for encoding in encodings for syntax in encoding.transfer_syntaxes)


def reencode(dataset: Dataset, syntax: UID) -> None:
    """Changes the object to ``syntax``, one of its :func:`possible_syntaxes`."""
    if not syntax.is_compressed or syntax == dataset.file_meta.TransferSyntaxUID:
        return  # pynetdicom turns explicit into implicit VR itself
    frames = [_ENCODERS[syntax](frame) for frame in _frames(dataset)]
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == JPEG2000Lossless and dataset.SamplesPerPixel == 3:
        dataset.PhotometricInterpretation = "YBR_RCT"  # PS3.5 8.2.4: the reversible colour transform inside the codestream
    dataset.add_new("PixelData", "OB", encapsulate(frames))
    dataset["PixelData"].is_undefined_length = True


def _compressible(header: Dataset) -> bool:
    """Whole bytes, grey or interleaved colour: not the bits of a binary segmentation (PS3.5 8.2)."""
    return (
        header.get("BitsAllocated") in (8, 16) and header.get("BitsAllocated") == header.get("BitsStored", 0)
        and header.get("PixelRepresentation") == 0
        and (((header.get("SamplesPerPixel"), header.get("PhotometricInterpretation")) == (3, "RGB")
             and header.get("PlanarConfiguration") == 0)
             or header.get("SamplesPerPixel") == 1)
    )


def _frames(dataset: Dataset) -> list[NDArray[Any]]:
    """[row, column] or [row, column, sample] of each frame."""
    samples = int(dataset.SamplesPerPixel)
    shape: tuple[int, ...] = (int(dataset.get("NumberOfFrames", 1) or 1), int(dataset.Rows), int(dataset.Columns))
    if samples > 1:
        shape = (*shape, samples)
    kind = np.dtype("<u1" if dataset.BitsAllocated == 8 else "<u2")
    values = np.frombuffer(dataset.PixelData, kind, count=int(np.prod(shape)))
    return list(values.reshape(shape))


def _rle(frame: NDArray[Any]) -> bytes:
    """PS3.5 Annex G: a header of 64 bytes, then a segment for each byte of each sample, most significant byte first. Rows are
    packed one by one, which PackBits of a two-dimensional array does."""
    planes = frame[..., None] if frame.ndim == 2 else frame
    segments: list[bytes] = []
    for sample in range(planes.shape[2]):
        octets = np.ascontiguousarray(planes[..., sample]).view(np.uint8).reshape(*frame.shape[:2], -1)
        for octet in reversed(range(octets.shape[2])):
            packed = bytes(imagecodecs.packbits_encode(np.ascontiguousarray(octets[..., octet])))
            segments.append(packed + b"\0" * (len(packed) % 2))
    offsets, place = [], 64
    for segment in segments:
        offsets.append(place)
        place += len(segment)
    header = struct.pack("<16L", len(segments), *offsets, *[0] * (_RLE_SEGMENTS - len(offsets)))
    return header + b"".join(segments)


def _jpeg_ls(frame: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.jpegls_encode(frame, level=0))


def _jpeg_2000(frame: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True, mct=True))


_ENCODERS: dict[UID, Callable[[NDArray[Any]], bytes]] = {
    RLELossless: _rle, JPEGLSLossless: _jpeg_ls, JPEG2000Lossless: _jpeg_2000,
}
