"""Another spacing and back, against SimpleITK's resampling and against what must stay the same."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vigil.imaging.resample import linear_taps, resample
from vigil.imaging.volume import Volume


def axial(voxels: NDArray[np.float32], spacing: tuple[float, float, float]) -> Volume:
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing, 1.0
    return Volume(voxels, affine)


def blob(shape: tuple[int, int, int], spacing: tuple[float, float, float], radius_mm: float) -> NDArray[np.bool_]:
    axes = [((np.arange(count) + 0.5) - count / 2) * step for count, step in zip(shape, spacing, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    inside: NDArray[np.bool_] = (z - 3) ** 2 + (y + 5) ** 2 + (x - 7) ** 2 <= radius_mm**2
    return inside


def test_a_finer_grid_is_simpleitk_s_linear_interpolation() -> None:
    voxels = np.random.default_rng(1).normal(0, 100, (12, 16, 18)).astype(np.float32)
    grid = resample(axial(voxels, (5.0, 2.0, 2.5)), (1.5, 1.5, 1.5))
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((2.5, 2.0, 5.0))
    size = grid.voxels.shape[::-1]
    extent = [count * spacing for count, spacing in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    origin = [  # the same middle
        (whole - spacing) / 2 - (count - 1) * 1.5 / 2
        for whole, spacing, count in zip(extent, image.GetSpacing(), size, strict=True)
    ]
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.Resample(
        image, [int(count) for count in size], SimpleITK.Transform(), SimpleITK.sitkLinear, origin, (1.5, 1.5, 1.5)
    ))  # fmt: skip
    inner = (slice(2, -2),) * 3  # at the border the value goes on; SimpleITK writes 0
    np.testing.assert_allclose(grid.voxels[inner], theirs[inner], atol=1e-3)


def test_a_coarser_grid_averages_noise_and_keeps_the_mean() -> None:
    voxels = np.random.default_rng(1).normal(40, 20, (60, 96, 96)).astype(np.float32)
    grid = resample(axial(voxels, (0.6, 0.45, 0.45)), (1.5, 1.5, 1.5))
    assert grid.voxels.mean() == pytest.approx(voxels.mean(), abs=0.1)
    assert grid.voxels.std() < 5


def test_a_slope_keeps_its_place_whichever_way_the_source_runs() -> None:
    shape, spacing = (20, 30, 40), (3.0, 1.2, 0.8)
    for flip in (1, -1):
        affine = np.eye(4)
        affine[:3, :3] = [[0, 0, spacing[2]], [0, flip * spacing[1], 0], [flip * spacing[0], 0, 0]]
        index = np.stack(np.meshgrid(*(np.arange(count) for count in shape), indexing="ij"), axis=-1)
        z = (index @ affine[:3, :3].T)[..., 2].astype(np.float32)
        grid = resample(Volume(z, affine), (1.5, 1.5, 1.5))
        steps = np.diff(grid.voxels[2:-2], axis=0)
        np.testing.assert_allclose(steps, 1.5, atol=1e-3)


@pytest.mark.parametrize("spacing", [(5.0, 0.9, 0.9), (1.5, 0.45, 0.45), (1.0, 2.0, 2.0)])
@pytest.mark.parametrize("turned", [False, True], ids=["axial", "sagittal"])
def test_a_mask_comes_back_with_its_volume_and_its_place(spacing: tuple[float, float, float], turned: bool) -> None:
    shape = tuple(round(90 / step) for step in spacing)
    truth = blob(shape, spacing, 20.0)  # type: ignore[arg-type]
    affine = np.zeros((4, 4))
    order = (0, 2, 1) if turned else (2, 1, 0)
    for axis, patient in enumerate(order):
        affine[patient, axis] = spacing[axis]
    affine[3, 3] = 1
    grid = resample(Volume(truth.astype(np.float32) * 100, affine), (1.5, 1.5, 1.5))
    back = grid.back(grid.voxels >= 50)
    assert back.shape == truth.shape
    assert np.count_nonzero(back) == pytest.approx(np.count_nonzero(truth), rel=0.04)
    assert np.count_nonzero(back & truth) * 2 / (np.count_nonzero(back) + np.count_nonzero(truth)) > 0.96


def test_an_empty_mask_comes_back_empty() -> None:
    grid = resample(axial(np.zeros((8, 8, 8), np.float32), (4.0, 2.0, 2.0)), (1.5, 1.5, 1.5))
    assert not grid.back(np.zeros(grid.voxels.shape, np.bool_)).any()


@given(
    count=st.integers(1, 60), spacing=st.floats(0.3, 6.0), new_count=st.integers(1, 60), new_spacing=st.floats(0.3, 6.0)
)
def test_weights_are_a_mean_of_what_is_there(count: int, spacing: float, new_count: int, new_spacing: float) -> None:
    taps = linear_taps(count, spacing, new_count, new_spacing)
    assert taps.indices.shape == taps.weights.shape
    assert taps.indices.min() >= 0
    assert taps.indices.max() < count
    assert (taps.weights >= 0).all()
    np.testing.assert_allclose(taps.weights.sum(axis=1), 1.0, atol=1e-5)


@given(spacing=st.floats(0.3, 6.0), count=st.integers(1, 40))
def test_the_same_spacing_changes_nothing(spacing: float, count: int) -> None:
    values = np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)
    np.testing.assert_allclose(linear_taps(count, spacing, count, spacing).along_first(values), values, atol=1e-5)
