"""A volume in the axes of neuroimaging (x to the right, y to the front, z to the head), and nearest-exact sampling.

Networks trained on NIfTI files expect these axes ("canonical RAS"); DICOM's patient axes run to the left and to the back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.imaging.geometry import Reorientation, to_patient_axes
from vigil.imaging.volume import Volume


@dataclass(frozen=True)
class Canonical:
    """The way from a volume's own axes to RAS and back: axes permuted and flipped, nothing interpolated."""

    turned: Reorientation

    @classmethod
    def of(cls, volume: Volume) -> Canonical:
        return cls(to_patient_axes(volume.affine))

    def apply(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """[slice, row, column] of the source as [x, y, z] in RAS. A view."""
        return self.turned.apply(array).transpose(2, 1, 0)[::-1, ::-1, :]

    def undo(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """[x, y, z] in RAS as [slice, row, column] of the source. A view."""
        return self.turned.undo(array[::-1, ::-1, :].transpose(2, 1, 0))


def nearest_exact(array: NDArray[np.generic], shape: tuple[int, int, int]) -> NDArray[np.generic]:
    """Sampled at the nearest centre, as ``mode="nearest-exact"`` of PyTorch does it, in its arithmetic (float32)."""
    return array[np.ix_(*(_nearest(had, want) for had, want in zip(array.shape, shape, strict=True)))]


def _nearest(count: int, new_count: int) -> NDArray[np.intp]:
    scale = np.float32(count) / np.float32(new_count)
    centres = (np.arange(new_count, dtype=np.float32) + np.float32(0.5)) * scale
    indices: NDArray[np.intp] = np.minimum(np.floor(centres).astype(np.intp), count - 1)
    return indices
