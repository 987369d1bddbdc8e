"""Compressed images to a float32 volume: the product beside each decoder that Python can call, used as quickly as it goes."""

# SimpleITK has no type annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import SimpleITK
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, HTJ2KLossless, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from benchmark import studies
from benchmark.case import Case, Effort
from benchmark.cases.readers import write
from benchmark.findings import Figure, Findings, Target
from benchmark.statistics import median, ratio
from benchmark.stopwatch import now
from hospital.ct_series import dicom_bytes
from vigil.imaging.arrived import read_arrived
from vigil.imaging.load import load_stack
from vigil.intake.header import ImageHeader
from vigil.intake.stack import build_stack
from vigil.pipeline.arrivals import WORKERS

SLICES = 60
MOST = 1.2
"""Times the fastest decoder."""
NOTE = (
    "{slices} slices of 512² of the synthetic head to a float32 volume in memory, by the clock, on {cores} processors. Vigil "
    "takes the DICOM files: it parses, hashes and checks them, decodes and rescales, as when they arrive, in its {workers} "
    "threads. The others are handed the bare streams, decode and rescale, in a thread a processor; GDCM (SimpleITK) takes the "
    "files. In turns, in one process. All lossless; JPEG Baseline and Extended go through the same call of libjpeg-turbo as JPEG "
    "Lossless."
)

Plane = NDArray[Any]
Decode = Callable[[bytes], Plane]


@dataclass(frozen=True)
class Syntax:
    """``encode``: a plane of 12 bits in a word to its stream. ``decoders``: from a stream to the plane, by name."""

    uid: str
    encode: Callable[[NDArray[np.uint16]], bytes | bytearray]
    decoders: Mapping[str, Decode]


SHAPE = (studies.MATRIX, studies.MATRIX)


def _rle(plane: NDArray[np.uint16]) -> bytes:
    """PS3.5 annex G: the high bytes, then the low ones, each row by itself."""
    segments = []
    for part in (plane >> 8, plane & 0xFF):
        packed = b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in part.astype(np.uint8))
        segments.append(packed + b"\0" * (len(packed) % 2))
    offsets = np.zeros(16, "<u4")
    offsets[:3] = 2, 64, 64 + len(segments[0])
    return offsets.tobytes() + b"".join(segments)


SYNTAXES = {
    "RLE": Syntax(RLELossless, _rle, {
        "imagecodecs dicomrle": lambda stream: np.frombuffer(
            imagecodecs.dicomrle_decode(stream, np.dtype("<u2")), "<u2").reshape(SHAPE),
    }),
    "JPEG Lossless": Syntax(JPEGLosslessSV1, lambda plane: imagecodecs.ljpeg_encode(plane, bitspersample=12), {
        "imagecodecs jpeg8 (libjpeg-turbo)": imagecodecs.jpeg8_decode,
        "imagecodecs ljpeg (liblj92)": imagecodecs.ljpeg_decode,
        "imagecodecs jpegsof3": imagecodecs.jpegsof3_decode,
    }),
    "JPEG-LS": Syntax(JPEGLSLossless, imagecodecs.jpegls_encode, {
        "imagecodecs jpegls (CharLS)": imagecodecs.jpegls_decode,
    }),
    "JPEG 2000": Syntax(
        JPEG2000Lossless,
        lambda plane: imagecodecs.jpeg2k_encode(plane, codecformat="j2k", reversible=True, bitspersample=12, numthreads=1),
        {"imagecodecs jpeg2k (OpenJPEG)": imagecodecs.jpeg2k_decode}),
    "HTJ2K": Syntax(HTJ2KLossless, lambda plane: imagecodecs.htj2k_encode(plane, level=None), {
        "imagecodecs jpeg2k (OpenJPEG)": imagecodecs.jpeg2k_decode,
        "imagecodecs htj2k (OpenJPH)": imagecodecs.htj2k_decode,
    }),
}  # fmt: skip
READ_BY_GDCM = frozenset({"RLE", "JPEG Lossless", "JPEG-LS", "JPEG 2000"})


def compressed(case: Case, effort: Effort) -> Findings:
    images = studies.large_images(SLICES)
    figures: list[Figure] = []
    targets: list[Target] = []
    for name, syntax in SYNTAXES.items():
        spent = _measured(name, syntax, images, effort)
        ours = spent.pop("Vigil")
        figures.append(Figure.of(f"{name}: Vigil", "s", ours))
        figures += [Figure.of(f"{name}: {other}", "s", values) for other, values in spent.items()]
        fastest = min(spent, key=lambda other: median(spent[other]).value)
        targets.append(Target(f"{name}: Vigil / {fastest}", MOST, True, "×", ratio(ours, spent[fastest])))
    note = NOTE.format(slices=SLICES, cores=os.cpu_count(), workers=WORKERS)
    return Findings(case.name, case.title, note, figures=tuple(figures), targets=tuple(targets))


def _measured(name: str, syntax: Syntax, images: Sequence[Dataset], effort: Effort) -> dict[str, list[float]]:
    """Wall seconds by reader; every one must make the volume of the plain pixels."""
    planes = [np.frombuffer(image.PixelData, "<u2").reshape(SHAPE) for image in images]
    wanted = np.stack(planes).astype(np.float32) - 1024
    with ThreadPoolExecutor() as pool:
        streams = [bytes(stream) for stream in pool.map(syntax.encode, planes)]
    files = [_file(image, stream, syntax.uid) for image, stream in zip(images, streams, strict=True)]
    paths = write(effort.folder / name, tuple(files))
    readers: dict[str, Callable[[], NDArray[np.float32]]] = {"Vigil": lambda: _vigil(files)}
    readers |= {other: lambda decode=decode: _others(streams, decode) for other, decode in syntax.decoders.items()}  # type: ignore[misc]
    if name in READ_BY_GDCM:
        readers["GDCM (SimpleITK)"] = lambda: _gdcm(paths)
    spent: dict[str, list[float]] = {reader: [] for reader in readers}
    for turn in range(effort.repeats + 1):
        for reader, read in readers.items():
            begun = now()
            voxels = read()
            if turn:  # the first is for warmth
                spent[reader].append((now() - begun).wall_s)
            elif not np.array_equal(voxels, wanted):
                raise AssertionError(f"{name}: {reader} made another volume")
    return spent


def _vigil(files: Sequence[bytes]) -> NDArray[np.float32]:
    """As images that arrive, by as many threads as the product has for it."""
    by_id = {f"{index:04d}": dicom for index, dicom in enumerate(files)}
    with ThreadPoolExecutor(WORKERS) as pool:
        read = dict(zip(by_id, pool.map(lambda item: read_arrived(item[0], item[1], _wanted), by_id.items()), strict=True))
    stack = build_stack([header for header, _ in read.values()])
    return load_stack(stack, by_id.get, held=lambda header: read[header.orthanc_id][1]).volume.voxels


def _wanted(header: ImageHeader) -> bool:
    return header.has_pixel_data


def _others(streams: Sequence[bytes], decode: Decode) -> NDArray[np.float32]:
    voxels = np.empty((len(streams), *SHAPE), np.float32)

    def one(index: int) -> None:
        np.subtract(decode(streams[index]), np.float32(1024), out=voxels[index], dtype=np.float32)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, range(len(streams))))
    return voxels


def _gdcm(paths: Sequence[Path]) -> NDArray[np.float32]:
    voxels = np.empty((len(paths), *SHAPE), np.float32)

    def one(index: int) -> None:
        voxels[index] = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(paths[index]), SimpleITK.sitkFloat32))[0]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, range(len(paths))))
    return voxels


def _file(image: Dataset, stream: bytes, uid: str) -> bytes:
    compressed_image = deepcopy(image)
    compressed_image.file_meta.TransferSyntaxUID = UID(uid)
    compressed_image.PixelData = encapsulate([stream])
    compressed_image["PixelData"].VR = "OB"
    return dicom_bytes(compressed_image)
