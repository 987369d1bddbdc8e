"""Axes of the patient, from any affine."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from imaging_cases import oblique

from vigil.imaging.geometry import to_patient_axes

EVERY_ORIENTATION = list(product(permutations(range(3)), product((1, -1), repeat=3)))


@pytest.mark.parametrize(("axes", "signs"), EVERY_ORIENTATION)
def test_every_right_angled_orientation_is_turned_to_head_back_and_left(
    axes: tuple[int, int, int], signs: tuple[int, int, int]
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (patient, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[patient, axis] = sign * (axis + 1)
    index = np.stack(np.meshgrid(*(np.arange(count) for count in (3, 4, 5)), indexing="ij"), axis=-1)
    position = index @ affine[:3, :3].T  # x, y, z of each voxel
    turned = to_patient_axes(affine)
    x, y, z = (turned.apply(np.ascontiguousarray(position[..., patient])) for patient in range(3))
    assert (np.diff(z, axis=0) > 0).all()
    assert (np.diff(y, axis=1) > 0).all()
    assert (np.diff(x, axis=2) > 0).all()


@pytest.mark.parametrize(("axes", "signs"), EVERY_ORIENTATION)
def test_turning_back_gives_the_array_again(axes: tuple[int, int, int], signs: tuple[int, int, int]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (patient, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[patient, axis] = sign
    array = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    turned = to_patient_axes(affine)
    np.testing.assert_array_equal(turned.undo(turned.apply(array)), array)


def test_an_oblique_axial_volume_keeps_its_axes() -> None:
    row, column = np.array(oblique()[:3]), np.array(oblique()[3:])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = np.cross(row, column) * 5, column, row
    turned = to_patient_axes(affine)
    assert (turned.axes, turned.flipped) == ((0, 1, 2), (False, False, False))
