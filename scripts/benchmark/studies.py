"""The studies that are measured, as the bytes that lie in Orthanc's storage: seeded, so that every run has the same ones."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from hospital.ct_head import ct_head, with_insert
from hospital.ct_series import Acquisition, Patient, ct_series, dicom_bytes
from hospital.hospital import BRAIN_MODEL, MODEL
from hospital.mr_head import mr_head, mr_series
from hospital.orthanc import REPOSITORY
from hospital.phantom import Head, phantom

CACHE = REPOSITORY / "build" / "bench-cache"
SLICES, MATRIX = 300, 512
LARGE_HEAD = Head(
    slices=SLICES, matrix=MATRIX, spacing_mm=(0.6, 0.45, 0.45), insert_ml=20.0, oversampling=1, noise_hu=4.0, seed=1
)
"""180 x 230 x 230 mm, with the noise of a scanner and a dense insert, so that there is something to outline and to show."""


@dataclass(frozen=True)
class Study:
    """``files``: one image each, in the order in which a scanner sends them. ``model_id``: the model that looks at it."""

    label: str
    model_id: str
    files: tuple[bytes, ...]
    study_uid: str
    shape: tuple[int, int, int]

    @property
    def volume_bytes(self) -> int:
        """Of its voxels as float32."""
        slices, rows, columns = self.shape
        return 4 * slices * rows * columns


def large_ct(seed: str = "bench", *, compressed: bool = False, slices: int = SLICES) -> Study:
    """The synthetic CT head of 300 x 512 x 512; ``compressed``: JPEG-LS, lossless. ``slices``: only the first so many."""
    images = list(ct_series(_large_hu()[:slices], _acquisition(f"{seed} {compressed}", LARGE_HEAD.spacing_mm), _patient(seed)))
    if compressed:
        for image, stream in zip(images, _large_streams(), strict=False):
            image.PixelData = encapsulate([stream])
            image["PixelData"].VR = "OB"
            image.file_meta.TransferSyntaxUID = JPEGLSLossless
    kind = "JPEG-LS" if compressed else "uncompressed"
    return _study(f"CT head, {slices} × {MATRIX}², {kind}", MODEL, images)


def large_images(slices: int) -> list[Dataset]:
    """The first so many slices of the same head, uncompressed, each 12 bits in a word."""
    return list(ct_series(_large_hu()[:slices], _acquisition("images", LARGE_HEAD.spacing_mm), _patient("images")))


def many(seed: str, count: int, matrix: int) -> Study:
    """``count`` slices of ``matrix`` x ``matrix``, all of one picture, in one series that declares them."""
    plane = _large_hu()[SLICES // 2, ::MATRIX // matrix, ::MATRIX // matrix]
    hu = np.broadcast_to(plane, (count, *plane.shape)) + (np.arange(count) % 50).reshape(-1, 1, 1)
    images = list(ct_series(hu, _acquisition(f"{seed} {count}", (0.5, 0.9, 0.9)), _patient(seed)))
    return _study(f"CT, {count} × {matrix}²", MODEL, images)


def demo_ct(seed: str = "bench") -> Study:
    """The real CT head of the demo, with its insert."""
    hu, spacing_mm = ct_head()
    changed, _ = with_insert(hu, spacing_mm)
    images = list(ct_series(changed, _acquisition(f"{seed} demo ct", spacing_mm), _patient(seed)))
    return _study("CT head of the demo, 108 × 256²", MODEL, images)


def demo_mr(seed: str = "bench") -> Study:
    """The real T1 MR head of the demo."""
    head = mr_head()
    images = list(mr_series(head, f"{seed} demo mr", _patient(seed), accession="BENCH", declare_images=True))
    return _study("T1 MR head of the demo, 181 × 181 × 217", BRAIN_MODEL, images)


@cache
def _large_hu() -> NDArray[np.float32]:
    """Made once and kept under build/, by the name of all that it is made from: every case has a process of its own."""
    made_from = repr(LARGE_HEAD).encode() + Path(inspect.getfile(phantom)).read_bytes()
    kept = CACHE / f"head-{sha256(made_from).hexdigest()[:16]}.npy"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = CACHE / f"{os.getpid()}.npy"  # whole or not at all
        np.save(partial, phantom(LARGE_HEAD))
        partial.replace(kept)
    hu: NDArray[np.float32] = np.load(kept)
    return hu


@cache
def _large_streams() -> tuple[bytes, ...]:
    """Its slices as JPEG-LS, the same whatever the UIDs are."""
    images = ct_series(_large_hu(), _acquisition("", LARGE_HEAD.spacing_mm), _patient(""))
    planes = (np.frombuffer(image.PixelData, "<u2").reshape(image.Rows, image.Columns) for image in images)
    with ThreadPoolExecutor() as pool:
        return tuple(bytes(stream) for stream in pool.map(imagecodecs.jpegls_encode, planes))


def _acquisition(seed: str, spacing_mm: tuple[float, float, float]) -> Acquisition:
    return Acquisition(seed, spacing_mm, accession="BENCH", declare_images=True)


def _patient(seed: str) -> Patient:
    return Patient(name="Vigil^Bench", patient_id=f"VIGIL-BENCH-{seed}"[:64])


def _study(label: str, model_id: str, images: Sequence[Dataset]) -> Study:
    first = images[0]
    return Study(
        label, model_id, tuple(dicom_bytes(image) for image in images), str(first.StudyInstanceUID),
        (len(images), int(first.Rows), int(first.Columns)),
    )  # fmt: skip
