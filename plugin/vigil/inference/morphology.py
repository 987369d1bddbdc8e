"""Shapes of masks: parts, growth, holes. [slice, row, column], bool; done by SimpleITK, which lets go of the interpreter lock."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_itk: Any = SimpleITK  # it has no types


def largest_part(mask: Mask) -> Mask:
    """The largest part connected by faces; nothing where there is nothing."""
    largest: Mask = _parts_by_size(mask) == 1
    return largest


def without_small_parts(mask: Mask, least_voxels: int, *, corners: bool = False) -> Mask:
    """Without parts (connected by faces, or by edges and corners too) of fewer voxels."""
    labels = _itk.ConnectedComponent(_image(mask), corners)
    kept: Mask = _array(_itk.RelabelComponent(labels, minimumObjectSize=least_voxels)) > 0
    return kept


def within(mask: Mask, reach_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """Everything at most so far from the mask, centre to centre of voxels. ``spacing_mm``: slice, row, column."""
    result = np.zeros_like(mask)
    box = _box(mask, reach_mm, spacing_mm)
    if box is None:
        return result
    image = _image(mask[box])
    image.SetSpacing(spacing_mm[::-1])
    distance = _itk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=True, useImageSpacing=True)
    # The border of an object lies at zero, its inside below; of what has no border nothing is known.
    result[box] = (_itk.GetArrayViewFromImage(distance) <= reach_mm**2) | mask[box]
    return result


def opened(mask: Mask, radius_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """The largest part of where a ball of this radius fits into the mask. The border of the array is no wall."""
    return within(largest_part(~within(~mask, radius_mm, spacing_mm)), radius_mm, spacing_mm)


def without_holes(mask: Mask) -> Mask:
    """With every hole closed from which no way by faces leads to the border of the array."""
    filled: Mask = _array(_itk.BinaryFillhole(_image(mask))) > 0
    return filled


def mean_of_sections(values: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Of each value the mean over so many to every side of it, within its section [section, ., .]."""
    means: NDArray[np.float32] = _itk.GetArrayFromImage(_itk.Mean(_itk.GetImageFromArray(values), (reach, reach, 0)))
    return means


def largest_cluster(mask: Mask) -> Mask:
    """The largest part connected by faces, edges or corners; nothing where there is nothing."""
    labels = _itk.ConnectedComponent(_image(mask), True)
    largest: Mask = _array(_itk.RelabelComponent(labels, sortByObjectSize=True)) == 1
    return largest


def two_largest(mask: Mask) -> tuple[int, int]:
    """How many voxels the largest part connected by faces has, and the next."""
    sizes = np.bincount(_parts_by_size(mask).ravel(), minlength=3)
    return int(sizes[1]), int(sizes[2])


def count_of_clusters(mask: Mask) -> int:
    """How many parts there are, connected by faces, edges or corners."""
    return int(_array(_itk.ConnectedComponent(_image(mask), True)).max(initial=0))


def _box(mask: Mask, margin_mm: float, spacing_mm: tuple[float, float, float]) -> tuple[slice, slice, slice] | None:
    """What of the array the mask takes up, with a margin; None where it is empty. Regions are small, heads are not."""
    spans = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if used.size == 0:
            return None
        margin = ceil(margin_mm / spacing_mm[axis]) + 1
        spans.append(slice(max(0, int(used[0]) - margin), int(used[-1]) + 1 + margin))
    return spans[0], spans[1], spans[2]


def _parts_by_size(mask: Mask) -> NDArray[np.integer]:
    return _array(_itk.RelabelComponent(_itk.ConnectedComponent(_image(mask)), sortByObjectSize=True))


def _image(mask: Mask) -> Any:
    return _itk.GetImageFromArray(np.ascontiguousarray(mask).view(np.uint8))


def _array(image: Any) -> NDArray[np.integer]:
    array: NDArray[np.integer] = _itk.GetArrayFromImage(image)
    return array
