"""Heads as volumes: the synthetic one, and the real one of Debian's package, as they come from a scanner."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hospital.ct_head import ct_head
from hospital.phantom import Head, phantom
from vigil.imaging.volume import Volume


def axial(hu: NDArray[np.number], spacing_mm: tuple[float, float, float]) -> Volume:
    """Slices to the head, rows to the back, columns to the left."""
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.diag(spacing_mm[::-1]))
    return Volume(np.ascontiguousarray(hu, np.float32), affine)


@cache
def synthetic_head() -> Volume:
    return axial(phantom(Head()), Head().spacing_mm)


@cache
def real_head() -> Volume:
    return axial(*ct_head())


def changed(volume: Volume, voxels: NDArray[np.floating]) -> Volume:
    return Volume(np.ascontiguousarray(voxels, np.float32), volume.affine)


def in_a_circle(volume: Volume, outside: float = -2000.0) -> Volume:
    """As a scanner fills what lies outside of the circle that it reconstructs."""
    _, rows, columns = volume.voxels.shape
    row, column = np.ogrid[:rows, :columns]
    radius = np.hypot(row - (rows - 1) / 2, column - (columns - 1) / 2)
    return changed(volume, np.where(radius <= min(rows, columns) / 2, volume.voxels, outside))
