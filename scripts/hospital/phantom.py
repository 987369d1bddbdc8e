"""A synthetic head: skull, brain, ventricles, scalp, air, noise, and a hyperdense insert of known volume.

Deterministic for a seed, quick to make, and shaped so that whatever is analysed in a head can be found in it. Axes as
DICOM's patient: slices run to the head, rows to the back, columns to the left of the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

AIR, SCALP, BONE, BRAIN, CSF = -1000.0, 40.0, 1000.0, 35.0, 8.0
INNER_TABLE_MM = (68.0, 84.0, 66.0)
"""Half axes of the cavity: column (left), row (posterior), slice (head). 1579 mL."""
SCALP_MM, SKULL_MM = 5.0, 6.0


@dataclass(frozen=True)
class Head:
    """How the head is made. Distances in mm from the middle of the field of view, as (column, row, slice).

    ``insert_ml``: volume of a hyperdense sphere (None: there is none) of ``insert_hu`` at ``insert_at_mm``.
    ``extra_axial_mm``: thickness of a hyperdense crescent along the inner table of the left side (None: there is none).
    ``marker``: a dense ball in the left cheek, so that no mirror image passes for the head. ``tilt_degrees``: the head
    turned about the left-right axis (nodding), then a third of it about the axis of the body. ``oversampling``: points
    a voxel and axis, for partial volume.
    """

    slices: int = 40
    matrix: int = 128
    spacing_mm: tuple[float, float, float] = (4.0, 1.8, 1.8)
    insert_ml: float | None = None
    insert_hu: float = 70.0
    insert_at_mm: tuple[float, float, float] = (-24.0, 12.0, 14.0)
    extra_axial_mm: float | None = None
    noise_hu: float = 4.0
    marker: bool = False
    tilt_degrees: float = 0.0
    oversampling: int = 2
    seed: int = 1


def phantom(head: Head = Head()) -> NDArray[np.float32]:
    """HU [slice, row, column]."""
    shape = (head.slices, head.matrix, head.matrix)
    fine = tuple(count * head.oversampling for count in shape)
    step = tuple(spacing / head.oversampling for spacing in head.spacing_mm)
    z, y, x = (
        ((np.arange(count, dtype=np.float32) + 0.5) - count / 2) * spacing for count, spacing in zip(fine, step, strict=True)
    )
    volume = np.empty(shape, np.float32)
    for index in range(head.slices):
        rows = slice(index * head.oversampling, (index + 1) * head.oversampling)
        hu = _tissue(head, *_turned(head, x[None, None, :], y[None, :, None], z[rows][:, None, None]))
        blocks = hu.reshape(head.oversampling, head.matrix, head.oversampling, head.matrix, head.oversampling)
        volume[index] = blocks.mean(axis=(0, 2, 4))
    if head.noise_hu:
        volume += np.random.default_rng(head.seed).normal(0, head.noise_hu, shape).astype(np.float32)
    return np.maximum(volume, -1024.0)


def crescent_ml(head: Head) -> float:
    """Volume of the extra-axial crescent, by counting (it has no formula)."""
    fine = Head(200, 200, (1.0, 1.0, 1.0), extra_axial_mm=head.extra_axial_mm, noise_hu=0, oversampling=1)
    return float((phantom(fine) == fine.insert_hu).sum()) / 1000.0


def _turned(
    head: Head, x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    if not head.tilt_degrees:
        return x, y, z
    nod, turn = head.tilt_degrees * pi / 180, head.tilt_degrees * pi / 540
    y, z = (np.cos(nod) * y - np.sin(nod) * z).astype(np.float32), (np.sin(nod) * y + np.cos(nod) * z).astype(np.float32)
    x, y = (np.cos(turn) * x - np.sin(turn) * y).astype(np.float32), (np.sin(turn) * x + np.cos(turn) * y).astype(np.float32)
    return x, y, z


def _tissue(head: Head, x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32]) -> NDArray[np.float32]:
    a, b, c = INNER_TABLE_MM

    def ellipsoid(grow: float, at: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> NDArray[np.float32]:
        ratio: NDArray[np.float32] = (
            ((x - at[0]) / (a + grow)) ** 2 + ((y - at[1]) / (b + grow)) ** 2 + ((z - at[2]) / (c + grow)) ** 2
        )
        return ratio

    cavity = ellipsoid(0.0)
    hu = np.full(cavity.shape, AIR, np.float32)
    hu[ellipsoid(SKULL_MM + SCALP_MM) <= 1] = SCALP
    hu[ellipsoid(SKULL_MM) <= 1] = BONE
    inside = cavity <= 1
    hu[inside] = CSF
    hu[ellipsoid(-2.0) <= 1] = BRAIN
    for side in (-1, 1):
        hu[((x - side * 12) / 7) ** 2 + ((y + 2) / 26) ** 2 + ((z - 12) / 9) ** 2 <= 1] = CSF
    if head.extra_axial_mm is not None:
        # Between the inner table and the same ellipsoid pushed to the right: a crescent, thickest on the left.
        hu[inside & (ellipsoid(0.0, (-head.extra_axial_mm, 0.0, 0.0)) > 1)] = head.insert_hu
    if head.insert_ml is not None:
        at = head.insert_at_mm
        radius = (3 * head.insert_ml * 1000 / (4 * pi)) ** (1 / 3)
        hu[(x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2 <= radius**2] = head.insert_hu
    if head.marker:
        hu[(x - 40) ** 2 + (y + 70) ** 2 + (z + 40) ** 2 <= 12**2] = 300.0
    return hu
