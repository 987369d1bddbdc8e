"""Shapes of masks: parts, growth, holes. [slice, row, column], bool; done by SimpleITK, which lets go of the interpreter lock."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_itk: Any = SimpleITK  # it has no types


def largest_part(mask: Mask) -> Mask:
    """The largest part connected by faces; nothing where there is nothing."""
    return _parts_by_size(mask) == 1


def without_small_parts(mask: Mask, least_voxels: int) -> Mask:
    """Without parts (connected by faces) of fewer voxels."""
    labels = _itk.ConnectedComponent(_image(mask))
    kept: Mask = _array(_itk.RelabelComponent(labels, minimumObjectSize=least_voxels)) > 0
    return kept


def grown(mask: Mask, radius: tuple[int, int, int]) -> Mask:
    """By an ellipsoid of these half axes, in voxels: slice, row, column."""
    bigger: Mask = _array(_itk.BinaryDilate(_image(mask), radius[::-1], _itk.sitkBall)) > 0
    return bigger


def without_holes(mask: Mask) -> Mask:
    """With every hole closed that does not reach the border of the array."""
    filled: Mask = _array(_itk.BinaryFillhole(_image(mask))) > 0
    return filled


def _parts_by_size(mask: Mask) -> NDArray[np.integer]:
    return _array(_itk.RelabelComponent(_itk.ConnectedComponent(_image(mask)), sortByObjectSize=True))


def _image(mask: Mask) -> Any:
    return _itk.GetImageFromArray(np.ascontiguousarray(mask).view(np.uint8))


def _array(image: Any) -> NDArray[np.integer]:
    array: NDArray[np.integer] = _itk.GetArrayFromImage(image)
    return array
