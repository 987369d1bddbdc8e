"""Series of an asymmetric phantom, as files and as headers, and what other software reads of them."""

from __future__ import annotations

import gzip
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from pydicom import Dataset

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from vigil.intake.header import read_header
from vigil.intake.stack import SliceStack, build_stack

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
FEET_UP = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def oblique() -> tuple[float, ...]:
    """Turned about two axes: no direction cosine is zero."""
    nod, turn = np.deg2rad(20), np.deg2rad(12)
    about_x = np.array([[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]])
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    rotation = about_z @ about_x
    return (*rotation[:, 0].tolist(), *rotation[:, 1].tolist())


def lopsided(shape: tuple[int, int, int] = (9, 20, 14), seed: int = 3) -> NDArray[np.float32]:
    """HU that are the same in no mirror: a gradient along each axis, noise, and a corner block."""
    z, y, x = np.meshgrid(*(np.arange(count) for count in shape), indexing="ij")
    noise = np.random.default_rng(seed).normal(0, 20, shape)
    hu = (7.0 * z + 3.0 * y - 5.0 * x + noise).round().astype(np.float32)
    hu[: shape[0] // 3, : shape[1] // 4, : shape[2] // 4] = 900.0
    return hu


def series(hu: NDArray[np.float32], acquisition: Acquisition) -> list[Dataset]:
    return list(ct_series(hu, acquisition))


def stack_of(datasets: Sequence[Dataset]) -> tuple[SliceStack, dict[str, bytes]]:
    """The stack, its images arriving in no order, and the files by Orthanc id."""
    files = {f"image-{index}": dicom_bytes(dataset) for index, dataset in enumerate(datasets)}
    shuffled = sorted(files, key=lambda name: hash((name, "shuffled")))
    return build_stack([read_header(name, files[name]) for name in shuffled]), files


def read_by_simpleitk(datasets: Sequence[Dataset], folder: Path) -> SimpleITK.Image:
    """The series as SimpleITK's own reader (GDCM) orders and reads it."""
    for index, dataset in enumerate(datasets):
        (folder / f"{index:04}.dcm").write_bytes(dicom_bytes(dataset))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def read_by_dcm2niix(
    datasets: Sequence[Dataset], folder: Path, pattern: str = "*.nii"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The series as dcm2niix orders and reads it: voxels [slice, row, column] and their affine to LPS."""
    sent, made = folder / "sent", folder / "made"
    sent.mkdir()
    made.mkdir()
    for index, dataset in enumerate(datasets):
        (sent / f"{index:04}.dcm").write_bytes(dicom_bytes(dataset))
    subprocess.run(["dcm2niix", "-z", "n", "-b", "n", "-f", "%s", "-o", str(made), str(sent)], check=True, capture_output=True)
    found, = made.glob(pattern)
    return read_nifti(found)


def read_nifti(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """NIfTI-1, little endian: values [k, j, i] and the affine of (k, j, i) to LPS (nifti1.h: method 3, axes RAS)."""
    content = path.read_bytes() if path.suffix != ".gz" else gzip.decompress(path.read_bytes())
    dimensions = struct.unpack_from("<8h", content, 40)
    dtype = {2: "u1", 4: "<i2", 8: "<i4", 16: "<f4", 512: "<u2"}[struct.unpack_from("<h", content, 70)[0]]
    offset, slope, intercept = struct.unpack_from("<3f", content, 108)
    shape = dimensions[3:0:-1]
    values = np.frombuffer(content, dtype, int(np.prod(shape)), int(offset)).reshape(shape).astype(np.float64)
    rows = np.array(struct.unpack_from("<12f", content, 280)).reshape(3, 4)
    affine = np.eye(4)
    affine[:3] = np.diag([-1.0, -1.0, 1.0]) @ rows[:, [2, 1, 0, 3]]
    return values * (slope or 1.0) + intercept, affine


def affine_of_image(image: SimpleITK.Image) -> NDArray[np.float64]:
    """Of SimpleITK's (column, row, slice) index, turned to (slice, row, column)."""
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3] = direction[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine
