"""The real CT head lies the right way round, and its insert has the volume that it says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hospital.ct_head import INSERT_AT_MM, CtHeadMissing, ct_head, with_insert

Spacing = tuple[float, float, float]


@pytest.fixture(scope="module")
def head() -> tuple[NDArray[np.int16], Spacing]:
    try:
        return ct_head()
    except CtHeadMissing as missing:
        pytest.skip(str(missing))


def test_it_is_the_head_of_the_package(head: tuple[NDArray[np.int16], Spacing]) -> None:
    hu, spacing = head
    assert hu.shape == (108, 256, 256)
    assert spacing == pytest.approx((1.5, 0.957, 0.957), abs=1e-3)
    assert (int(hu.min()), int(hu.max())) == (-1024, 2986)


def test_slices_run_to_the_head(head: tuple[NDArray[np.int16], Spacing]) -> None:
    tissue = np.count_nonzero(head[0] > -200, axis=(1, 2))
    assert tissue[-1] < tissue[0] / 3  # the vertex is small, the base with neck and face is not


def test_rows_run_from_the_nose_to_the_back(head: tuple[NDArray[np.int16], Spacing]) -> None:
    """The air of nose and sinuses, inside the head, lies in front of the middle of the bone."""
    hu = head[0][30]
    bone = np.argwhere(hu > 300)
    low, high = bone[:, 0].min(), bone[:, 0].max()
    sinus = np.argwhere(hu[low + 10:high - 10, 110:146] < -500)
    assert len(sinus) > 50
    assert sinus[:, 0].mean() + low + 10 < (low + high) / 2


@pytest.mark.parametrize("volume_ml", [2.0, 20.0])
def test_the_insert_adds_its_volume_where_it_should_and_nothing_elsewhere(
    head: tuple[NDArray[np.int16], Spacing], volume_ml: float
) -> None:
    hu, spacing = head
    changed, true_ml = with_insert(hu, spacing, volume_ml)
    assert true_ml == pytest.approx(volume_ml, rel=0.005)
    added = changed.astype(int) - hu
    voxel_ml = spacing[0] * spacing[1] * spacing[2] / 1000
    assert added.sum() * voxel_ml / added.max() == pytest.approx(true_ml, rel=0.03)
    assert float(np.median(changed[added == added.max()])) == pytest.approx(70, abs=2)
    middle = np.argwhere(added > 0).mean(axis=0)
    at = (middle + 0.5 - np.array(hu.shape) / 2) * spacing
    np.testing.assert_allclose(at[::-1], INSERT_AT_MM, atol=1.0)
