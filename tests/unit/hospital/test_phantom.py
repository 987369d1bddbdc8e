"""The synthetic head is what it says: the same for a seed, of known volumes, and no mirror of itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hospital.phantom import INNER_TABLE_MM, Head, crescent_ml, phantom

FINE = Head(100, 150, (1.6, 1.6, 1.6), noise_hu=0.0)


def test_a_seed_makes_the_same_head_again_and_another_seed_another() -> None:
    np.testing.assert_array_equal(phantom(Head()), phantom(Head()))
    assert not np.array_equal(phantom(Head()), phantom(Head(seed=2)))


@pytest.mark.parametrize("volume_ml", [1.0, 10.0, 40.0])
@pytest.mark.parametrize("tilt_degrees", [0.0, 20.0])
def test_the_insert_adds_the_density_of_its_volume(volume_ml: float, tilt_degrees: float) -> None:
    """What the insert adds over the brain, in HU times mL, is its volume times 35 HU: partial volume and all."""
    made = replace(FINE, tilt_degrees=tilt_degrees, oversampling=3, insert_at_mm=(-36.0, 16.0, -20.0))
    added = phantom(replace(made, insert_ml=volume_ml)) - phantom(made)
    assert float(added.sum()) * 1.6**3 / 1000 / 35.0 == pytest.approx(volume_ml, rel=0.02)


def test_the_inside_of_the_skull_has_the_volume_of_its_ellipsoid() -> None:
    hu = phantom(FINE)
    middle = hu[50]
    assert middle[75, 75] < 100
    a, b, c = INNER_TABLE_MM
    rows = np.flatnonzero(middle[:, 75] > 500)
    gap = rows[np.argmax(np.diff(rows)) + 1] - rows[np.argmax(np.diff(rows))]
    assert gap * 1.6 == pytest.approx(2 * b, abs=3.5)
    assert (a, c) == (68.0, 66.0)


def test_the_crescent_lies_on_the_left_and_has_the_volume_of_the_shift() -> None:
    added = phantom(replace(FINE, extra_axial_mm=8.0)) - phantom(FINE)
    assert np.argwhere(added > 20)[:, 2].mean() > 75  # columns run to the patient's left
    shift = np.pi * INNER_TABLE_MM[1] * INNER_TABLE_MM[2] * 8.0 / 1000
    assert crescent_ml(replace(FINE, extra_axial_mm=8.0)) == pytest.approx(shift, rel=0.03)


def test_with_its_marker_the_head_is_no_mirror_of_itself() -> None:
    hu = phantom(replace(FINE, marker=True))
    for axis in range(3):
        assert np.abs(hu - np.flip(hu, axis)).max() > 200
    where = np.argwhere(np.abs(hu - phantom(FINE)) > 200).mean(axis=0)
    assert where[0] < 50  # low, in front, on the left
    assert where[1] < 75
    assert where[2] > 75
