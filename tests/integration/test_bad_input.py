"""Input that is wrong in every way that can be met: a named answer, seen where a model should have answered, and Orthanc lives.

Never a negative, never lost, never a traceback for a person to read.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import (
    MPEG2MPML,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    MRImageStorage,
    RTStructureSetStorage,
    generate_uid,
)

from hospital.census import Census, analyses, take_census, wait_settled, wait_until
from hospital.ct_series import Patient, dicom_bytes
from hospital.hospital import MODEL, Hospital
from hospital.patients import head_study

GIVE_UP_S = 2.0


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """The model gives up on an incomplete study after two seconds instead of minutes."""
    folder = tmp_path_factory.mktemp("bad-input")
    models = impatient_models(folder / "models")
    with Hospital(folder, vigil={
        "ModelsDirectory": str(models), "Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0},
        "Reconcile": {"IntervalSeconds": 2.0},
    }) as running:
        yield running


def impatient_models(folder: Path) -> Path:
    """A copy of the bundle's models whose manifests give up soon, and know one maker of scanners."""
    import re
    import shutil

    from vigil.pipeline.house import BUNDLED_MODELS

    shutil.copytree(BUNDLED_MODELS, folder)
    manifest = folder / MODEL / "manifest.yaml"
    text, changed = re.subn(r"give_up_after_s: *[0-9.]+", f"give_up_after_s: {GIVE_UP_S}", manifest.read_text())
    assert changed == 1
    text, changed = re.subn(r"\n  contrast: none\n", "\\g<0>  manufacturers: {any_of: [Vigil]}\n", text)
    assert changed == 1
    manifest.write_text(text)
    return folder


def store(hospital: Hospital, images: list[Dataset]) -> None:
    for image in images:
        hospital.orthanc.post("/instances", dicom_bytes(image))


def settle(hospital: Hospital, images: list[Dataset]) -> Census:
    uid = str(images[0].StudyInstanceUID)
    wait_settled(hospital, uid)
    return take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})


def is_told(hospital: Hospital, census: Census, kind: str, category: str) -> dict[str, Any]:
    """The answer is of this kind and category, on a Secondary Capture and in an SR, and is no alarm."""
    answer = census.analyses[0]["answer"]
    assert answer["kind"] == kind
    assert answer["reason"]["category"] == category
    assert "Traceback" not in answer["sentence"]
    assert "not a negative" in answer["sentence"]
    assert {item["role"] for item in census.analyses[0]["objects"]} == {"summary", "report"}
    assert census.in_orthanc == census.in_pacs == census.made
    assert not census.control_ids
    assert "negative" not in census.kinds
    assert hospital.orthanc.get("/vigil/health/live") == {"live": True}
    return dict(answer)


def without_pixels(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        del image.PixelData
    return images


def with_one_slice_cut_short(images: list[Dataset]) -> list[Dataset]:
    images[20].PixelData = images[20].PixelData[:1000]
    return images


def with_one_slice_blank(images: list[Dataset]) -> list[Dataset]:
    images[20].PixelData = bytes(len(images[20].PixelData))
    return images


def without_their_intercept(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        image.RescaleIntercept = "0"
    return images


def with_half_a_head(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        stored = np.frombuffer(image.PixelData, "<u2").reshape(image.Rows, image.Columns)
        image.PixelData, image.Columns = np.ascontiguousarray(stored[:, 64:]).tobytes(), 64
    return images


def with_text_in_the_pixels(images: list[Dataset]) -> list[Dataset]:
    images[20].BurnedInAnnotation = "YES"
    return images


def in_a_video_syntax(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        image.file_meta.TransferSyntaxUID = MPEG2MPML
        image["PixelData"].is_undefined_length = True
        from pydicom.encaps import encapsulate

        image.PixelData = encapsulate([b"\x00" * 100])
    return images


def with_a_different_slice_at_one_place(images: list[Dataset]) -> list[Dataset]:
    twin = copy.deepcopy(images[20])
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    twin.PixelData = images[5].PixelData
    return [*images, twin]


CASES: dict[str, tuple[Callable[[list[Dataset]], list[Dataset]], str]] = {
    "one-slice-missing": (lambda images: images[:20] + images[21:], "slice-missing"),
    "few-slices": (lambda images: images[:5], "incomplete"),
    "two-different-slices-at-one-place": (with_a_different_slice_at_one_place, "slice-conflict"),
    "no-pixel-data": (without_pixels, "no-pixel-data"),
    "a-truncated-slice": (with_one_slice_cut_short, "unreadable-instance"),
    "a-blank-slice": (with_one_slice_blank, "unreadable-instance"),
    "no-hounsfield-units": (without_their_intercept, "implausible-values"),
    "half-a-head": (with_half_a_head, "truncated-anatomy"),
    "burned-in-text": (with_text_in_the_pixels, "out-of-scope"),
    "an-unreadable-transfer-syntax": (in_a_video_syntax, "unsupported-transfer-syntax"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_head_that_cannot_be_analysed_is_said_to_be_not_analysed(hospital: Hospital, name: str) -> None:
    spoil, category = CASES[name]
    images = spoil(head_study(f"bad-{name}"))
    store(hospital, images)

    is_told(hospital, settle(hospital, images), "not-analysed", category)


def test_a_study_of_a_localizer_only(hospital: Hospital) -> None:
    images = head_study("localizer", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))[:2]
    store(hospital, images)

    is_told(hospital, settle(hospital, images), "not-analysed", "no-suitable-series")


def test_a_child_is_out_of_scope_and_the_reason_is_in_people_s_words(hospital: Hospital) -> None:
    images = head_study("child", patient=Patient(patient_id="VIGIL-CHILD", age="010Y", birth_date="20161001"))
    store(hospital, images)

    answer = is_told(hospital, settle(hospital, images), "not-analysed", "out-of-scope")
    assert "10 years" in answer["sentence"]


@pytest.mark.parametrize(("keyword", "value", "told"), [
    ("ContrastBolusAgent", "Ultravist 300", "a contrast agent was given; this model is for images without contrast"),
    ("SOPClassUID", MRImageStorage, "images say that they are CT, but were stored as MR"),
    ("Manufacturer", "Genoray", "the scanner was made by 'Genoray'; this model is for Vigil"),
    ("Manufacturer", "", "the header does not give the scanner's manufacturer; this model is for Vigil"),
], ids=["a-wrong-phase", "an-mr-that-says-ct", "another-scanner", "an-unknown-scanner"])
def test_a_study_out_of_intended_use_says_why_in_people_s_words(
    hospital: Hospital, keyword: str, value: str, told: str
) -> None:
    images = head_study(f"use-{keyword}-{value}"[:24])
    for image in images:
        setattr(image, keyword, value)
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    store(hospital, images)

    assert told in is_told(hospital, settle(hospital, images), "not-analysed", "out-of-scope")["sentence"]


def test_a_part_of_a_declared_number_may_be_positive_and_says_that_it_is_a_part(hospital: Hospital) -> None:
    images = head_study("part-positive", declare_images=True)[:36]
    store(hospital, images)

    census = settle(hospital, images)
    census.exactly_once()
    answer = census.analyses[0]["answer"]
    assert answer["kind"] == "positive"
    assert "Only a part of the study was analysed: 36 of the 40 images that the scanner declared have arrived." in answer["notes"]


def test_a_part_of_a_declared_number_is_never_negative(hospital: Hospital) -> None:
    images = head_study("part-negative", insert_ml=None, declare_images=True)[:38]
    store(hospital, images)

    is_told(hospital, settle(hospital, images), "not-analysed", "incomplete")


def test_the_same_slice_twice_is_used_once(hospital: Hospital) -> None:
    images = head_study("twice")
    twin = copy.deepcopy(images[20])
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    store(hospital, [*images, twin])

    census = settle(hospital, [*images, twin])
    assert census.kinds == {"positive": 1}
    assert census.analyses[0]["answer"]["measured"]["value"] == pytest.approx(20, rel=0.2)


def other_object(images: list[Dataset], sop_class: str, modality_name: str) -> Dataset:
    other = copy.deepcopy(images[0])
    for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient"):
        del other[keyword]
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = sop_class
    other.Modality = modality_name
    return other


@pytest.mark.parametrize(("sop_class", "modality_name"), [
    (EnhancedSRStorage, "SR"), (EncapsulatedPDFStorage, "DOC"), (RTStructureSetStorage, "RTSTRUCT")])
def test_a_study_without_images_is_no_model_s_business(hospital: Hospital, sop_class: str, modality_name: str) -> None:
    other = other_object(head_study(f"no-image-{modality_name}"), sop_class, modality_name)
    store(hospital, [other])
    study = hospital.orthanc.post("/tools/lookup", str(other.StudyInstanceUID).encode())[0]["ID"]
    told = wait_until("a decision", lambda: hospital.orthanc.get(f"/vigil/studies/{study}")["decisions"])

    assert told[-1]["verdict"] == "not-applicable"
    assert told[-1]["reason"]["text"]
    assert analyses(hospital.orthanc, str(other.StudyInstanceUID)) == []
    assert len(hospital.orthanc.instances(study)) == 1


def test_two_patients_under_one_study_are_both_refused(hospital: Hospital) -> None:
    one = head_study("two-patients", patient=Patient(patient_id="VIGIL-ONE"))
    other = head_study("two-patients-other", study_seed="two-patients", patient=Patient(patient_id="VIGIL-TWO"))
    assert one[0].StudyInstanceUID == other[0].StudyInstanceUID
    store(hospital, [*one, *other])
    uid = str(one[0].StudyInstanceUID)
    found = wait_settled(hospital, uid, count=2)

    assert {item["answer"]["kind"] for item in found} == {"not-analysed"}
    assert {item["answer"]["reason"]["category"] for item in found} == {"identity-conflict"}
    assert not [path for path in hospital.ris.received() if uid.encode() in path.read_bytes()]


def test_images_of_two_patients_in_one_study_are_refused(hospital: Hospital) -> None:
    images = head_study("mixed")
    for image in images[20:]:
        image.PatientName = "Somebody^Else"
        image.PatientBirthDate = "19800202"
    store(hospital, images)

    is_told(hospital, settle(hospital, images), "not-analysed", "identity-conflict")


def test_a_head_that_ends_inside_the_brain_is_never_negative(hospital: Hospital) -> None:
    images = head_study("cut", insert_ml=None)[:32]
    store(hospital, images)

    is_told(hospital, settle(hospital, images), "not-analysed", "truncated-anatomy")


def test_no_object_of_the_answers_names_the_patient_in_its_pixels_or_the_log(hospital: Hospital) -> None:
    images = head_study("private", patient=Patient(name="Unmistakable^Name", patient_id="UNMISTAKABLE-ID"))
    store(hospital, images)
    settle(hospital, images)
    state = hospital.folder / "orthanc" / "vigil"
    searched = [path for path in state.rglob("*") if path.is_file()]

    assert any(path.name == "workflows.sqlite" for path in searched)
    for path in searched:
        content = path.read_bytes().lower()
        assert b"unmistakable" not in content, path.name
    assert b"nmistakable" not in hospital.orthanc.request("GET", "/vigil/metrics")
