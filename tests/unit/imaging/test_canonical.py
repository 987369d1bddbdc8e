"""Axes of neuroimaging and back, and sampling at the nearest centre."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imaging_cases import AXIAL, CORONAL, FEET_UP, SAGITTAL, lopsided, oblique, series, stack_of

from hospital.ct_series import Acquisition
from vigil.imaging.canonical import Canonical, nearest_exact
from vigil.imaging.load import load_volume


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, CORONAL, FEET_UP, oblique()])
def test_each_canonical_axis_grows_to_the_right_the_front_and_the_head(orientation: tuple[float, ...]) -> None:
    acquisition = Acquisition("canonical", (3.0, 1.5, 1.0), orientation=orientation)  # type: ignore[arg-type]
    stack, files = stack_of(series(lopsided(), acquisition))
    volume = load_volume(stack, files.get)
    places = np.indices(volume.voxels.shape).reshape(3, -1)
    in_mm = (volume.affine[:3, :3] @ places).reshape(3, *volume.voxels.shape)
    canonical = Canonical.of(volume)
    x, y, z = (np.asarray(canonical.apply(axis)) for axis in in_mm)
    # Patient coordinates grow to the left, to the back and to the head.
    assert (np.diff(x, axis=0) < 0).all()
    assert (np.diff(y, axis=1) < 0).all()
    assert (np.diff(z, axis=2) > 0).all()
    assert np.array_equal(canonical.undo(canonical.apply(volume.voxels)), volume.voxels)


@given(st.integers(1, 400), st.integers(1, 400))
def test_each_sample_is_the_voxel_in_which_its_centre_lies(count: int, new_count: int) -> None:
    taken = nearest_exact(np.arange(count).reshape(count, 1, 1), (new_count, 1, 1)).ravel()
    exact = [(2 * place + 1) * count // (2 * new_count) for place in range(new_count)]
    # A centre on the border of two voxels belongs to either: the arithmetic is that of float32.
    ties = [((2 * place + 1) * count) % (2 * new_count) == 0 for place in range(new_count)]
    assert all(int(got) == want or (tie and int(got) == want - 1) for got, want, tie in zip(taken, exact, ties, strict=True))


def test_the_same_shape_is_the_same_array() -> None:
    array = lopsided()
    assert np.array_equal(nearest_exact(array, (9, 20, 14)), array)
