"""Shapes of masks, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vigil.inference.morphology import Mask, largest_part, opened, within, without_holes, without_small_parts

SPACING = (2.0, 1.0, 1.5)
masks = arrays(np.bool_, (5, 6, 7))


def near_by_brute_force(mask: Mask, reach_mm: float) -> Mask:
    points = np.argwhere(mask) * SPACING
    every = np.indices(mask.shape).reshape(3, -1).T * SPACING
    if len(points) == 0:
        return np.zeros_like(mask)
    distance = np.sqrt(((every[:, None] - points[None]) ** 2).sum(-1)).min(axis=1)
    return np.asarray((distance <= reach_mm).reshape(mask.shape), np.bool_)


@given(mask=masks, reach=st.sampled_from([0.5, 1.1, 2.1, 3.3]))
def test_within_is_the_distance_between_centres(mask: Mask, reach: float) -> None:
    np.testing.assert_array_equal(within(mask, reach, SPACING), near_by_brute_force(mask, reach))


@given(mask=masks, reach=st.sampled_from([0.5, 1.1, 2.1]))
def test_what_is_opened_lies_in_the_mask_and_is_no_larger(mask: Mask, reach: float) -> None:
    result = opened(mask, reach, SPACING)
    assert not (result & ~mask).any()


def test_opening_cuts_a_narrow_way_between_two_rooms_and_keeps_the_larger() -> None:
    mask = np.zeros((20, 20, 50), np.bool_)
    mask[2:18, 2:18, 2:20] = True
    mask[2:18, 2:18, 30:44] = True
    mask[9:11, 9:11, 20:30] = True
    result = opened(mask, 3.0, (1.0, 1.0, 1.0))
    assert result[10, 10, 10]
    assert not result[:, :, 24:].any()


def test_the_border_of_the_array_is_no_wall() -> None:
    mask = np.zeros((20, 20, 20), np.bool_)
    mask[:, 4:16, 4:16] = True
    assert opened(mask, 4.0, (1.0, 1.0, 1.0))[0].any()


@given(mask=masks)
def test_the_largest_part_is_one_of_the_parts_and_none_is_larger(mask: Mask) -> None:
    largest = largest_part(mask)
    assert not (largest & ~mask).any()
    assert largest.any() == mask.any()
    if mask.any():
        assert without_small_parts(mask, int(largest.sum()))[largest].all()
        assert not without_small_parts(mask, int(largest.sum()) + 1).any()


@pytest.mark.parametrize("least", [1, 2, 5])
def test_parts_below_the_least_size_are_dropped(least: int) -> None:
    mask = np.zeros((3, 3, 30), np.bool_)
    mask[1, 1, 0] = mask[1, 1, 5:7] = mask[1, 1, 10:15] = True
    assert without_small_parts(mask, least).sum() == sum(size for size in (1, 2, 5) if size >= least)


def test_a_hole_is_closed_and_a_bay_is_not() -> None:
    mask = np.ones((7, 7, 7), np.bool_)
    mask[3, 3, 3] = False
    mask[0, 3, 3] = False
    filled = without_holes(mask)
    assert filled[3, 3, 3]
    assert not filled[0, 3, 3]
