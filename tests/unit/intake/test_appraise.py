from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import MPEG2MPML, EncapsulatedPDFStorage, EnhancedSRStorage, RTStructureSetStorage

from hospital.ct_series import Patient, dicom_bytes
from vigil.domain.errors import Category
from vigil.intake.appraise import Verdict, appraise
from vigil.intake.study import StudyContent

LONG, JUST_NOW = timedelta(hours=1), timedelta(0)


@pytest.fixture(scope="session")
def look(content_of, manifest, now):
    """Appraises a study whose last image came ``quiet`` ago."""
    adult_head = manifest()

    def appraised(items, *, quiet=LONG, model=adult_head, **more):
        content = items if isinstance(items, StudyContent) else content_of(items)
        return appraise(content, model, now=now, quiet_since=now - quiet, **more)

    return appraised


@pytest.fixture(scope="session")
def declaring(head_headers):
    return tuple(replace(header, images_in_acquisition=40) for header in head_headers)


# Law 2: never a negative on a partial study


def may_be_negative(indices, declared):
    """The rule in other words: without a hole, at least 20 slices and 100 mm (25 slices of 4 mm), and all of them where
    their number was declared."""
    whole = len(indices) > 0 and max(indices) - min(indices) + 1 == len(indices)
    return whole and len(indices) >= 25 and (not declared or len(indices) == 40)


@pytest.mark.parametrize("declared", [False, True], ids=["undeclared", "declared"])
@pytest.mark.parametrize("backwards", [False, True], ids=["from the first", "from the last"])
@pytest.mark.parametrize("quiet", [JUST_NOW, timedelta(seconds=599), LONG], ids=str)
def test_of_every_beginning_of_a_study_a_negative_leaves_only_where_the_rule_holds(
    look, head_headers, declaring, declared, backwards, quiet
):
    source = declaring if declared else head_headers
    for n in range(41):
        indices = list(range(40))[::-1][:n] if backwards else list(range(n))
        found = look([source[i] for i in indices], quiet=quiet)
        assert found.complete is may_be_negative(indices, declared), n
        assert found.complete is (found.verdict is Verdict.WANTED)
        if n == 0:
            assert found.verdict is Verdict.NOT_APPLICABLE
        elif not found.complete:
            assert found.verdict is (Verdict.REFUSED if quiet is LONG else Verdict.WAITING)
            assert found.reason is not None and found.reason.category is Category.INCOMPLETE


@given(st.sets(st.integers(0, 39)), st.booleans(), st.integers(0, 2**32), st.booleans())
def test_of_any_part_of_a_study_a_negative_leaves_only_where_the_rule_holds(
    look, head_headers, declaring, chosen, declared, seed, numbered
):
    source = declaring if declared else head_headers
    part = [source[i] for i in random.Random(seed).sample(sorted(chosen), len(chosen))]
    found = look(part)
    assert found.complete is may_be_negative(sorted(chosen), declared)
    if found.complete:
        assert found.stack is not None
        assert [header.instance_number for header in found.stack.headers] == [i + 1 for i in sorted(chosen)]


@given(st.sets(st.integers(0, 39), min_size=1), st.integers(0, 2**32))
def test_the_order_of_arrival_changes_nothing(look, head_headers, chosen, seed):
    part = [head_headers[i] for i in sorted(chosen)]
    assert look(part) == look(random.Random(seed).sample(part, len(part)))


@pytest.mark.parametrize("every", range(2, 8))
def test_every_nth_slice_of_a_long_study_is_no_whole_study(look, ct, headers_of, every):
    long = headers_of(ct(40 * every, spacing_mm=4.0 / every))
    assert look(long).complete
    found = look(long[::every])
    assert found.reason.category is Category.SLICE_MISSING
    assert not found.complete


def test_a_declared_study_is_wanted_the_moment_it_is_whole(look, declaring, manifest):
    found = look(declaring, quiet=JUST_NOW, model=manifest(quiet_s=300))
    assert found.verdict is Verdict.WANTED
    assert found.evidence["proof"] == "declared"


def test_an_undeclared_study_waits_until_it_is_quiet(look, head_headers, manifest, now):
    model = manifest(quiet_s=30)
    found = look(head_headers, quiet=timedelta(seconds=29), model=model, stable_age_s=0)
    assert (found.verdict, found.complete) == (Verdict.WAITING, False)
    assert found.look_again_at == now + timedelta(seconds=1)
    assert found.stack is not None
    assert look(head_headers, quiet=timedelta(seconds=30), model=model).verdict is Verdict.WANTED


def test_quiet_is_counted_on_top_of_the_time_until_a_study_is_stable(look, head_headers, manifest):
    model = manifest(quiet_s=30)
    assert look(head_headers, quiet=timedelta(seconds=89), model=model, stable_age_s=60).verdict is Verdict.WAITING
    assert look(head_headers, quiet=timedelta(seconds=90), model=model, stable_age_s=60).verdict is Verdict.WANTED


def test_a_large_part_waits_with_its_stack_so_that_a_positive_may_leave_early(look, declaring):
    found = look(declaring[:30], quiet=JUST_NOW)
    assert (found.verdict, found.complete) == (Verdict.WAITING, False)
    assert len(found.stack.headers) == len(found.inputs) == 30


def test_a_small_part_waits_without_a_stack(look, declaring):
    found = look(declaring[:10], quiet=JUST_NOW)
    assert (found.verdict, found.stack) == (Verdict.WAITING, None)


def test_an_incomplete_study_waits_until_it_is_given_up(look, declaring, now):
    waiting = look(declaring[:30], quiet=timedelta(seconds=599))
    assert waiting.look_again_at == now + timedelta(seconds=1)
    refused = look(declaring[:30], quiet=timedelta(seconds=600))
    assert refused.verdict is Verdict.REFUSED
    assert refused.look_again_at is None
    assert refused.reason.text == "30 of the 40 images that the scanner declared have arrived"
    assert len(refused.stack.headers) == len(refused.inputs) == 30, "a positive on these may still leave"
    assert not refused.complete
    assert look(declaring[:10], quiet=timedelta(seconds=600)).stack is None


def test_looking_again_when_told_never_waits_for_the_same_time_again(look, content_of, declaring, head_headers, manifest, now):
    for model in (manifest(quiet_s=45, give_up_after_s=20), manifest(quiet_s=5), manifest(give_up_after_s=0)):
        for headers in (declaring[:30], head_headers, head_headers[::2]):
            content = content_of(headers)
            first = appraise(content, model, now=now, quiet_since=now)
            if first.verdict is Verdict.WAITING:
                then = first.look_again_at
                assert then > now
                assert appraise(content, model, now=then, quiet_since=now).verdict is not Verdict.WAITING


def test_what_was_refused_is_wanted_when_the_rest_has_come(look, declaring):
    assert look(declaring[:39]).verdict is Verdict.REFUSED
    assert look(declaring).verdict is Verdict.WANTED


# Bad input: each with its verdict and its named reason


def without(images, keyword):
    for image in images:
        delattr(image, keyword)
    return images


def changed(images, **values):
    for image in images:
        for keyword, value in values.items():
            setattr(image, keyword, value)
    return images


def other_object(ct, sop_class, modality):
    image = without(ct(1, seed=modality), "PixelData")[0]
    for keyword in ("Rows", "Columns"):
        delattr(image, keyword)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = sop_class
    image.Modality = modality
    return image


def cut_file(ct):
    images = ct()
    return [*images[:20], dicom_bytes(images[20])[:-50], *images[21:]]


def twice_with_other_pixels(ct):
    images = ct()
    other = ct(seed="anew")[7]
    other.SeriesInstanceUID = images[0].SeriesInstanceUID
    return [*images, other]


BAD_INPUT = {
    # what came: (how to make it, verdict at once, verdict after giving up, category)
    "a localizer only": (
        lambda ct: ct(2, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), "waiting", "refused", Category.NO_SUITABLE_SERIES),
    "one slice missing": (lambda ct: [*ct()[:20], *ct()[21:]], "waiting", "refused", Category.SLICE_MISSING),
    "two different images at one place": (twice_with_other_pixels, "waiting", "refused", Category.SLICE_CONFLICT),
    "no pixel data": (lambda ct: without(ct(), "PixelData"), "waiting", "refused", Category.NO_PIXEL_DATA),
    "one image without pixel data": (
        lambda ct: [*without(ct()[:1], "PixelData"), *ct()[1:]], "waiting", "refused", Category.NO_PIXEL_DATA),
    "one file cut off": (cut_file, "waiting", "refused", Category.UNREADABLE_INSTANCE),
    "nothing but files cut off": (
        lambda ct: [dicom_bytes(image)[:700] for image in ct()], "waiting", "refused", Category.UNREADABLE_INSTANCE),
    "a few slices only": (lambda ct: ct()[:5], "waiting", "refused", Category.INCOMPLETE),
    "a single slice": (lambda ct: ct()[:1], "waiting", "refused", Category.INCOMPLETE),
    "too little coverage": (lambda ct: ct(30, spacing_mm=1.0), "waiting", "refused", Category.INCOMPLETE),
    "no positions": (lambda ct: without(ct(), "ImagePositionPatient"), "waiting", "refused", Category.IRREGULAR_GEOMETRY),
    "no body part and no words": (
        lambda ct: changed(ct(body_part="", series_description="", study_description=""), ProtocolName=""),
        "waiting", "refused", Category.OUT_OF_SCOPE),
    "a whole body scan": (lambda ct: ct(body_part="WHOLEBODY"), "waiting", "refused", Category.OUT_OF_SCOPE),
    "a child": (
        lambda ct: ct(patient=Patient(age="010Y", birth_date="20160101")), "refused", "refused", Category.OUT_OF_SCOPE),
    "an age unknown": (lambda ct: ct(patient=Patient(age="", birth_date="")), "refused", "refused", Category.OUT_OF_SCOPE),
    "two patients in one study": (
        lambda ct: [*ct(), *ct(seed="b", patient=Patient(name="Another^Person"))],
        "refused", "refused", Category.IDENTITY_CONFLICT),
    "a chest": (lambda ct: ct(body_part="CHEST"), "not-applicable", "not-applicable", Category.OUT_OF_SCOPE),
    "an MR": (lambda ct: changed(ct(), Modality="MR"), "not-applicable", "not-applicable", Category.NO_SUITABLE_SERIES),
    "a structured report only": (
        lambda ct: [other_object(ct, EnhancedSRStorage, "SR")], "not-applicable", "not-applicable", Category.NO_SUITABLE_SERIES),
    "a PDF only": (
        lambda ct: [other_object(ct, EncapsulatedPDFStorage, "DOC")],
        "not-applicable", "not-applicable", Category.NO_SUITABLE_SERIES),
    "structures only": (
        lambda ct: [other_object(ct, RTStructureSetStorage, "RTSTRUCT")],
        "not-applicable", "not-applicable", Category.NO_SUITABLE_SERIES),
    "nothing at all": (lambda ct: [], "not-applicable", "not-applicable", Category.NO_SUITABLE_SERIES),
}


@pytest.mark.parametrize("kind", BAD_INPUT)
def test_bad_input_has_a_verdict_and_a_named_reason(look, ct, kind):
    make, at_once, in_the_end, category = BAD_INPUT[kind]
    items = make(ct)
    for quiet, verdict in ((JUST_NOW, at_once), (LONG, in_the_end)):
        found = look(items, quiet=quiet)
        assert (found.verdict, found.reason.category) == (verdict, category)
        assert not found.complete
        assert (found.look_again_at is not None) == (verdict == "waiting")
        json.dumps(found.evidence)
        assert "Vigil^Test" not in json.dumps(found.evidence) + found.reason.text


def test_an_unreadable_transfer_syntax_is_refused_at_once_and_named(look, head_headers):
    found = look([replace(header, transfer_syntax_uid=str(MPEG2MPML)) for header in head_headers], quiet=JUST_NOW)
    assert (found.verdict, found.reason.category) == (Verdict.REFUSED, Category.UNSUPPORTED_TRANSFER_SYNTAX)
    assert "MPEG2" in found.reason.text and str(MPEG2MPML) in found.reason.text


def test_two_patient_ids_under_one_study_uid_are_refused_at_once(look, content_of, head_headers):
    found = look(content_of(head_headers, other_patients=True), quiet=JUST_NOW)
    assert (found.verdict, found.reason.category) == (Verdict.REFUSED, Category.IDENTITY_CONFLICT)


def test_two_patients_in_a_chest_study_are_no_matter_of_a_head_model(look, content_of, head_headers):
    chest = [replace(header, body_part="CHEST") for header in head_headers]
    assert look(content_of(chest, other_patients=True)).verdict is Verdict.NOT_APPLICABLE


def test_a_child_is_refused_in_peoples_words(look, ct):
    found = look(ct(patient=Patient(age="010Y", birth_date="20160101")), quiet=JUST_NOW)
    assert found.reason.text == "patient is 10 years old; this model is for 18 and over"
    assert len(found.inputs) == 40


def test_a_childs_chest_is_not_this_models_kind_of_study(look, ct):
    assert look(ct(patient=Patient(age="010Y"), body_part="CHEST")).verdict is Verdict.NOT_APPLICABLE


def test_a_slice_twice_is_analysed_once(look, ct):
    images, again = ct(), ct()[7]
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    found = look([*images, again])
    assert found.verdict is Verdict.WANTED
    assert len(found.stack.headers) == len(found.inputs) == 40


def test_a_study_of_head_and_chest_is_analysed_in_its_head(look, ct):
    found = look([*ct(90, seed="chest", body_part="CHEST", series_number=3), *ct()])
    assert found.verdict is Verdict.WANTED
    assert {header.body_part for header in found.stack.headers} == {"HEAD"}
    assert "chest" in json.dumps(found.evidence["rejected"])


def test_a_whole_series_is_analysed_beside_a_broken_one(look, ct):
    found = look([*ct(80, seed="thin", spacing_mm=2.0)[:50], *ct(80, seed="thin", spacing_mm=2.0)[51:], *ct()])
    assert found.verdict is Verdict.WANTED
    assert len(found.stack.headers) == 40
    assert [entry["category"] for entry in found.evidence["rejected"].values()] == ["slice-missing"]


def test_an_unreadable_file_beside_a_study_that_has_its_declared_number_does_no_harm(look, declaring, content_of):
    extra = content_of([b"not DICOM"]).unreadable
    whole, part = (replace(content_of(headers), unreadable=extra) for headers in (declaring, declaring[:39]))
    assert look(whole).verdict is Verdict.WANTED
    assert look(part).reason.category is Category.UNREADABLE_INSTANCE


def test_an_unreadable_file_keeps_back_a_negative_on_a_study_of_undeclared_number(look, head_headers, content_of):
    found = look(replace(content_of(head_headers), unreadable=content_of([b"not DICOM"]).unreadable))
    assert (found.verdict, found.complete) == (Verdict.REFUSED, False)
    assert "1 object of the study cannot be read: not a DICOM file" in found.reason.text


def test_an_unreadable_report_in_a_study_of_another_modality_is_not_this_models_matter(look, ct):
    assert look([*changed(ct(), Modality="MR"), b"not DICOM"]).verdict is Verdict.NOT_APPLICABLE


def test_reports_beside_the_images_change_nothing(look, ct):
    report = other_object(ct, EnhancedSRStorage, "SR")
    found = look([*ct(), report])
    assert found.verdict is Verdict.WANTED
    assert report.SOPInstanceUID not in {item.sop_instance_uid for item in found.inputs}


def test_the_inputs_of_a_wanted_study_are_its_stack_in_order(look, head_headers):
    found = look(head_headers[::-1])
    assert [item.sop_instance_uid for item in found.inputs] == [header.sop_instance_uid for header in head_headers]
    assert found.inputs[0].content_sha256 == head_headers[0].content_sha256
    assert found.inputs[0].orthanc_id == head_headers[0].orthanc_id


def test_the_inputs_of_a_refused_study_are_the_images_looked_at(look, head_headers):
    found = look(head_headers[:5])
    assert {item.sop_instance_uid for item in found.inputs} == {header.sop_instance_uid for header in head_headers[:5]}


def test_the_evidence_says_what_was_counted(look, declaring):
    evidence = look(declaring).evidence
    candidate, = evidence["candidates"]
    assert evidence["objects_by_modality"] == {"CT": 40}
    assert (candidate["slices"], candidate["declared"], candidate["arrived"]) == (40, 40, 40)
    assert (candidate["spacing_mm"], candidate["coverage_mm"]) == (4.0, 160.0)
    json.dumps(evidence)
