"""On which side of the patient a region lies: right or not said at all, however the patient lies in the scanner and whatever lies
beside him."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_cases import classifier, manifest, segmentation
from numpy.typing import NDArray
from pydantic import ValidationError

from vigil.domain.codes import LEFT, RIGHT, RIGHT_AND_LEFT
from vigil.domain.concepts import Code
from vigil.domain.manifest import Manifest
from vigil.domain.manifest.laterality import Laterality
from vigil.imaging.declared_side import DeclaredSide
from vigil.imaging.volume import Volume
from vigil.inference.laterality import side_of

SPACING_MM = 5.0
SIDES = (44, 76, 76)
"""Slices, rows and columns: 220 x 380 x 380 mm."""
Points = NDArray[np.float64]
Place = tuple[float, float, float]


def places() -> tuple[Points, NDArray[np.float64]]:
    """Of each voxel of an axial volume about the origin, in the patient; and its affine."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag([SPACING_MM] * 3)[::-1]
    affine[:3, 3] = [-SPACING_MM * (side - 1) / 2 for side in SIDES[::-1]]
    indices = np.stack(np.meshgrid(*(np.arange(side) for side in SIDES), indexing="ij"), axis=-1)
    return indices @ affine[:3, :3].T + affine[:3, 3], affine


PLACES, AFFINE = places()
BODIES = {
    "a ball": lambda x, y, z: (x / 85) ** 2 + (y / 85) ** 2 + (z / 85) ** 2,
    "a head": lambda x, y, z: (x / 75) ** 2 + (y / 95) ** 2 + (z / 100) ** 2,
    "a head like an egg": lambda x, y, z: (x / (75 + 0.25 * y)) ** 2 + (y / 95) ** 2 + (z / 100) ** 2,
    "a trunk": lambda x, y, z: np.abs(x / 140) ** 2.5 + np.abs(y / 90) ** 2.5,
    "a neck and shoulders": lambda x, y, z: (x / (60 + 0.4 * (120 - z))) ** 2 + (y / 70) ** 2,
}


def body(name: str, points: Points) -> NDArray[np.bool_]:
    """Like its own mirror image at x = 0, in its own axes."""
    return np.asarray(BODIES[name](points[..., 0], points[..., 1], points[..., 2]) <= 1)


def ball(points: Points, at: Place, radius_mm: float = 9.0) -> NDArray[np.bool_]:
    return np.asarray(((points - at) ** 2).sum(axis=-1) <= radius_mm**2)


def turned(axis: tuple[float, float, float], degrees: float) -> NDArray[np.float64]:
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.asarray(np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * across @ across)


def rule(margin_mm: float = 3.0, **more: Any) -> Laterality:
    return Laterality.model_validate({"from": "geometry", "margin_mm": margin_mm, **more})


def side(
    mask: NDArray[np.bool_], inside: NDArray[np.bool_], *, by: Laterality | None = None, is_ct: bool = True,
    declared: DeclaredSide = DeclaredSide.NONE, affine: NDArray[np.float64] = AFFINE,
) -> Code | None:
    dark, bright = (-1000.0, 40.0) if is_ct else (3.0, 400.0)
    voxels = np.where(inside, bright, dark).astype(np.float32)
    return side_of(mask, Volume(voxels, affine), by or rule(), declared, is_ct=is_ct)


HEAD = body("a head", PLACES)
ON_THE_LEFT, ON_THE_RIGHT = ball(PLACES, (45, 0, 0)), ball(PLACES, (-45, 0, 0))
coordinate = st.floats(-85, 85)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    name=st.sampled_from(sorted(BODIES)), at=st.tuples(st.floats(10, 130), coordinate, coordinate), mirrored=st.booleans(),
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: float(np.linalg.norm(axis)) > 0.1),
    degrees=st.floats(-20, 20), shift=st.tuples(*[st.floats(-20, 20)] * 3),
)
def test_no_turn_and_no_shift_of_the_patient_makes_a_wrong_side(
    name: str, at: Place, mirrored: bool, axis: Place, degrees: float, shift: Place
) -> None:
    """The region lies in the body's own left or right half; what is said is that, or nothing."""
    own = (PLACES - np.array(shift)) @ turned(axis, degrees)
    inside = body(name, own)
    region = ball(own, (-at[0], at[1], at[2]) if mirrored else at) & inside
    if region.any():
        assert side(region, inside) in (RIGHT if mirrored else LEFT, None)


@pytest.mark.parametrize("degrees", [-20, 20])
@pytest.mark.parametrize(("axis", "at"), [
    ((0.0, 0.0, 1.0), (12.0, -75.0, 0.0)), ((0.0, 0.0, 1.0), (12.0, 70.0, 0.0)), ((0.0, 1.0, 0.0), (12.0, 0.0, 65.0)),
    ((0.0, 1.0, 0.0), (12.0, 0.0, -65.0))], ids=["before", "behind", "above", "below"])
def test_what_a_turn_carries_across_the_scanner_s_middle_is_not_told_as_of_the_other_side(
    axis: Place, at: Place, degrees: float
) -> None:
    """Of a ball no outline shows that it is turned."""
    own = PLACES @ turned(axis, degrees)
    region = ball(own, at)
    assert side(region, body("a ball", own)) in (LEFT, None)
    assert side(region[..., ::-1], body("a ball", own)[..., ::-1]) in (RIGHT, None)


@pytest.mark.parametrize("name", sorted(BODIES))
@pytest.mark.parametrize("degrees", [0, 12])
def test_what_lies_well_beside_the_middle_has_its_side_also_where_the_patient_lies_turned(name: str, degrees: float) -> None:
    for axis in ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)):
        own = (PLACES - (17.0, -9.0, 4.0)) @ turned(axis, degrees)
        inside = body(name, own)
        for at, told in (((55.0, 10.0, 0.0), LEFT), ((-55.0, 10.0, 0.0), RIGHT)):
            assert side(ball(own, at), inside) == told, axis
            mirrored = ball(own, (-at[0], at[1], at[2]))
            assert side(mirrored, inside) != told, "a mirrored mask is seen"


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (0, 2, 1)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, -1), (-1, -1, 1), (-1, 1, -1)])
def test_the_side_is_the_patient_s_in_every_orientation(axes: tuple[int, int, int], signs: tuple[int, int, int]) -> None:
    """The same voxels, stored along other axes and the other way round."""
    affine = AFFINE.copy()
    affine[:3, :3] = AFFINE[:3, axes]
    mask, inside = ON_THE_LEFT.transpose(axes), HEAD.transpose(axes)
    for axis, sign in enumerate(signs):
        if sign < 0:
            affine[:3, 3] += affine[:3, axis] * (mask.shape[axis] - 1)
            affine[:3, axis] *= -1
            mask, inside = np.flip(mask, axis), np.flip(inside, axis)
    assert side(mask, inside, affine=affine) == LEFT
    assert side(mask, inside, affine=affine, is_ct=False) == LEFT


def test_the_middle_is_the_patient_s_and_not_that_of_the_images() -> None:
    """A head that lies 80 mm to the left: all of it is left of the middle of the images."""
    own = PLACES - (80.0, 0.0, 0.0)
    inside = body("a head", own)
    assert side(ball(own, (-45, 0, 0)), inside) == RIGHT
    assert side(ball(own, (45, 0, 0)), inside) == LEFT


@pytest.mark.parametrize(("mask", "told"), [
    (ball(PLACES, (0, 0, 0)), None), (ball(PLACES, (4, 0, 0)), None), (ball(PLACES, (30, 0, 0), 25), LEFT),
    (ON_THE_LEFT | ON_THE_RIGHT, None), (np.zeros_like(HEAD), None),
], ids=["in the middle", "across it", "large", "both", "nowhere"])
def test_of_what_lies_in_the_middle_or_on_both_sides_none_is_said(mask: NDArray[np.bool_], told: Code | None) -> None:
    assert side(mask, HEAD) == told


def test_what_is_taller_than_a_trunk_has_no_side() -> None:
    affine, trunk = AFFINE.copy(), body("a trunk", PLACES)
    tall = np.zeros_like(trunk)
    tall[:, 36:40, 50:54] = True
    assert side(tall, trunk) == LEFT
    affine[2, 0] *= 2
    assert side(tall, trunk, affine=affine) is None


def test_the_author_s_margin_and_share_count() -> None:
    near = ball(PLACES, (30, 0, 0))
    assert (side(near, HEAD), side(near, HEAD, by=rule(40.0))) == (LEFT, None)
    both, few = ON_THE_LEFT | ON_THE_RIGHT, ON_THE_LEFT | ball(PLACES, (-45, 0, 0), 5.1)
    assert side(both, HEAD, by=rule(bilateral_share=0.2)) == RIGHT_AND_LEFT
    assert side(few, HEAD, by=rule(bilateral_share=0.4)) == LEFT, "less than the share counts for nothing"
    assert side(few, HEAD) is None, "where the author says nothing of both sides, anything on the other one counts"


def beside(low: Place, high: Place) -> NDArray[np.bool_]:
    return np.asarray(((low <= PLACES) & (high >= PLACES)).all(axis=-1))


@pytest.mark.parametrize("added", [
    beside((-190, 105, -110), (190, 120, 110)), beside((75, -30, -110), (125, 20, 110)), beside((60, -30, -110), (140, 40, 110)),
], ids=["a couch", "an arm", "what leans on one side"])
def test_what_lies_beside_the_body_makes_no_wrong_side(added: NDArray[np.bool_]) -> None:
    for x in range(10, 60, 10):
        for sign, told in ((1, LEFT), (-1, RIGHT)):
            assert side(ball(PLACES, (sign * x, 0, 0), 6), HEAD | added) in (told, None), x


def test_a_couch_hides_no_side() -> None:
    """Also one that he lies on, and not in its middle."""
    assert side(ON_THE_LEFT, HEAD | beside((-190, 105, -110), (190, 112, 110))) == LEFT
    own = PLACES - (60.0, 0.0, 0.0)
    couch = beside((-160, 91, -110), (160, 96, 110))
    for x, told in ((45.0, LEFT), (-45.0, RIGHT)):
        assert side(ball(own, (x, 0, 0)), body("a head", own) | couch) == told


def test_of_two_legs_none_is_the_middle() -> None:
    """What lies on the inner side of the left leg is left of the patient, and right of the leg."""
    legs = [np.asarray((((PLACES - (x, 0, 0)) / (65, 70, 1e9)) ** 2).sum(axis=-1) <= 1) for x in (85, -85)]
    inner = ball(PLACES, (45, 0, 0))
    assert side(inner, legs[0] | legs[1]) is None
    assert side(inner, legs[0]) == RIGHT, "a leg alone has a middle of its own: for that a manifest may not ask for geometry"


@pytest.mark.parametrize("is_ct", [True, False])
def test_where_the_images_cut_the_body_at_its_side_none_is_said(is_ct: bool) -> None:
    """The right 45 mm of a head are not seen: the middle of what is seen is not the head's."""
    first = 38 - 6
    affine = AFFINE.copy()
    affine[:3, 3] += affine[:3, 2] * first
    cut = (slice(None), slice(None), slice(first, None))
    for x in (10, 30, 45):
        assert side(ball(PLACES, (x, 0, 0))[cut], HEAD[cut], affine=affine, is_ct=is_ct) is None


def test_beyond_the_circle_that_ct_reconstructs_nothing_is_known() -> None:
    """A head that lies so far to the left and back that the circle cuts it, and the border of the images does not."""
    own = PLACES - (85.0, 85.0, 0.0)
    inside = body("a head", own) & np.asarray(np.hypot(PLACES[..., 0], PLACES[..., 1]) < 188)
    assert side(ball(own, (-45, 0, 0)), inside) is None
    assert side(ball(own, (45, 0, 0)), inside) is None
    assert side(ball(own, (45, 0, 0)), inside, is_ct=False) == LEFT, "MR has no such circle"


def column(x: float, y: float, half_width: float, half_depth: float) -> NDArray[np.bool_]:
    return np.asarray(((PLACES[..., 0] - x) / half_width) ** 2 + ((PLACES[..., 1] - y) / half_depth) ** 2 <= 1)


@pytest.mark.parametrize(("middle", "shines", "at"), [(-50.0, 60.0, -25.0), (0.0, 60.0, 40.0), (0.0, 8.0, 40.0)])
def test_a_bright_spleen_is_not_taken_for_a_body_that_hardly_shines(middle: float, shines: float, at: float) -> None:
    """As of diffusion in the abdomen; also where the middle of the images is not the body's."""
    voxels = np.where(column(middle, 0, 120, 90), shines, 8.0) + np.random.default_rng(0).normal(0, 3, SIDES)
    voxels[column(middle + 80, 20, 35, 45)] = 900
    volume = Volume(voxels.astype(np.float32), AFFINE)
    assert side_of(ball(PLACES, (at, 20, 0)), volume, rule(), DeclaredSide.NONE, is_ct=False) is None


@pytest.mark.parametrize("slab", [slice(20, 32), slice(44, 56)], ids=["before", "behind"])
@pytest.mark.parametrize("degrees", [-16, 16])
def test_a_coronal_slab_hides_how_the_body_is_turned_and_has_no_side(slab: slice, degrees: float) -> None:
    own = PLACES[:, slab] @ turned((0, 0, 1), degrees)
    affine = AFFINE[:, [1, 0, 2, 3]].copy()
    affine[:3, 3] += AFFINE[:3, 1] * slab.start
    inside = np.asarray((own[..., 0] / 160) ** 2 + (own[..., 1] / 110) ** 2 <= 1).transpose(1, 0, 2)
    for x in (-20, -15, -10, 10, 15, 20):
        for y in (-80, -60, 60, 80):
            region = ball(own, (x, y, 0), 7).transpose(1, 0, 2) & inside
            assert side(region, inside, affine=affine) in (LEFT if x > 0 else RIGHT, None), (x, y)


@pytest.mark.parametrize("thin", [1, -1])
def test_a_chest_wall_thinner_than_a_couch_on_one_side_makes_no_wrong_side(thin: int) -> None:
    x, y, _ = np.moveaxis(PLACES, -1, 0)
    lungs = [(x * sign > 25) & ((x / (140 - wall)) ** 2 + (y / 81) ** 2 <= 1) for sign, wall in ((thin, 6), (-thin, 14))]
    inside = column(0, 0, 140, 95) & ~lungs[0] & ~lungs[1]
    for at in range(10, 60, 10):
        for sign, told in ((1, LEFT), (-1, RIGHT)):
            assert side(ball(PLACES, (sign * at, 0, 0), 7), inside) in (told, None), sign * at
    assert side(ball(PLACES, (-thin * 100, 0, 0)), inside) in ((RIGHT if thin > 0 else LEFT), None)


def test_of_who_lies_on_the_side_only_what_the_images_declare_is_said() -> None:
    """The belly sags: the outline is even, and its middle beside the spine."""
    sagging = column(0, 20, 110, 95) | column(35, -25, 110, 85)
    volume = Volume(np.where(sagging, 40.0, -1000.0).astype(np.float32), AFFINE)
    region = ball(PLACES, (-45, 0, 0))
    for declared, told in ((DeclaredSide.NONE, None), (DeclaredSide.RIGHT, RIGHT), (DeclaredSide.LEFT, LEFT)):
        assert side_of(region, volume, rule(), declared, is_ct=True, lies_on_side=True) == told
    assert side_of(region, volume, rule(), DeclaredSide.NONE, is_ct=True) == RIGHT


@pytest.mark.parametrize(("declared", "region", "told"), [
    (DeclaredSide.LEFT, ON_THE_LEFT, LEFT), (DeclaredSide.LEFT, ball(PLACES, (0, 0, 0)), LEFT),
    (DeclaredSide.LEFT, ON_THE_RIGHT, None), (DeclaredSide.RIGHT, ON_THE_LEFT, None),
    (DeclaredSide.CONTRADICTORY, ON_THE_LEFT, None),
])
def test_what_the_images_declare_is_said_unless_the_region_lies_elsewhere(
    declared: DeclaredSide, region: NDArray[np.bool_], told: Code | None
) -> None:
    assert side(region, HEAD, declared=declared) == told


@pytest.mark.parametrize(("declared", "told"), [
    (DeclaredSide.LEFT, LEFT), (DeclaredSide.RIGHT, RIGHT), (DeclaredSide.NONE, None), (DeclaredSide.CONTRADICTORY, None)])
def test_from_the_header_alone_the_place_says_nothing(declared: DeclaredSide, told: Code | None) -> None:
    by = Laterality.model_validate({"from": "header"})
    assert side(ON_THE_RIGHT, HEAD, by=by, declared=declared) == told
    assert side_of(None, Volume(np.zeros((1, 2, 2), np.float32), np.eye(4)), by, declared, is_ct=False) == told


def described(parts: dict[str, Any], laterality: dict[str, Any], **scope: Any) -> Manifest:
    made = manifest({"model.onnx": b""}, **parts)
    made["finding"] = made["finding"] | {"laterality": laterality}
    made["scope"] = made["scope"] | scope
    return Manifest.model_validate(made)


GEOMETRY = {"from": "geometry", "margin_mm": 10}


@pytest.mark.parametrize(("parts", "laterality", "scope", "why"), [
    (segmentation(), {"from": "geometry"}, {}, "margin_mm goes with 'from: geometry', and must be there"),
    (segmentation(), {"from": "header", "margin_mm": 1}, {}, "margin_mm goes with 'from: geometry'"),
    (segmentation(), {"from": "header", "bilateral_share": 0.2}, {}, "bilateral_share goes with 'from: geometry'"),
    (classifier(), GEOMETRY, {}, "needs a region; name one in finding.region"),
    (segmentation() | {"inputs": [{"name": "x", "dimensions": 2, "minimum_slices": 1}]}, GEOMETRY, {}, "is of volumes"),
    (segmentation(), GEOMETRY, {"modality": ["CT", "PT"]}, "on CT and MR alone"),
    (segmentation(), GEOMETRY, {"body_part": {"any_of": ["HEAD", "knee"]}}, "of KNEE one side is often shown alone"),
    (segmentation(), GEOMETRY, {"body_part": {"any_of": ["HEAD"], "unknown": "accept"}}, "needs to know the body part"),
])
def test_a_manifest_that_asks_for_a_side_that_cannot_be_known_is_refused(
    parts: dict[str, Any], laterality: dict[str, Any], scope: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(why)):
        described(parts, laterality, **scope)


def test_a_manifest_may_ask_for_the_header_s_side_of_a_limb_or_a_projection() -> None:
    assert described(classifier(), {"from": "header"}, body_part={"any_of": ["KNEE"]}).finding.laterality is not None
    assert described(segmentation(), GEOMETRY).finding.laterality is not None
