"""A T1 MR head of ellipsoids that is no patient's: bright scalp, dark bone, dark water, bright brain. The same in no mirror: its
left half is wider, and the left ventricle larger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AIR, SCALP, BONE, WATER, GREY, WHITE = 10, 180, 20, 60, 140, 170
WATER_MM, BONE_MM, SCALP_MM, CORTEX_MM = 4.0, 6.0, 8.0, 12.0


@dataclass(frozen=True)
class MrPhantom:
    """``half_mm``: half axes of the brain, of slices, rows and columns. ``wider``: its left half, against the right one."""

    shape: tuple[int, int, int] = (52, 60, 48)
    spacing_mm: tuple[float, float, float] = (4.0, 4.0, 4.0)
    half_mm: tuple[float, float, float] = (62.0, 85.0, 67.0)
    wider: float = 1.1


def mr_phantom(head: MrPhantom = MrPhantom()) -> NDArray[np.float32]:
    """[slice, row, column]: to the head, the back and the left."""
    z, y, x = np.meshgrid(
        *((np.arange(count) - (count - 1) / 2) * spacing for count, spacing in zip(head.shape, head.spacing_mm, strict=True)),
        indexing="ij")
    x = np.where(x > 0, x / head.wider, x)

    def inside(grown_mm: float) -> NDArray[np.bool_]:
        high, deep, wide = (half + grown_mm for half in head.half_mm)
        within: NDArray[np.bool_] = (z / high) ** 2 + (y / deep) ** 2 + (x / wide) ** 2 < 1
        return within

    values = np.full(head.shape, AIR, np.float32)
    values[inside(WATER_MM + BONE_MM + SCALP_MM)] = SCALP
    values[inside(WATER_MM + BONE_MM)] = BONE
    values[inside(WATER_MM)] = WATER
    values[inside(0.0)] = GREY
    values[inside(-CORTEX_MM)] = WHITE
    values[(z / 12) ** 2 + (y / 30) ** 2 + ((x - 14) / 10) ** 2 < 1] = WATER
    values[(z / 12) ** 2 + (y / 30) ** 2 + ((x + 12) / 6) ** 2 < 1] = WATER
    return values
