"""Values that can be Hounsfield units pass, whatever else lies in the picture; a rescale that was lost does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from quality_cases import changed, in_a_circle, real_head, synthetic_head

from vigil.domain.errors import Category
from vigil.imaging.errors import ImplausibleValues
from vigil.imaging.hounsfield import refuse_implausible_hounsfield
from vigil.imaging.volume import Volume

HEADS = {"synthetic": synthetic_head, "real": real_head}


@pytest.fixture(params=HEADS)
def head(request: pytest.FixtureRequest) -> Volume:
    return HEADS[request.param]()


def with_metal(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """A clip and its streaks: the highest values that there are, and below air."""
    spoilt = hu.copy()
    middle = tuple(count // 2 for count in hu.shape)
    spoilt[middle[0], middle[1] - 3:middle[1] + 3, middle[2] - 3:middle[2] + 3] = 30_710
    spoilt[middle[0], middle[1], ::2] -= 900
    return spoilt


WELL: dict[str, Callable[[Volume], Volume]] = {
    "as it is": lambda head: head,
    "in a circle whose outside the header does not name": in_a_circle,
    "with metal": lambda head: changed(head, with_metal(head.voxels)),
    "with the noise of a bone kernel": lambda head: changed(
        head, head.voxels + np.random.default_rng(1).normal(0, 100, head.voxels.shape)),
    "its lower half": lambda head: changed(head, head.voxels[:len(head.voxels) // 2]),
    "air clipped": lambda head: changed(head, np.maximum(head.voxels, -1000)),
    "wholly within the brain": lambda head: changed(head, head.voxels[
        len(head.voxels) // 2:, head.voxels.shape[1] * 2 // 5:head.voxels.shape[1] * 3 // 5,
        head.voxels.shape[2] * 2 // 5:head.voxels.shape[2] * 3 // 5].clip(-150)),
}


@pytest.mark.parametrize("name", WELL)
def test_a_head_passes(head: Volume, name: str) -> None:
    refuse_implausible_hounsfield(WELL[name](head))


ILL: dict[str, tuple[Callable[[NDArray[np.float32]], NDArray[np.float32]], str]] = {
    "no intercept": (lambda hu: hu.clip(-1024) + 1024, r"nothing in the field of view is air \(the lowest value is \d+ HU\)"),
    "air at zero": (lambda hu: hu + 1000, "nothing in the field of view is air"),
    "the slope twice": (lambda hu: 2 * (hu + 1024) - 1024, r"only \d % of what is not air lies near water"),
    "too bright": (lambda hu: hu + 250, r"only \d+ % of what is not air"),
    "ten times": (lambda hu: 10 * hu, "many lie below -1500 HU"),
    "windowed to eight bits": (lambda hu: (hu.clip(-10, 90) + 10) * 2.55, "nothing in the field of view is air"),
    "nothing but air": (lambda hu: np.full_like(hu, -1000) + np.arange(hu.shape[2]) % 7, "only 0 %"),
}


def test_where_no_air_needs_to_be_seen_a_lost_intercept_shows_in_that_nothing_lies_below_zero(head: Volume) -> None:
    narrow = changed(head, head.voxels[:, :, head.voxels.shape[2] // 4:head.voxels.shape[2] * 3 // 4])
    refuse_implausible_hounsfield(narrow)
    refuse_implausible_hounsfield(changed(narrow, narrow.voxels.clip(-100)))
    with pytest.raises(ImplausibleValues, match=r"nothing in the field of view is air \(the lowest value is 0 HU\)"):
        refuse_implausible_hounsfield(changed(narrow, narrow.voxels.clip(-1000) + 1000))


@pytest.mark.parametrize("name", ILL)
def test_a_head_whose_values_were_changed_on_the_way_is_refused_and_says_what_was_seen(head: Volume, name: str) -> None:
    change, told = ILL[name]
    with pytest.raises(ImplausibleValues, match=told) as caught:
        refuse_implausible_hounsfield(changed(head, change(head.voxels)))
    assert caught.value.category is Category.IMPLAUSIBLE_VALUES
    assert caught.value.message.startswith("the values of the images are no Hounsfield units: ")
