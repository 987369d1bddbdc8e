from __future__ import annotations

import numpy as np
import pytest
from imaging_cases import lopsided

from vigil.domain.errors import Category
from vigil.imaging.blank import refuse_blank_slices
from vigil.imaging.errors import UnreadablePixels
from vigil.imaging.volume import Volume


def volume(*blank: int, value: float = -1024.0) -> Volume:
    voxels = lopsided((9, 40, 36))
    voxels[list(blank)] = value
    return Volume(voxels, np.eye(4))


@pytest.mark.parametrize("blank", [(), (0,), (8,), (0, 1, 7, 8)], ids=str)
def test_slices_of_air_at_the_ends_are_no_fault(blank: tuple[int, ...]) -> None:
    refuse_blank_slices(volume(*blank))


@pytest.mark.parametrize("value", [-1024.0, 0.0, 3071.0])
@pytest.mark.parametrize(("blank", "told"), [((4,), "slice 5 of 9 is"), ((0, 3, 6), "slice 4 of 9 and 1 more is")])
def test_a_blank_slice_between_others_is_refused_and_named(blank: tuple[int, ...], told: str, value: float) -> None:
    with pytest.raises(UnreadablePixels, match=told) as caught:
        refuse_blank_slices(volume(*blank, value=value))
    assert caught.value.category is Category.UNREADABLE_INSTANCE


def test_a_series_of_nothing_is_refused() -> None:
    with pytest.raises(UnreadablePixels, match="all images are blank"):
        refuse_blank_slices(volume(*range(9)))


def test_one_pixel_that_differs_is_something() -> None:
    almost = volume(4)
    almost.voxels[4, 17, 21] += 1
    refuse_blank_slices(almost)
