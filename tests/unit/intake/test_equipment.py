from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    EnhancedMRImageStorage,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from hospital.ct_series import Patient
from vigil.domain.manifest import Scope
from vigil.intake.appraise import Verdict, appraise
from vigil.intake.equipment import equipment_reason, sex_reason


def scope(**more):
    return Scope.model_validate({"modality": ["CT"], "body_part": {"any_of": ["HEAD"]}} | more)


@pytest.fixture
def image(head_headers):
    return head_headers[0]


CASES = {
    # rule: (scope, field of the header, values that pass, a value that does not, what is told of it, told of an absent one)
    "manufacturer": (
        {"manufacturers": {"any_of": ["Siemens", "GE"]}}, "manufacturer",
        ("SIEMENS", "Siemens Healthineers", "GE MEDICAL SYSTEMS", "ge"), "Genoray",
        "the scanner was made by 'Genoray'; this model is for Siemens or GE",
        "the header does not give the scanner's manufacturer; this model is for Siemens or GE"),
    "kernel": (
        {"kernels": {"any_of": ["H30s"]}}, "kernels", (("H30S",), ("H30s", "H30S")), ("H60S",),
        "the reconstruction kernel is 'H60S'; this model is for H30s",
        "the header does not give the reconstruction kernel; this model is for H30s"),
    "field": (
        {"field_strength_t": {"minimum": 1.0, "maximum": 3.0}}, "field_strength_t", (1.0, 1.5, 3.0), 0.35,
        "the field strength is 0.35 T; this model is for 1 to 3 T",
        "the header does not give the field strength; this model is for 1 to 3 T"),
    "view": (
        {"views": {"any_of": ["PA", "AP"]}}, "view_position", ("PA", "AP"), "LL",
        "the view is LL; this model is for PA or AP", "the header does not give the view; this model is for PA or AP"),
    "sex": (
        {"sex": {"any_of": ["F"]}}, "sex", ("F",), "M",
        "patient is male; this model is for female", "the header does not give the patient's sex; this model is for female"),
}


def reason(images, asked):
    return sex_reason(images, asked) or equipment_reason(images, asked)


@pytest.mark.parametrize("rule", CASES)
def test_each_rule_refuses_in_peoples_words_what_it_does_not_accept_and_what_it_does_not_know(image, rule):
    asked, name, accepted, refused, told, told_unknown = CASES[rule]
    for value in accepted:
        assert reason([replace(image, **{name: value})], scope(**asked)) is None
    found = reason([replace(image, **{name: accepted[0]}), replace(image, **{name: refused})], scope(**asked))
    assert found.text == told
    absent = replace(image, **{name: type(refused)() if not isinstance(refused, float) else None})
    assert reason([absent], scope(**asked)).text == told_unknown
    key, = asked
    assert reason([absent], scope(**{key: {**asked[key], "unknown": "accept"}})) is None
    assert reason([replace(image, **{name: refused})], scope()) is None


@pytest.mark.parametrize(("agent", "none", "given"), [
    ("", True, False), ("NONE", True, False), ("nativ", True, False), ("APPLIED", False, True), ("Ultravist 300", False, True)])
def test_a_contrast_agent_is_what_the_header_names(image, agent, none, given):
    images = [image, replace(image, contrast_agent=agent)]
    assert (equipment_reason(images, scope(contrast="none")) is None) is none
    assert (equipment_reason(images, scope(contrast="given")) is None) is given


def test_a_wrong_phase_is_told(image):
    found = equipment_reason([replace(image, contrast_agent="Ultravist for Jane Doe")], scope(contrast="none"))
    assert found.text == "a contrast agent was given; this model is for images without contrast"


def test_a_text_of_the_header_is_made_fit_to_print(image):
    found = equipment_reason([replace(image, manufacturer="Ac\x07me\n" + "e" * 80)], scope(manufacturers={"any_of": ["GE"]}))
    assert found.text == f"the scanner was made by 'Acme{'e' * 36}'; this model is for GE"


def test_a_modality_that_the_kind_of_object_contradicts_is_refused(image):
    for sop_class in (MRImageStorage, EnhancedMRImageStorage):
        found = equipment_reason([image, replace(image, sop_class_uid=str(sop_class))], scope())
        assert found.text == "images say that they are CT, but were stored as MR: find out what was scanned"
    assert equipment_reason([replace(image, sop_class_uid=str(SecondaryCaptureImageStorage))], scope()) is None


@pytest.mark.parametrize(("asked", "changes", "told"), [
    ({"manufacturers": {"any_of": ["siemens"]}}, {}, "the scanner was made by 'Vigil test scanner'"),
    ({"contrast": "none"}, {"ContrastBolusAgent": "Ultravist"}, "a contrast agent was given"),
    ({"kernels": {"any_of": ["B30f"]}}, {}, "the reconstruction kernel is 'H30S'"),
    ({}, {"SOPClassUID": MRImageStorage}, "were stored as MR"),
    ({"sex": {"any_of": ["M", "F"]}}, {}, "patient is of other sex; this model is for male or female"),
])
def test_a_study_out_of_intended_use_is_refused_visibly_and_not_left_out(
    ct, content_of, manifest, now, asked, changes, told
):
    images = ct(40, patient=Patient(sex="O"))
    for image in images:
        for keyword, value in changes.items():
            setattr(image, keyword, value)
    found = appraise(content_of(images), manifest({"age_years": None} | asked), now=now, quiet_since=now.replace(year=2025))
    assert found.verdict is Verdict.REFUSED
    assert told in found.reason.text


def test_a_series_of_another_kernel_is_passed_over_for_the_one_that_is_meant(ct, content_of, manifest, now):
    soft, bone = ct(40), ct(60, seed="bone", spacing_mm=3.0)
    for image in bone:
        image.ConvolutionKernel = "H60s"
    found = appraise(content_of([*bone, *soft]), manifest({"kernels": {"any_of": ["H30s"]}}), now=now,
                     quiet_since=now.replace(year=2025))
    assert found.verdict is Verdict.WANTED
    assert {header.series_instance_uid for header in found.stack.headers} == {soft[0].SeriesInstanceUID}


@pytest.mark.parametrize(("changes", "syntax", "lossy"), [
    ({}, None, False), ({"LossyImageCompression": "00"}, None, False), ({"LossyImageCompression": "01"}, None, True),
    ({}, JPEGExtended12Bit, True), ({}, JPEGLSNearLossless, True), ({}, JPEGLSLossless, False),
])
def test_images_that_were_compressed_with_loss_are_refused_unless_the_manifest_accepts_them(
    ct, headers_of, changes, syntax, lossy
):
    first, image = ct(2)
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    if syntax is not None:
        image.file_meta.TransferSyntaxUID = syntax
        image.PixelData = encapsulate([b"\0" * 100])
        image["PixelData"].VR = "OB"
    headers = headers_of([first, image])
    assert (equipment_reason(headers, scope()) is not None) is lossy
    assert equipment_reason(headers, scope(lossy="accept")) is None


@pytest.mark.parametrize(("said", "burned_in"), [(None, False), ("NO", False), ("", False), ("YES", True)])
def test_images_with_text_in_their_pixels_are_refused_unless_the_manifest_accepts_them(ct, headers_of, said, burned_in):
    first, image = ct(2)
    if said is not None:
        image.BurnedInAnnotation = said
    found = equipment_reason(headers_of([first, image]), scope())
    assert (found is not None) is burned_in
    assert found is None or "text or marks are burned into the images" in found.text
    assert equipment_reason(headers_of([first, image]), scope(burned_in="accept")) is None
