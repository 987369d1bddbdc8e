"""Any axes, any voxels, and the way back: held to SimpleITK, to PyTorch's definitions, and to the volume itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from imaging_cases import affine_of_image, lopsided, oblique
from numpy.typing import NDArray

from vigil.domain.manifest.preprocessing import ORIENTATIONS
from vigil.imaging.placing import Line, Wanted, place
from vigil.imaging.volume import Volume

AS_IS = Wanted("SPL", (None, None, None), (None, None, None), "linear")


def volume_of(values: NDArray[np.float32], spacing: tuple[float, float, float] = (3.0, 1.0, 2.0)) -> Volume:
    """Slices to the head, rows to the back, columns to the left."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing, 1.0
    affine[:3, 3] = (11.0, -7.0, 5.0)
    return Volume(values, affine)


@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_each_axis_grows_to_where_its_letter_says(orientation: str) -> None:
    """A voxel is bright where one of the ends of the patient is; the letters are read off it again."""
    values = lopsided()
    place_of = {"S": (0, -1), "I": (0, 0), "P": (1, -1), "A": (1, 0), "L": (2, -1), "R": (2, 0)}
    grid = place(volume_of(values), replace(AS_IS, orientation=orientation))
    for axis, letter in enumerate(orientation):
        source_axis, end = place_of[letter]
        np.testing.assert_array_equal(
            np.sort(np.take(grid.voxels, -1, axis), axis=None), np.sort(np.take(values, end, source_axis), axis=None)
        )
    np.testing.assert_array_equal(grid.back(grid.voxels > 40, "nearest"), values > 40)
    np.testing.assert_array_equal(grid.back(grid.voxels > 40, "linear"), values > 40)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_the_grid_is_the_same_however_the_series_was_stored(axes: tuple[int, int, int]) -> None:
    values, spacing = lopsided(), (3.0, 1.0, 2.0)
    wanted = Wanted("LIA", (1.3, 2.1, 2.9), (None, None, None), "linear")
    expected = place(volume_of(values, spacing), wanted)
    for flips in product((False, True), repeat=3):
        affine = np.eye(4)
        for column, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
            affine[:3, column] = 0
            affine[2 - axis, column] = spacing[axis] * (-1 if flip else 1)
        stored = values.transpose(axes)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
        grid = place(Volume(np.ascontiguousarray(stored), affine), wanted)
        np.testing.assert_allclose(grid.voxels, expected.voxels, atol=1e-3)
        mask = grid.voxels > 300
        back = grid.back(mask, "linear").transpose(np.argsort(axes))
        undone = back[tuple(slice(None, None, -1 if flips[axes.index(axis)] else 1) for axis in range(3))]
        np.testing.assert_array_equal(undone, expected.back(mask, "linear"))


@pytest.mark.parametrize("orientation", [(1.0, 0, 0, 0, 1, 0), oblique()], ids=["axial", "oblique"])
def test_linear_is_simpleitk_s(orientation: Any) -> None:
    values = lopsided((12, 24, 18))
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing((0.9, 1.1, 2.5))
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    image.SetDirection(np.stack([row, column, np.cross(row, column)], axis=1).ravel().tolist())
    volume = Volume(values, affine_of_image(image))
    grid = place(volume, replace(AS_IS, spacing_mm=(1.5, 1.5, 1.5)))
    wanted = [line.new_count for line in grid.lines]
    starts = [line.first for line in grid.lines]
    reference = SimpleITK.Resample(
        image, wanted[::-1], SimpleITK.Transform(), SimpleITK.sitkLinear,
        image.TransformContinuousIndexToPhysicalPoint(starts[::-1]), (1.5, 1.5, 1.5), image.GetDirection(), 0.0,
        SimpleITK.sitkFloat32,
    )  # fmt: skip
    assert np.abs(grid.voxels - SimpleITK.GetArrayFromImage(reference)).max() < 0.05


@pytest.mark.parametrize("side", [3, 7, 9, 14, 20, 31, 64])
def test_nearest_and_nearest_exact_are_pytorch_s(side: int) -> None:
    """Its documentation: floor(index x scale), and floor((index + 0.5) x scale), in float32."""
    values = lopsided()
    volume = volume_of(values)
    exact = place(volume, Wanted("SPL", (None,) * 3, (side, side, side), "nearest-exact")).voxels
    scales = [np.float32(count) / np.float32(side) for count in values.shape]
    places = [np.floor((np.arange(side, dtype=np.float32) + np.float32(0.5)) * scale).astype(int) for scale in scales]
    np.testing.assert_array_equal(exact, values[np.ix_(*places)])
    plain = place(volume, Wanted("SPL", (None,) * 3, (side, side, side), "nearest")).voxels
    indices = [np.floor(np.arange(side, dtype=np.float32) * np.float32(count / side)).astype(int) for count in values.shape]
    np.testing.assert_array_equal(plain, values[np.ix_(*indices)])


@given(st.integers(1, 400), st.integers(1, 400))
def test_nearest_exact_is_the_voxel_in_which_the_centre_lies_there_and_back(count: int, side: int) -> None:
    line = Line.of(count, 1.0, None, side)
    for taps, of, onto in ((line.taps("nearest-exact"), count, side), (line.taps_back("nearest"), side, count)):
        exact = [(2 * place + 1) * of // (2 * onto) for place in range(onto)]
        # A centre on the border of two voxels belongs to either: the arithmetic is that of float32.
        ties = [((2 * place + 1) * of) % (2 * onto) == 0 for place in range(onto)]
        found = taps.indices[:, 0].tolist()
        assert all(got == want or (tie and got == want - 1) for got, want, tie in zip(found, exact, ties, strict=True))


def test_the_way_back_falls_as_pytorch_has_it_where_a_centre_lies_between_two_voxels() -> None:
    """165 voxels from 256: the centre of voxel 82 lies on the border of 127 and 128; in float32 it is 127, as PyTorch's
    nearest-exact gives it, and in float64 it would be 128."""
    assert Line.of(165, 1.0, None, 256).taps_back("nearest").indices[82, 0] == 127


def test_aligned_centres_keep_the_first_and_the_last_voxel() -> None:
    line = Line.of(10, 1.0, None, 4, centres=True)
    np.testing.assert_allclose(line.positions, [0, 3, 6, 9])
    assert Line.of(1, 1.0, None, 3, centres=True).positions.tolist() == [0, 0, 0]


def test_spacing_and_shape_cut_and_pad_about_the_middle() -> None:
    values = np.ones((10, 10, 10), np.float32)
    grid = place(volume_of(values, (1.0, 1.0, 1.0)), Wanted("SPL", (1.0, 1.0, 2.0), (6, 14, 5), "linear", outside=-7.0))
    assert grid.voxels.shape == (6, 14, 5)
    assert grid.spacing_mm == pytest.approx((1.0, 1.0, 2.0))
    np.testing.assert_array_equal(grid.voxels[0, :, 0], [-7, -7, *[1] * 10, -7, -7])
    back = grid.back(np.ones((6, 14, 5), np.bool_), "linear")
    assert back.any(axis=(1, 2)).tolist() == [False, False, *[True] * 6, False, False]


def test_averaging_counts_every_voxel_and_plain_linear_two() -> None:
    values = np.zeros((12, 4, 4), np.float32)
    values[4] = 12.0
    wanted = Wanted("SPL", (None,) * 3, (3, None, None), "linear")
    assert place(volume_of(values), wanted).voxels[:, 0, 0].tolist() == [0, 0, 0]
    averaged = place(volume_of(values), replace(wanted, interpolation="linear-averaged")).voxels[:, 0, 0]
    assert averaged[1] > 0
    assert averaged.sum() == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("orientation", ["SPL", "LIA", "RAS", "IAR", "PLS"])
def test_a_box_of_a_part_comes_back_to_its_voxels(orientation: str) -> None:
    """A block of the source is looked for in a cut and resampled grid, and its box is told in the source."""
    values = np.zeros((20, 30, 24), np.float32)
    values[6:12, 10:22, 4:14] = 1.0
    volume = volume_of(values)
    whole = place(volume, replace(AS_IS, orientation=orientation))
    box = tuple(slice(2, count - 1) for count in whole.shape)
    grid = place(volume, Wanted(orientation, (None,) * 3, (32, 32, 32), "nearest-exact"), (box[0], box[1], box[2]))
    inside = np.argwhere(grid.voxels > 0.5)
    low, high = inside.min(axis=0).astype(float), inside.max(axis=0) + 1.0
    spans = grid.spans_back(tuple(low), tuple(high))
    for span, (first, end) in zip(spans, ((6, 12), (10, 22), (4, 14)), strict=True):
        assert abs(span.start - first) <= 1
        assert abs(span.stop - end) <= 1
    np.testing.assert_array_equal(grid.back(grid.voxels > 0.5, "nearest"), values > 0.5)
