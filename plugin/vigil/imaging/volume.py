"""A volume in patient space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels with their place in the patient.

    ``voxels``: float32, [slice, row, column], in HU for CT. ``affine``: 4 x 4, maps (slice, row, column, 1) to DICOM
    patient coordinates (LPS) in mm: the centre of a voxel.
    """

    voxels: NDArray[np.float32]
    affine: NDArray[np.float64]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Slice, row and column spacing."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def voxel_ml(self) -> float:
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0
