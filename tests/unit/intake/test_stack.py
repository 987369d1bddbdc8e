from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vigil.intake.errors import IrregularGeometry, SliceConflict, SliceMissing, TooFewSlices
from vigil.intake.header import ImageHeader
from vigil.intake.stack import build_stack

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.9659258, 0.0, 0.258819, 0.0, 1.0, 0.0)


def slices(n, *, orientation=AXIAL, spacing=2.0, origin=(-10.0, 20.0, 30.0), matrix=(16, 12), pixel=(0.5, 0.5)):
    """n slices along the normal, numbered from 1, each with pixels of its own."""
    normal = np.cross(orientation[:3], orientation[3:])
    return [
        ImageHeader(
            orthanc_id=f"o{i}", sop_instance_uid=f"1.2.{i}", sop_class_uid="ct", series_instance_uid="1.9",
            content_sha256=f"c{i}", identity_sha256="p", transfer_syntax_uid="1.2.840.10008.1.2.1", modality="CT",
            instance_number=i + 1, has_pixel_data=True, rows=matrix[0], columns=matrix[1],
            position_mm=tuple(float(v) for v in np.array(origin) + normal * spacing * i), orientation=orientation,
            pixel_spacing_mm=pixel, pixel_sha256=f"p{i}", frame_of_reference_uid="1.7",
        )
        for i in range(n)
    ]


def rotations():
    """Row and column direction of a random rotation, from a unit quaternion."""
    def directions(q):
        w, x, y, z = np.array(q) / math.sqrt(sum(v * v for v in q))
        return (
            1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w),
            2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w),
        )
    component = st.floats(-1, 1, allow_nan=False)
    return st.tuples(component, component, component, component).filter(
        lambda q: sum(v * v for v in q) > 0.01
    ).map(lambda q: tuple(float(v) for v in directions(q)))


@pytest.mark.parametrize(
    ("orientation", "normal"),
    [(AXIAL, (0, 0, 1)), (SAGITTAL, (-1, 0, 0)), (CORONAL, (0, 1, 0)), (OBLIQUE, (-0.258819, 0, 0.9659258))],
    ids=["axial", "sagittal", "coronal", "oblique"],
)
def test_slices_of_any_orientation_are_ordered_along_their_normal(orientation, normal):
    images = slices(10, orientation=orientation, spacing=2.5, pixel=(0.4, 0.6))
    stack = build_stack(images[::-1])
    assert list(stack.headers) == images
    assert stack.normal == pytest.approx(normal, abs=1e-6)
    assert stack.spacing_mm == pytest.approx((2.5, 0.4, 0.6), abs=1e-6)
    assert stack.gaps_mm == pytest.approx([2.5] * 9, abs=1e-6)
    assert stack.coverage_mm == pytest.approx(25)


def test_the_spacing_is_what_the_positions_say_not_what_the_thickness_claims():
    images = [replace(image, slice_thickness_mm=5.0) for image in slices(5, spacing=2.0)]
    assert build_stack(images).spacing_mm[0] == pytest.approx(2.0)


@given(rotations(), st.integers(2, 30), st.floats(0.3, 10), st.integers(0, 2**32))
def test_random_orientation_and_random_order_give_the_same_stack(orientation, n, spacing, seed):
    images = slices(n, orientation=orientation, spacing=spacing)
    shuffled = random.Random(seed).sample(images, n)
    stack = build_stack(shuffled)
    assert list(stack.headers) == images
    assert stack == build_stack(images)


@given(rotations(), st.integers(4, 40), st.data())
def test_one_inner_slice_less_is_a_missing_slice_between_its_neighbours(orientation, n, data):
    images = slices(n, orientation=orientation)
    gone = data.draw(st.integers(1, n - 2))
    with pytest.raises(SliceMissing) as raised:
        build_stack(images[:gone] + images[gone + 1:])
    assert raised.value.missing == 1
    (below, above), = raised.value.between_mm
    assert above - below == pytest.approx(4.0)
    normal = np.cross(orientation[:3], orientation[3:])
    assert below == pytest.approx(float(np.array(images[gone - 1].position_mm) @ normal), abs=1e-6)


@given(st.integers(3, 40), st.data())
def test_slices_less_at_the_ends_are_never_a_missing_slice(n, data):
    first = data.draw(st.integers(0, n - 2))
    last = data.draw(st.integers(first + 2, n))
    images = slices(n)
    assert list(build_stack(images[first:last]).headers) == images[first:last]


@given(st.integers(6, 60), st.sets(st.integers(0, 59)), st.integers(0, 2**32))
def test_any_subset_is_a_regular_stack_or_says_how_many_are_missing(n, gone, seed):
    left = [image for index, image in enumerate(slices(n)) if index not in gone]
    assume(len(left) >= 2)
    positions = [round(image.position_mm[2] / 2.0) for image in left]
    steps = np.diff(positions)
    try:
        stack = build_stack(random.Random(seed).sample(left, len(left)))
    except SliceMissing as error:
        assert error.missing == sum(np.rint(steps / steps.min()) - 1) > 0
    except IrregularGeometry:
        # Gaps of two and three slices and none of one: uneven, though not by whole slices that can be known.
        assert len(set(steps)) > 1 and steps.min() > 1
    else:
        assert len(set(steps)) == 1
        assert list(stack.headers) == left


def test_a_message_names_where_slices_are_missing_and_how_many():
    images = slices(20)
    with pytest.raises(SliceMissing) as raised:
        build_stack(images[:4] + images[6:10] + images[11:])
    assert raised.value.missing == 3
    assert raised.value.message == (
        "3 slices are missing between 36.0 and 42.0 mm, 48.0 and 52.0 mm along the slice normal (slices are 2.00 mm apart)"
    )


def test_the_same_image_twice_counts_once_and_always_the_same_one_stays():
    images = slices(6)
    again = replace(images[3], sop_instance_uid="1.2.99", orthanc_id="again", instance_number=99)
    for order in ([*images, again], [again, *images]):
        stack = build_stack(order)
        assert list(stack.headers) == images
        assert stack.duplicates == (again,)


@pytest.mark.parametrize("off_mm", [-0.005, 0.005])
def test_of_two_equal_images_the_same_one_stays_whatever_rounding_did_to_their_positions(off_mm):
    images = slices(6)
    x, y, z = images[3].position_mm
    again = replace(images[3], sop_instance_uid="1.2.99", instance_number=99, position_mm=(x, y, z + off_mm))
    stack = build_stack([again, *images])
    assert list(stack.headers) == images
    assert stack.duplicates == (again,)


def test_two_different_images_at_one_position_are_a_conflict_that_names_it():
    images = slices(6)
    other = replace(images[3], sop_instance_uid="1.2.99", pixel_sha256="other")
    with pytest.raises(SliceConflict, match=r"at 36\.0 mm") as raised:
        build_stack([*images, other])
    assert raised.value.at_mm == pytest.approx((36.0,))


def test_two_images_at_one_position_whose_pixels_are_unknown_are_a_conflict():
    images = [replace(image, pixel_sha256="") for image in slices(6)]
    with pytest.raises(SliceConflict):
        build_stack([*images, replace(images[3], sop_instance_uid="1.2.99")])


@pytest.mark.parametrize(
    "change",
    [
        {"orientation": CORONAL}, {"rows": 32}, {"columns": 32}, {"pixel_spacing_mm": (0.6, 0.5)},
        {"frame_of_reference_uid": "1.8"}, {"position_mm": None}, {"orientation": None}, {"pixel_spacing_mm": None},
        {"pixel_spacing_mm": (0.0, 0.5)}, {"rows": 0}, {"position_mm": (0.0, 0.0, 1e9)},
    ],
    ids="-".join,
)
def test_one_image_of_another_grid_makes_the_geometry_irregular(change):
    images = slices(6)
    images[2] = replace(images[2], **change)
    with pytest.raises(IrregularGeometry):
        build_stack(images)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 1, 0, 0), (1, 0, 0, 0.5, 0.8660254, 0), (2, 0, 0, 0, 2, 0), (0,) * 6])
def test_directions_that_are_no_right_angle_are_irregular(orientation):
    images = [replace(image, orientation=tuple(map(float, orientation))) for image in slices(6)]
    with pytest.raises(IrregularGeometry, match="right angles"):
        build_stack(images)


@pytest.mark.parametrize("degrees", [1, 5, 15, -20])
def test_a_tilted_gantry_is_irregular(degrees):
    tilt = math.tan(math.radians(degrees))
    images = [
        replace(image, position_mm=(image.position_mm[0], image.position_mm[1] + tilt * 3.0 * i, image.position_mm[2]))
        for i, image in enumerate(slices(20, spacing=3.0))
    ]
    with pytest.raises(IrregularGeometry, match="gantry tilt"):
        build_stack(images)
    with pytest.raises(IrregularGeometry, match=f"drift sideways by {abs(degrees)}.0 degrees; this model takes at most 0.5"):
        build_stack(images, largest_tilt_degrees=0.5)
    stack = build_stack(images[::-1], largest_tilt_degrees=20.1)
    assert stack.tilt_degrees == pytest.approx(abs(degrees))
    assert stack.drift == pytest.approx((0.0, tilt), abs=1e-9)
    assert stack.spacing_mm[0] == pytest.approx(3.0), "along the normal, not along the drift"


def test_a_stack_that_is_straight_to_half_a_pixel_has_no_tilt():
    images = [
        replace(image, position_mm=(-10.0 + 0.2 * (i % 2), 20.0, image.position_mm[2])) for i, image in enumerate(slices(9))
    ]
    assert build_stack(images, largest_tilt_degrees=30).drift == (0.0, 0.0)


@pytest.mark.parametrize("bend", [lambda i: 0.05 * i * i, lambda i: 3.0 * (i == 5), lambda i: float(i if i < 6 else 10 - i)])
def test_slices_that_lie_on_no_line_are_no_tilt(bend):
    images = [
        replace(image, position_mm=(image.position_mm[0] + bend(i), image.position_mm[1], image.position_mm[2]))
        for i, image in enumerate(slices(12, spacing=3.0))
    ]
    with pytest.raises(IrregularGeometry, match="do not lie on one line: image"):
        build_stack(images, largest_tilt_degrees=45)


@given(rotations(), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.integers(3, 30), st.integers(0, 2**32))
def test_the_drift_of_any_orientation_is_found_in_any_order(orientation, along_row, along_column, n, seed):
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    assume(max(abs(along_row), abs(along_column)) * 2.0 * (n - 1) > 0.5)
    images = [
        replace(image, position_mm=tuple(float(v) for v in np.array(image.position_mm) + 2.0 * i * (
            along_row * row + along_column * column)))
        for i, image in enumerate(slices(n, orientation=orientation))
    ]
    stack = build_stack(random.Random(seed).sample(images, n), largest_tilt_degrees=45)
    assert list(stack.headers) == images
    assert stack.drift == pytest.approx((along_row, along_column), abs=1e-6)
    assert stack.spacing_mm[0] == pytest.approx(2.0, abs=1e-6)


def test_two_spacings_in_one_stack_are_irregular():
    images = slices(10, spacing=3.0)
    top = images[-1].position_mm[2]
    more = [replace(image, position_mm=(-10.0, 20.0, top + 5.0 * (i + 1))) for i, image in enumerate(slices(10))]
    with pytest.raises(IrregularGeometry, match="unevenly spaced"):
        build_stack(images + more)


@pytest.mark.parametrize(("shift", "clean"), [(0.09, True), (0.2, False)])
def test_small_departures_of_a_position_are_within_the_tolerance(shift, clean):
    images = slices(10, spacing=2.0)
    x, y, z = images[4].position_mm
    images[4] = replace(images[4], position_mm=(x, y, z + shift))
    if clean:
        assert build_stack(images, 0.05).spacing_mm[0] == pytest.approx(2.0)
    else:
        with pytest.raises(IrregularGeometry):
            build_stack(images, 0.05)


def test_positions_rounded_as_scanners_round_them_make_a_stack():
    images = [
        replace(image, position_mm=tuple(round(v, 2) for v in image.position_mm),
                orientation=tuple(round(v, 4) for v in image.orientation))
        for image in slices(300, orientation=OBLIQUE, spacing=0.625)
    ]
    stack = build_stack(images)
    assert len(stack.headers) == 300
    assert stack.spacing_mm[0] == pytest.approx(0.625, abs=1e-4)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_slices_are_no_stack(n):
    with pytest.raises(TooFewSlices):
        build_stack(slices(n))


def test_many_copies_of_one_slice_are_no_stack():
    image = slices(1)[0]
    with pytest.raises(TooFewSlices):
        build_stack([replace(image, sop_instance_uid=f"1.2.{i}") for i in range(5)])
