"""A body that the field of view cuts is refused; what a field of view usually cuts is not."""

from __future__ import annotations

import numpy as np
import pytest
from quality_cases import axial, changed, in_a_circle, real_head, synthetic_head

from vigil.domain.errors import Category
from vigil.imaging.errors import FieldOfViewTruncated
from vigil.imaging.field_of_view import refuse_cut_body
from vigil.imaging.volume import Volume

HEAD_MM = (158.0, 190.0)
"""The synthetic head's width, from ear to ear, and its length, over the skin."""
COLUMN_MM = 1.8


def round_body(
    radius_mm: float, *, at_mm: tuple[float, float] = (0.0, 0.0), matrix: int = 128, pixel_mm: float = 2.0, slices: int = 10,
    noise_hu: float = 10.0,
) -> Volume:
    row, column = np.ogrid[:matrix, :matrix]
    middle = (matrix - 1) / 2
    inside = np.hypot((row - middle) * pixel_mm - at_mm[0], (column - middle) * pixel_mm - at_mm[1]) < radius_mm
    noise = np.random.default_rng(5).normal(0, noise_hu, (slices, matrix, matrix))
    return axial(np.where(inside, 40.0, -1000.0) + noise, (5.0, pixel_mm, pixel_mm))


def without_columns(volume: Volume, count: int) -> Volume:
    return changed(volume, volume.voxels[:, :, count:])


@pytest.mark.parametrize("head", [synthetic_head, real_head], ids=["synthetic", "real"])
def test_a_head_in_its_field_of_view_passes(head: object) -> None:
    assert callable(head)
    refuse_cut_body(head())
    refuse_cut_body(in_a_circle(head()))


def test_a_head_of_which_a_side_is_missing_is_refused_and_one_whose_skin_is_cut_is_not() -> None:
    air_columns = round((128 * COLUMN_MM - HEAD_MM[0]) / 2 / COLUMN_MM)
    refuse_cut_body(without_columns(synthetic_head(), air_columns + 1))
    with pytest.raises(FieldOfViewTruncated, match=r"the field of view cuts the body: in \d+ of 40 slices it goes on") as caught:
        refuse_cut_body(without_columns(synthetic_head(), air_columns + 10))
    assert caught.value.category is Category.TRUNCATED_ANATOMY


def test_half_of_a_real_head_is_refused_from_whichever_side() -> None:
    voxels = real_head().voxels
    for part in (voxels[:, :, 128:], voxels[:, :, :128], voxels[:, 128:], voxels[:, :128]):
        with pytest.raises(FieldOfViewTruncated):
            refuse_cut_body(changed(real_head(), part))


def test_a_body_wider_than_the_circle_that_was_reconstructed_is_refused() -> None:
    refuse_cut_body(in_a_circle(round_body(115.0)))
    with pytest.raises(FieldOfViewTruncated, match="in 10 of 10 slices"):
        refuse_cut_body(in_a_circle(round_body(140.0)))


def test_a_body_that_lies_off_the_middle_is_cut_by_the_circle_where_it_touches_no_side() -> None:
    off = round_body(70.0, at_mm=(49.0, -49.0))
    refuse_cut_body(off)
    for outside in (-2000.0, -1000.0):  # below the noise of air, and within it
        with pytest.raises(FieldOfViewTruncated, match="in 10 of 10 slices"):
            refuse_cut_body(in_a_circle(off, outside))


def test_a_body_that_touches_no_circle_but_fills_the_square_up_to_its_sides_is_not_cut_by_a_circle() -> None:
    """Clipped air in the corners is no rim of a circle."""
    body = round_body(120.0, noise_hu=0.0)
    refuse_cut_body(changed(body, body.voxels.clip(-1000)))


def test_a_couch_across_the_border_and_a_few_slices_with_shoulders_are_no_fault() -> None:
    couch = round_body(90.0, slices=20)
    couch.voxels[:, 118:121] = 200.0  # a shell of 6 mm from side to side
    couch.voxels[:, 118:, 20:23] = 200.0
    couch.voxels[:, 126:] = 200.0  # a head rest along the whole border
    refuse_cut_body(couch)
    couch.voxels[:2] = 40.0
    refuse_cut_body(couch)
    couch.voxels[:3] = 40.0
    with pytest.raises(FieldOfViewTruncated, match="in 3 of 20 slices"):
        refuse_cut_body(couch)


def test_of_other_planes_nothing_is_asked() -> None:
    full = np.full((10, 64, 64), 40.0, np.float32)
    sagittal = np.eye(4)
    refuse_cut_body(Volume(full, sagittal))
    with pytest.raises(FieldOfViewTruncated):
        refuse_cut_body(axial(full, (5.0, 2.0, 2.0)))
