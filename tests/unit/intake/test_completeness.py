from __future__ import annotations

from dataclasses import replace

import pytest

from vigil.domain.errors import Category
from vigil.intake.completeness import Proof, judge
from vigil.intake.stack import build_stack


@pytest.fixture
def images(head_headers):
    return list(head_headers)


@pytest.fixture
def wanted(manifest):
    return manifest().inputs[0]


def judged(images, wanted, *, usable=None, series=None):
    usable = images if usable is None else usable
    return judge(build_stack(images), usable, usable if series is None else series, wanted)


def declaring(images, count):
    return [replace(image, images_in_acquisition=count) for image in images]


def test_as_many_images_as_declared_are_proof_of_the_end(images, wanted):
    found = judged(declaring(images, 40), wanted)
    assert (found.proof, found.declared, found.arrived, found.reason) == (Proof.DECLARED, 40, 40, None)


def test_one_image_fewer_than_declared_is_incomplete_and_says_so(images, wanted):
    found = judged(declaring(images[:-1], 40), wanted)
    assert found.proof is Proof.NONE
    assert found.reason.category is Category.INCOMPLETE
    assert found.reason.text == "39 of the 40 images that the scanner declared have arrived"
    assert found.enough


def test_without_a_declared_count_only_quiet_can_tell(images, wanted):
    assert judged(images, wanted).proof is Proof.QUIET


@pytest.mark.parametrize("count", [0, 1, 20, -3])
def test_a_declared_count_that_is_too_small_proves_nothing(images, wanted, count):
    assert judged(declaring(images, count), wanted).proof is Proof.QUIET


def test_a_step_and_shoot_scanner_that_declares_one_image_an_acquisition_proves_nothing(images, wanted):
    rotations = [replace(image, acquisition_number=i, images_in_acquisition=1) for i, image in enumerate(images)]
    assert judged(rotations, wanted).proof is Proof.QUIET


def test_counts_that_contradict_each_other_prove_nothing(images, wanted):
    assert judged(declaring(images[:20], 40) + declaring(images[20:], 41), wanted).proof is Proof.QUIET


def test_a_duplicate_does_not_make_up_for_a_missing_image(images, wanted):
    images = declaring(images, 40)
    again = replace(images[3], sop_instance_uid="9.9", instance_number=None)
    found = judged([*images[:-1], again], wanted)
    assert (found.proof, found.arrived) == (Proof.NONE, 39)


def test_a_count_that_two_stacks_of_one_series_meet_together_leaves_the_end_to_quiet(images, wanted):
    first = declaring(images, 80)
    second = [replace(image, sop_instance_uid=f"9.{i}", pixel_sha256=f"x{i}") for i, image in enumerate(first)]
    assert judged(first, wanted, usable=first + second).proof is Proof.QUIET
    assert judged(first, wanted, usable=first + second[:-1]).proof is Proof.NONE


def test_parts_of_two_stacks_that_each_declare_their_own_count_do_not_add_up_to_a_whole_one(images, wanted):
    first = declaring(images, 40)
    second = [replace(image, sop_instance_uid=f"9.{i}", pixel_sha256=f"x{i}") for i, image in enumerate(first)]
    assert judged(first[:30], wanted, usable=first[:30] + second[:10]).proof is Proof.QUIET


def test_too_few_slices_say_how_many_the_model_needs(images, wanted):
    found = judged(images[:12], wanted)
    assert found.reason.text == "12 slices have arrived; this model needs at least 20"
    assert not found.enough


def test_too_little_coverage_says_how_much_the_model_needs(images, wanted):
    found = judged(images[:24], wanted)
    assert found.reason.text == "the slices cover 96 mm; this model needs at least 100 mm"
    assert judged(images[:25], wanted).reason is None


def test_too_little_coverage_is_incomplete_even_where_the_declared_number_is_here(images, wanted):
    assert judged(declaring(images[:24], 24), wanted).proof is Proof.NONE


def test_every_second_slice_is_missing_by_its_number_though_the_spacing_is_even(images, wanted):
    found = judged(images[::2], wanted)
    assert found.reason.category is Category.SLICE_MISSING
    assert found.reason.text.startswith("19 images are missing between the images numbered 1 and 3, 3 and 5")
    assert found.reason.text.endswith("and elsewhere")


def test_numbers_that_run_downwards_are_as_good(images, wanted):
    downwards = [replace(image, instance_number=100 - image.instance_number) for image in images]
    assert judged(downwards, wanted).reason is None
    assert judged(downwards[::2], wanted).reason.category is Category.SLICE_MISSING


def test_numbers_that_other_images_of_the_series_bear_are_not_missing(images, wanted):
    odd = [replace(image, instance_number=2 * i + 1) for i, image in enumerate(images)]
    even = [replace(image, sop_instance_uid=f"9.{i}", instance_number=2 * i + 2) for i, image in enumerate(images)]
    assert judged(odd, wanted, usable=odd + even).reason is None
    assert judged(odd, wanted).reason.category is Category.SLICE_MISSING


@pytest.mark.parametrize("number", [lambda i: None, lambda i: 1, lambda i: (i * 7) % 40, lambda i: None if i == 5 else 2 * i])
def test_numbers_that_do_not_run_along_the_stack_mean_nothing(images, wanted, number):
    assert judged([replace(image, instance_number=number(i)) for i, image in enumerate(images)], wanted).reason is None


def test_an_absurd_number_costs_no_time(images, wanted):
    images[-1] = replace(images[-1], instance_number=2**31 - 1)
    assert "2147483607 images are missing" in judged(images, wanted).reason.text
