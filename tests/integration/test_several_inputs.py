"""A model of two MR sequences in a real Orthanc: positive where both say so, in the first one's space; silent until both are
there; and "not analysed" where one does not come."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from hospital import modality, two_sequences
from hospital.census import Census, analyses, take_census, wait_settled, wait_until
from hospital.ct_series import Patient
from hospital.hospital import LIVE, Hospital
from hospital.two_sequences import DECOY_AT_MM, DECOY_ML, LESION_AT_MM, LESION_ML, MODEL, Head, centre_mm


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("several")
    two_sequences.install(folder / "models")
    with Hospital(folder, vigil={
        "ModelsDirectory": str(folder / "models"), "Models": {MODEL: LIVE},
        "Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0},
    }) as running:
        yield running


def head(seed: str, **more: Any) -> Head:
    return Head(seed=f"several-{seed}", patient=Patient(patient_id=f"VIGIL-SI-{seed}"), **more)


def send(hospital: Hospital, images: list[Dataset]) -> str:
    assert modality.send(images, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet).all_stored
    return str(images[0].StudyInstanceUID)


def census(hospital: Hospital, uid: str, images: list[Dataset]) -> Census:
    wait_settled(hospital, uid)
    return take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})


def made(hospital: Hospital, found: Census, role: str) -> bytes:
    uid = next(item["sop_instance_uid"] for item in found.analyses[0]["objects"] if item["role"] == role)
    instance, = hospital.orthanc.post("/tools/lookup", uid.encode())
    return hospital.orthanc.get_bytes(f"/instances/{instance['ID']}/file")


def insist_it_lies(hospital: Hospital, found: Census, reference: list[Dataset], place: tuple[float, float, float]) -> None:
    """The segmentation as highdicom reads it: on the reference's images, in its space, at its place in the patient."""
    segmentation = highdicom.seg.segread(BytesIO(made(hospital, found, "segmentation")))
    assert segmentation.FrameOfReferenceUID == reference[0].FrameOfReferenceUID
    assert {item.SeriesInstanceUID for item in segmentation.ReferencedSeriesSequence} == {reference[0].SeriesInstanceUID}
    volume = segmentation.get_volume(combine_segments=True)
    np.testing.assert_allclose(volume.spacing[1:], reference[0].PixelSpacing, rtol=1e-5)
    np.testing.assert_allclose(centre_mm(np.asarray(volume.array) > 0, volume.affine), place, atol=2.0)


def test_both_sequences_are_waited_for_and_what_they_show_lies_in_the_first(hospital: Hospital) -> None:
    patient = head("positive", declared=True)
    t1, flair = two_sequences.t1(patient), two_sequences.flair(patient)
    uid = send(hospital, flair)
    orthanc = hospital.orthanc
    study, = (item["ID"] for item in orthanc.post("/tools/lookup", uid.encode()) if item["Type"] == "Study")
    waiting = wait_until("looked at", lambda: [
        item for item in orthanc.get(f"/vigil/studies/{study}")["decisions"] if item["verdict"] == "waiting"])
    assert waiting[0]["reason"]["text"].startswith("no T1 series: ")
    assert analyses(orthanc, uid) == [], "nothing is said of one of two"

    send(hospital, t1)
    found = census(hospital, uid, [*t1, *flair])
    found.exactly_once()
    assert found.kinds == {"positive": 1}
    assert found.analyses[0]["images"] == len(t1) + len(flair)
    assert found.analyses[0]["answer"]["measured"]["value"] == pytest.approx(LESION_ML, rel=0.2)
    insist_it_lies(hospital, found, t1, LESION_AT_MM)
    written = made(hospital, found, "report")
    report = dcmread(BytesIO(written))
    evidence = {str(image.ReferencedSOPInstanceUID)
                for item in report.CurrentRequestedProcedureEvidenceSequence
                for series in item.ReferencedSeriesSequence for image in series.ReferencedSOPSequence}
    assert evidence >= {str(image.SOPInstanceUID) for image in (*t1, *flair)}
    assert b"MR series 2 't1_mprage_sag', 36 images; MR series 3 't2_flair_tra', 30 images" in written
    decision = orthanc.get(f"/vigil/studies/{study}")["decisions"][-1]
    assert decision["evidence"]["selected"] == {
        "T1": str(t1[0].SeriesInstanceUID), "FLAIR": str(flair[0].SeriesInstanceUID)}
    assert str(t1[0].SeriesInstanceUID) in decision["evidence"]["inputs"]["FLAIR"]["rejected"]


def test_sequences_taken_for_one_another_make_another_answer(hospital: Hospital) -> None:
    """What the modality calls FLAIR is the T1, and the other way round: so the model needs both, each in its place."""
    patient = head("exchanged", declared=True)
    t1 = two_sequences.t1(patient, series_description="t2_flair")
    flair = two_sequences.flair(patient, series_description="t1")
    for image in (*t1, *flair):
        image.ProtocolName = "head"
    uid = send(hospital, [*t1, *flair])
    found = census(hospital, uid, [*t1, *flair])
    assert found.kinds == {"positive": 1}
    assert found.analyses[0]["answer"]["measured"]["value"] == pytest.approx(DECOY_ML, rel=0.2)
    insist_it_lies(hospital, found, flair, DECOY_AT_MM)


def test_without_the_lesion_both_make_a_negative_and_one_alone_is_not_analysed_and_says_which_is_missing(
    hospital: Hospital
) -> None:
    whole, alone = head("negative", lesion=False, declared=True), head("alone")
    both = [*two_sequences.t1(whole), *two_sequences.flair(whole)]
    only = two_sequences.t1(alone)
    uids = send(hospital, both), send(hospital, only)
    assert census(hospital, uids[0], both).kinds == {"negative": 1}
    refused = census(hospital, uids[1], only)
    assert refused.kinds == {"not-analysed": 1}
    answer = refused.analyses[0]["answer"]
    assert answer["sentence"].startswith(
        "Not analysed: no FLAIR series: neither series description nor protocol says flair, which this model needs.")
    assert {item["role"] for item in refused.analyses[0]["objects"]} >= {"summary", "report"}
    assert b"no FLAIR series" in made(hospital, refused, "report")
    assert refused.in_orthanc == refused.in_pacs == refused.made
