from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.intake.acquisitions import split_stacks
from vigil.intake.errors import IrregularGeometry, SliceConflict, SliceMissing


@pytest.fixture(scope="module")
def images(head_headers):
    return list(head_headers)


def shifted(images, suffix, dz=0.0, **change):
    return [
        replace(
            image, sop_instance_uid=f"{image.sop_instance_uid}.{suffix}", pixel_sha256=f"{image.pixel_sha256}{suffix}",
            position_mm=(image.position_mm[0], image.position_mm[1], image.position_mm[2] + dz), **change,
        )
        for image in images
    ]


def lengths(built):
    return sorted(len(part.stack.headers) for part in built if part.stack)


def test_one_stack_stays_one(images):
    built, = split_stacks(images, 0.05)
    assert list(built.stack.headers) == images


def test_an_acquisition_number_for_every_slice_splits_nothing(images):
    built, = split_stacks([replace(image, acquisition_number=i) for i, image in enumerate(images)], 0.05)
    assert len(built.stack.headers) == 40


@pytest.mark.parametrize("change", [
    {"acquisition_number": 2}, {"image_type": ("DERIVED", "PRIMARY", "MIP")}, {"kernels": ("H60S",)}, {"echo_time_ms": 90.0},
    {"b_value": 1000.0}, {"temporal_position": 2}, {"trigger_time_ms": 400.0},
], ids=lambda change: next(iter(change)))
def test_two_passes_over_the_same_place_are_two_stacks(images, change):
    assert lengths(split_stacks(images + shifted(images, 7, **change), 0.05)) == [40, 40]


def test_four_passes_told_apart_by_two_things_together_are_four_stacks(images):
    everything = list(images)
    for suffix, (number, kind) in enumerate([(2, "AXIAL"), (1, "MIP"), (2, "MIP")]):
        everything += shifted(images, suffix, acquisition_number=number, image_type=("ORIGINAL", "PRIMARY", kind))
    assert lengths(split_stacks(everything, 0.05)) == [40, 40, 40, 40]


def test_echoes_weightings_and_phases_together_are_told_apart(images):
    everything = []
    for suffix, (echo, weighting, phase) in enumerate(product((10.0, 90.0), (0.0, 1000.0), (1, 2, 3))):
        everything += shifted(images, suffix, echo_time_ms=echo, b_value=weighting, temporal_position=phase)
    assert lengths(split_stacks(everything, 0.05)) == [40] * 12


@given(st.permutations(range(6)), st.integers(2, 4), st.data())
def test_the_stacks_of_a_series_are_found_whatever_tells_them_apart(images, order, count, data):
    fields = ("acquisition_number", "kernels", "echo_time_ms", "b_value", "temporal_position", "trigger_time_ms")
    chosen = [fields[index] for index in order[:2]]
    values = {name: [(f"K{i}",) if name == "kernels" else i for i in range(count)] for name in chosen}
    part = images[:10]
    everything = [image for i in range(count) for image in shifted(part, i, **{name: values[name][i] for name in chosen})]
    found = split_stacks(data.draw(st.permutations(everything)), 0.05)
    assert lengths(found) == [10] * count
    for built in found:
        assert len({getattr(image, chosen[0]) for image in built.images}) == 1


def test_two_passes_between_one_another_are_two_stacks(images):
    assert lengths(split_stacks(images + shifted(images, 7, dz=0.7, acquisition_number=2), 0.05)) == [40, 40]


def test_another_orientation_or_matrix_in_the_series_is_another_stack(images):
    scout = shifted(images[:1], 8, orientation=(1.0, 0.0, 0.0, 0.0, 0.0, -1.0))
    wide = shifted(images[:3], 9, columns=16)
    assert lengths(split_stacks(images + scout + wide, 0.05)) == [3, 40]


def test_a_repeated_slice_of_another_acquisition_leaves_the_first_pass_whole(images):
    built = split_stacks(images + shifted(images[5:6], 7, acquisition_number=2), 0.05)
    assert lengths(built) == [40]


def test_two_different_images_at_one_place_that_nothing_tells_apart_stay_a_conflict(images):
    built, = split_stacks(images + shifted(images[5:6], 7), 0.05)
    assert isinstance(built.error, SliceConflict)


def test_a_slice_missing_between_two_acquisitions_is_not_split_away(images):
    numbered = [replace(image, acquisition_number=1 if i < 20 else 2) for i, image in enumerate(images) if i != 20]
    built, = split_stacks(numbered, 0.05)
    assert isinstance(built.error, SliceMissing)


def test_a_slice_missing_from_one_of_two_interleaved_passes_is_not_split_away(images):
    numbered = [replace(image, acquisition_number=1 + i % 2) for i, image in enumerate(images) if i != 21]
    built, = split_stacks(numbered, 0.05)
    assert isinstance(built.error, SliceMissing)


def test_two_blocks_of_different_spacing_stay_one_irregular_scan(images):
    top = images[-1].position_mm[2]
    upper = [
        replace(image, position_mm=(0.0, 0.0, top + 7.0 * (i + 1)), acquisition_number=2)
        for i, image in enumerate(shifted(images, 7))
    ]
    built, = split_stacks(images + upper, 0.05)
    assert isinstance(built.error, IrregularGeometry)


def test_every_image_is_in_exactly_one_part(images):
    everything = images + shifted(images, 7, acquisition_number=2) + shifted(images[:3], 9, columns=16)
    parts = [image.sop_instance_uid for built in split_stacks(everything, 0.05) for image in built.images]
    assert sorted(parts) == sorted(image.sop_instance_uid for image in everything)


def test_the_order_of_arrival_plays_no_part(images):
    everything = images + shifted(images, 7, acquisition_number=2)
    forward, backward = split_stacks(everything, 0.05), split_stacks(everything[::-1], 0.05)
    assert {part.stack for part in forward} == {part.stack for part in backward}
