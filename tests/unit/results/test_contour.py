"""The outline of a mask against geometry that is known, and against masks that are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from vigil.results.contour import grown, largest_part, outline_of_largest, outlines, rings, signed_area


def disc(radius: float, side: int = 64) -> NDArray[np.bool_]:
    y, x = np.mgrid[:side, :side] + 0.5
    return np.asarray((x - side / 2) ** 2 + (y - side / 2) ** 2 < radius**2)


masks = arrays(np.bool_, (9, 11))


def test_one_pixel_is_outlined_by_the_middles_of_its_edges() -> None:
    mask = np.zeros((5, 6), bool)
    mask[2, 3] = True
    (outline,) = outlines(mask)
    assert {tuple(point) for point in outline.tolist()} == {(3.5, 2.0), (4.0, 2.5), (3.5, 3.0), (3.0, 2.5)}


def test_the_outline_of_a_disc_has_the_disc_s_area() -> None:
    outline = outline_of_largest(disc(20))
    assert outline is not None
    assert abs(signed_area(outline)) == pytest.approx(np.pi * 400, rel=0.02)


def test_a_hole_is_outlined_the_other_way_round() -> None:
    ring = disc(20) & ~disc(8)
    outer, inner = outlines(ring)
    assert signed_area(outer) > 0 > signed_area(inner)


@given(masks)
def test_every_outline_is_closed_and_stays_inside_the_image(mask: NDArray[np.bool_]) -> None:
    for outline in outlines(mask):
        assert (outline[0] == outline[-1]).all()
        assert len(outline) >= 5
        assert outline.min() >= 0
        assert outline[:, 0].max() <= mask.shape[1]
        assert outline[:, 1].max() <= mask.shape[0]


@given(masks)
def test_every_edge_between_inside_and_outside_is_drawn_once(mask: NDArray[np.bool_]) -> None:
    padded = np.pad(mask, 1).astype(int)
    edges = abs(np.diff(padded, axis=0)).sum() + abs(np.diff(padded, axis=1)).sum()
    points = [tuple(point) for outline in outlines(mask) for point in outline[:-1].tolist()]
    assert len(points) == len(set(points)) == edges


@given(masks)
def test_the_drawn_ring_lies_outside_the_mask_and_touches_it(mask: NDArray[np.bool_]) -> None:
    ring, border = rings(mask, 1)
    assert not (ring & mask).any()
    assert not (border & (ring | mask)).any()
    assert not (ring & ~grown(mask, 1)).any()


@given(masks)
def test_the_largest_part_is_one_of_the_mask_and_none_is_larger(mask: NDArray[np.bool_]) -> None:
    part = largest_part(mask)
    assert not (part & ~mask).any()
    if mask.any():
        rest = mask & ~part
        assert part.sum() >= (largest_part(rest).sum() if rest.any() else 0)


def test_an_empty_mask_has_no_outline() -> None:
    assert outlines(np.zeros((4, 4), bool)) == []
    assert outline_of_largest(np.zeros((4, 4), bool)) is None
