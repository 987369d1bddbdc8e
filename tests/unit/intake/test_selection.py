from __future__ import annotations

import random
from dataclasses import replace

import pytest
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    MPEG2MPML,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from vigil.domain.errors import Category
from vigil.intake.selection import select, suffices


@pytest.fixture
def images(head_headers):
    return list(head_headers)


def series(images, uid, *, spacing_mm=4.0, origin_mm=0.0, **change):
    return [
        replace(
            image, series_instance_uid=uid, sop_instance_uid=f"{uid}.{i}", pixel_sha256=f"{uid}.{i}",
            position_mm=(0.0, 0.0, origin_mm + spacing_mm * i), **change,
        )
        for i, image in enumerate(images)
    ]


def chosen(found):
    return [candidate.series_instance_uid for candidate in found.candidates]


def selected(images, model, **more):
    return select(images, model.scope, model.inputs[0], **more)


def test_most_coverage_wins(images, manifest):
    everything = series(images[:30], "1.1") + series(images, "1.2")
    assert chosen(selected(everything, manifest())) == ["1.2", "1.1"]


def test_of_equal_coverage_the_thinnest_spacing_wins_though_the_thick_series_reaches_a_little_further(images, manifest):
    thick, thin = series(images[:33], "1.1", spacing_mm=5.0), series(images, "1.2", spacing_mm=4.0)
    assert chosen(selected(thick + thin, manifest())) == ["1.2", "1.1"]


def test_of_equal_coverage_and_spacing_most_slices_win(images, manifest):
    assert chosen(selected(series(images[:39], "1.1") + series(images, "1.2"), manifest())) == ["1.2", "1.1"]


def test_then_the_lowest_series_number_wins_and_no_number_is_last(images, manifest):
    everything = (
        series(images, "1.1", series_number=None) + series(images, "1.2", series_number=4)
        + series(images, "1.3", series_number=3)
    )
    assert chosen(selected(everything, manifest())) == ["1.3", "1.2", "1.1"]


def test_then_the_lowest_uid_wins_and_the_order_of_arrival_plays_no_part(images, manifest):
    everything = series(images, "1.2") + series(images, "1.1") + series(images, "1.3")
    for seed in range(5):
        shuffled = random.Random(seed).sample(everything, len(everything))
        assert chosen(selected(shuffled, manifest())) == ["1.1", "1.2", "1.3"]


REJECTIONS = {
    "localizer": ({"image_type": ("ORIGINAL", "LOCALIZER")}, Category.NO_SUITABLE_SERIES, "holds only localizer images"),
    "dose report picture": ({"image_type": ("DERIVED", "SECONDARY")}, Category.NO_SUITABLE_SERIES, "holds only secondary images"),
    "bone series": ({"series_description": "Bone 1.0 H70"}, Category.NO_SUITABLE_SERIES, "'bone'"),
    "chest series": ({"body_part": "CHEST"}, Category.OUT_OF_SCOPE, "body part is chest"),
    "no pixels": ({"has_pixel_data": False}, Category.NO_PIXEL_DATA, "40 of 40 images hold no pixel data"),
    "video": ({"transfer_syntax_uid": str(MPEG2MPML)}, Category.UNSUPPORTED_TRANSFER_SYNTAX, "MPEG2"),
    "unnamed encoding": ({"transfer_syntax_uid": ""}, Category.UNSUPPORTED_TRANSFER_SYNTAX, "none named"),
    "multi-frame": ({"frames": 40}, Category.NO_SUITABLE_SERIES, "multi-frame"),
    "no orientation": ({"orientation": None}, Category.IRREGULAR_GEOMETRY, "lacks Image Position"),
    "thick slices": ({"slice_thickness_mm": 8.0}, Category.OUT_OF_SCOPE, "8 mm thick"),
}


@pytest.mark.parametrize("kind", REJECTIONS)
def test_a_series_that_does_not_serve_is_rejected_with_its_reason(images, manifest, kind):
    change, category, text = REJECTIONS[kind]
    model = manifest({"slice_thickness_mm": {"maximum": 5}}, excluded_words=["bone"])
    found = selected(series(images, "1.1", **change) + series(images, "1.2"), model)
    assert chosen(found) == ["1.2"]
    assert found.rejected["1.1"].category is category
    assert text in found.rejected["1.1"].text


def test_a_series_of_too_many_slices_is_too_large(images, manifest):
    found = selected(images, manifest(maximum_slices=39))
    reason, = found.rejected.values()
    assert (reason.category, reason.text) == (Category.STUDY_TOO_LARGE, "40 slices; this model takes at most 39")


def test_a_localizer_within_the_series_is_left_out_of_the_stack(images, manifest):
    scout = replace(images[0], image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"), sop_instance_uid="9.9", columns=512)
    found = selected([scout, *images], manifest())
    assert found.candidates[0].stack.headers == tuple(images)


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEGLSNearLossless, JPEG2000, JPEGLossless, JPEGLosslessSV1, HTJ2K]
)
def test_the_compressed_encodings_of_hospitals_serve(images, manifest, syntax):
    assert selected([replace(image, transfer_syntax_uid=str(syntax)) for image in images], manifest()).candidates


def test_what_can_be_decoded_is_handed_in(images, manifest):
    found = selected(images, manifest(), decodable=frozenset())
    assert found.told.category is Category.UNSUPPORTED_TRANSFER_SYNTAX


def test_a_broken_stack_beside_a_small_whole_one_is_not_forgotten(images, manifest):
    small = series(images[:3], images[0].series_instance_uid, columns=16)
    found = selected([*images[:10], *images[11:], *small], manifest())
    assert found.told.category is Category.SLICE_MISSING


def test_the_reason_told_is_that_of_the_largest_series_that_is_meant(images, manifest):
    bolus = series(images[:5], "1.1", spacing_mm=0.0)
    chest = series(images * 3, "1.2", body_part="CHEST")
    found = selected(bolus + chest + series(images[:15], "1.3"), manifest())
    assert found.rejected["1.1"].category is Category.SLICE_CONFLICT
    assert found.told.text == "15 slices have arrived; this model needs at least 20"


@pytest.mark.parametrize(
    ("description", "protocol", "taken"),
    [
        ("t1_mprage_sag_1mm", "", True), ("T1W 3D", "", True), ("", "MPRAGE", True), ("sag 1mm", "Brain t1", True),
        ("sag 1mm", "Brain", False), ("", "", False), ("st1mulus", "", False), ("t1_mprage post", "", False),
    ],
)  # fmt: skip
def test_a_series_must_say_one_of_the_required_words(images, manifest, description, protocol, taken):
    model = manifest(required_words=["t1", "t1w", "mprage"], excluded_words=["post"])
    found = selected(series(images, "1.1", series_description=description, protocol=protocol), model)
    assert bool(found.candidates) == taken
    if not taken:
        assert found.told.category is Category.NO_SUITABLE_SERIES


def test_of_the_stacks_of_one_series_the_first_echo_weighting_and_phase_is_chosen(head_headers, manifest):
    images = [
        replace(image, sop_instance_uid=f"{9 - echo}.{phase}.{image.sop_instance_uid}", pixel_sha256=f"{echo}{phase}{index}",
                echo_time_ms=float(echo), temporal_position=phase)
        for echo in (3, 1, 2) for phase in (2, 1) for index, image in enumerate(head_headers)
    ]
    model = manifest()
    best, *others = select(images, model.scope, model.inputs[0]).candidates
    assert len(others) == 5
    assert {(header.echo_time_ms, header.temporal_position) for header in best.stack.headers} == {(1.0, 1)}


def test_a_part_suffices_only_where_it_is_one_stack_within_the_intended_use(head_headers, manifest):
    model = manifest({"contrast": "none"})

    def enough(images):
        return suffices(images, model.scope, model.inputs[0])

    assert enough(head_headers) and enough(head_headers[:25])
    assert not enough(head_headers[:24]), "too little of the head"
    assert not enough(head_headers[:10] + head_headers[11:]), "a hole"
    assert not enough([*head_headers[:30], replace(head_headers[30], image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))])
    after_contrast = [replace(image, contrast_agent="given", series_instance_uid="1.2.9") for image in head_headers[5:]]
    assert not enough(after_contrast), "out of intended use"
    assert not enough([*head_headers[:5], *after_contrast]), "two series that fit together"
