"""A volume brought onto the voxels of another one, by their places in the patient: rotated, shifted and scaled as their affines
say. Both must lie in one frame of reference; nothing is registered.

Linear, by SimpleITK, which lets go of the interpreter lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from vigil.imaging.volume import Volume

THREADS = 2
SAME_PLACE_MM = 1e-3
SAMPLES = 64
EDGE = 1e-6
"""Of a voxel: what lies beyond an outer edge by less does so by rounding."""

_itk: Any = SimpleITK  # it has no types


def onto(volume: Volume, reference: Volume, outside: float) -> Volume:
    """``volume`` at the centres of the reference's voxels; ``outside`` beyond its field of view (the outer edges of its outermost
    voxels). The very values where both have the same voxels."""
    if same_voxels(volume, reference):
        return volume
    resampler = _itk.ResampleImageFilter()
    resampler.SetSize([int(side) for side in reference.voxels.shape[::-1]])
    spacing, direction, origin = _place(reference.affine)
    resampler.SetOutputSpacing(spacing)
    resampler.SetOutputDirection(direction)
    resampler.SetOutputOrigin(origin)
    resampler.SetInterpolator(_itk.sitkLinear)
    resampler.SetDefaultPixelValue(outside)
    resampler.SetOutputPixelType(_itk.sitkFloat32)
    resampler.SetNumberOfThreads(THREADS)
    image = _itk.GetImageFromArray(volume.voxels)
    spacing, direction, origin = _place(volume.affine)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    image.SetOrigin(origin)
    brought: NDArray[np.float32] = _itk.GetArrayFromImage(resampler.Execute(image))
    return Volume(brought, reference.affine)


def same_voxels(one: Volume, other: Volume) -> bool:
    """Whether every voxel of one lies where that of the other does."""
    if one.voxels.shape != other.voxels.shape:
        return False
    return bool(np.abs((one.affine - other.affine) @ _corners(one)).max() < SAME_PLACE_MM)


def uncovered_share(volume: Volume, reference: Volume) -> float:
    """Share of the reference's voxels whose centre lies outside of the volume's field of view, of at most SAMPLES along each
    axis."""
    way = np.linalg.inv(volume.affine) @ reference.affine
    steps = [-(-side // SAMPLES) for side in reference.voxels.shape]
    index = np.ix_(*(np.arange(step // 2, side, step) for step, side in zip(steps, reference.voxels.shape, strict=True)))
    inside: NDArray[np.bool_] = np.ones(np.broadcast_shapes(*(each.shape for each in index)), np.bool_)
    for axis, side in enumerate(volume.voxels.shape):
        place = way[axis, 0] * index[0] + way[axis, 1] * index[1] + way[axis, 2] * index[2] + way[axis, 3]
        inside &= (place >= -0.5 - EDGE) & (place <= side - 0.5 + EDGE)
    return 1.0 - float(np.count_nonzero(inside)) / inside.size


def _corners(volume: Volume) -> NDArray[np.float64]:
    """Voxel indices of the eight corners, as columns of (slice, row, column, 1)."""
    last = np.array(volume.voxels.shape) - 1
    return np.concatenate([np.array(list(np.ndindex(2, 2, 2))).T * last[:, None], np.ones((1, 8))])


def _place(affine: NDArray[np.float64]) -> tuple[list[float], list[float], list[float]]:
    """Spacing, direction and origin, in SimpleITK's axes: column, row, slice."""
    steps = affine[:3, 2::-1]
    spacing = np.linalg.norm(steps, axis=0)
    return spacing.tolist(), (steps / spacing).ravel().tolist(), affine[:3, 3].tolist()
