from __future__ import annotations

from dataclasses import replace

import pytest

from vigil.domain.manifest import BodyPart, Scope, WhenUnknown
from vigil.intake.scope import Region, age_reason, images_of_modality, region, region_reason, thickness_reason
from vigil.intake.words import has_word

HEAD = BodyPart(any_of=("HEAD", "BRAIN", "SKULL"), words=("head", "schädel", "ct brain"))


@pytest.fixture
def image(head_headers):
    return head_headers[0]


def described(image, body_part="", series="", study=""):
    return replace(image, body_part=body_part, series_description=series, descriptions=f"{study} {series}".strip().lower())


def scope(**more):
    return Scope.model_validate({"modality": ["CT"], "body_part": {"any_of": ["HEAD"]}} | more)


@pytest.mark.parametrize(
    ("body_part", "series", "study", "found"),
    [
        ("HEAD", "", "", Region.ACCEPTED),
        ("SKULL", "chest", "chest", Region.ACCEPTED),
        ("CHEST", "head", "head", Region.OTHER),
        ("FOOT", "", "", Region.OTHER),
        ("HEADNECK", "", "", Region.DOUBTFUL),
        ("WHOLEBODY", "", "", Region.DOUBTFUL),
        ("SCHAEDEL", "", "", Region.DOUBTFUL),
        ("", "HEAD 1.5 H30s", "", Region.ACCEPTED),
        ("", "Schädel nativ", "", Region.ACCEPTED),
        ("", "1.5 H30s", "CT Brain plain", Region.ACCEPTED),
        ("", "HEAD_1.5", "", Region.ACCEPTED),
        ("", "Thorax 5.0", "CT head and chest", Region.OTHER),
        ("", "Head 5.0", "CT head and chest", Region.ACCEPTED),
        ("", "Chest 5.0", "", Region.OTHER),
        ("", "forehead", "", Region.UNKNOWN),
        ("", "H30s", "trauma", Region.UNKNOWN),
        ("", "", "", Region.UNKNOWN),
    ],
)
def test_the_body_part_is_what_the_tag_says_and_else_what_the_words_say(image, body_part, series, study, found):
    assert region([described(image, body_part, series, study)], HEAD) is found


def test_an_unknown_body_part_is_accepted_only_where_the_manifest_says_so(image):
    accepting = BodyPart(any_of=HEAD.any_of, words=HEAD.words, unknown=WhenUnknown.ACCEPT)
    assert region([described(image)], accepting) is Region.ACCEPTED
    assert region([described(image, "CHEST")], accepting) is Region.OTHER
    assert region([described(image, "WHOLEBODY")], accepting) is Region.DOUBTFUL


def test_an_image_that_says_nothing_agrees_with_one_that_does(image):
    assert region([described(image), described(image, "HEAD")], HEAD) is Region.ACCEPTED


def test_images_of_one_series_that_contradict_each_other_are_in_doubt(image):
    assert region([described(image, "CHEST"), described(image, "HEAD")], HEAD) is Region.DOUBTFUL


def test_the_reason_names_the_body_part_and_what_the_model_is_for(image):
    chest = [described(image, "CHEST")]
    assert region_reason(Region.OTHER, chest, HEAD).text == "body part is chest; this model is for head or brain or skull"
    assert "neither body part nor descriptions" in region_reason(Region.UNKNOWN, [described(image)], HEAD).text


@pytest.mark.parametrize(
    ("limits", "age", "text"),
    [
        ({"minimum": 18}, 18, None),
        ({"minimum": 18}, 56, None),
        ({"minimum": 18}, 10, "patient is 10 years old; this model is for 18 and over"),
        ({"minimum": 18}, 17.99, "patient is 17 years old; this model is for 18 and over"),
        ({"minimum": 18}, 0.5, "patient is 6 months old; this model is for 18 and over"),
        ({"minimum": 18}, 1 / 12, "patient is 1 month old; this model is for 18 and over"),
        ({"minimum": 18}, 10 / 365.25, "patient is 10 days old; this model is for 18 and over"),
        ({"maximum": 17}, 17.9, None),
        ({"maximum": 17}, 18, "patient is 18 years old; this model is for up to 17"),
        ({"minimum": 18, "maximum": 89}, 95, "patient is 95 years old; this model is for 18 to 89"),
        ({"minimum": 18}, None, "the header gives no age; this model is for 18 and over"),
        ({"minimum": 18, "unknown": "accept"}, None, None),
        ({"minimum": 18, "unknown": "accept"}, 10, "patient is 10 years old; this model is for 18 and over"),
        (None, 3, None),
    ],
)
def test_the_age_is_judged_in_peoples_words(image, limits, age, text):
    reason = age_reason([replace(image, patient_age_years=age, age_by_birth_date_years=None)], scope(age_years=limits))
    assert (reason.text if reason else None) == text


def test_a_birth_date_that_says_child_outweighs_an_age_that_says_adult(image):
    adult = replace(image, patient_age_years=56, age_by_birth_date_years=10)
    assert "10 years" in age_reason([adult], scope(age_years={"minimum": 18})).text


def test_an_age_and_a_birth_date_a_birthday_apart_agree(image):
    adult = replace(image, patient_age_years=18, age_by_birth_date_years=17)
    assert age_reason([adult], scope(age_years={"minimum": 18})) is None


@pytest.mark.parametrize(
    ("limits", "thickness", "text"),
    [
        ({"maximum": 3}, 3, None),
        ({"maximum": 3}, 5, "slices are 5 mm thick; this model is for up to 3 mm"),
        ({"minimum": 0.5, "maximum": 3}, 0.25, "slices are 0.25 mm thick; this model is for 0.5 to 3 mm"),
        ({"minimum": 1}, 0.5, "slices are 0.5 mm thick; this model is for 1 mm and more"),
        ({"maximum": 3}, None, "the header gives no slice thickness; this model is for up to 3 mm"),
        ({"maximum": 3, "unknown": "accept"}, None, None),
        (None, None, None),
    ],
)
def test_the_slice_thickness_is_judged_in_peoples_words(image, limits, thickness, text):
    reason = thickness_reason([replace(image, slice_thickness_mm=thickness)], scope(slice_thickness_mm=limits))
    assert (reason.text if reason else None) == text


def test_one_slice_too_thick_is_enough(image):
    images = [replace(image, slice_thickness_mm=thickness) for thickness in (1, 5, 1)]
    assert thickness_reason(images, scope(slice_thickness_mm={"maximum": 3})) is not None


def test_only_images_of_the_modality_count(image):
    report = replace(image, modality="SR", has_pixel_data=False, rows=0, columns=0, sop_class_uid="1.2.840.10008.5.1.4.1.1.88.22")
    raw = replace(image, has_pixel_data=False, rows=0, columns=0, sop_class_uid="1.2.840.10008.5.1.4.1.1.66")
    hollow = replace(image, has_pixel_data=False, rows=0, columns=0)
    other = replace(image, modality="MR")
    assert images_of_modality([image, report, raw, hollow, other], scope()) == (image, hollow)


@pytest.mark.parametrize(
    ("text", "word", "found"),
    [("CT Head", "head", True), ("head2", "head", True), ("(HEAD)", "head", True), ("headache", "head", False),
     ("überkopf", "kopf", False), ("CT  brain", "ct brain", False), ("a.b", "a.b", True), ("axb", "a.b", False)],
)
def test_a_word_stands_alone(text, word, found):
    assert has_word(text, word) is found
