"""A positive that leaves while a study still waits for its last images, in a real Orthanc."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom import Dataset

from hospital import modality
from hospital.census import analyses, take_census, wait_settled, wait_until
from hospital.ct_series import Acquisition, Patient, ct_series
from hospital.hospital import Hospital
from hospital.phantom import Head, phantom

MODEL = {"Stage": "live", "EarlyPositive": True,
         "AlertOverride": {"By": "Test", "Reason": "Test", "Date": "2026-11-23"}}
ARRIVED_FIRST = {"early": 36, "late": 28}
"""Of 40. The lesion of the one lies among them, that of the other in the rest."""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    vigil = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0},
             "Models": {"hyperdense-volume-ct-head": MODEL}}
    with Hospital(tmp_path_factory.mktemp("early"), vigil=vigil) as running:
        yield running


def declared_head(seed: str, insert_at_mm: tuple[float, float, float]) -> list[Dataset]:
    head = Head(matrix=64, spacing_mm=(4.0, 3.4, 3.4), insert_ml=8.0, insert_at_mm=insert_at_mm)
    made = Acquisition(f"early-{seed}", spacing_mm=head.spacing_mm, declare_images=True, accession=f"EP-{seed}")
    return list(ct_series(phantom(head), made, Patient(patient_id=f"VIGIL-EP-{seed}")))


def test_a_positive_leaves_early_and_nothing_else_does_and_one_set_is_the_last_word(hospital: Hospital) -> None:
    early = declared_head("positive", (-24.0, 12.0, 0.0))
    late = declared_head("late", (0.0, 0.0, 50.0))
    studies = {"early": early, "late": late}
    uids = {name: str(images[0].StudyInstanceUID) for name, images in studies.items()}
    for name, images in studies.items():
        first = images[:ARRIVED_FIRST[name]]
        assert modality.send(first, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet).all_stored

    wait_settled(hospital, uids["early"])
    told = take_census(hospital, uids["early"], {str(image.SOPInstanceUID) for image in early})
    told.exactly_once()
    assert told.kinds == {"positive": 1}
    assert told.analyses[0]["images"] == ARRIVED_FIRST["early"]
    assert any(note.startswith("Early answer, replaced if more images arrive: 36 of the 40 images")
               for note in told.analyses[0]["answer"]["notes"])
    wait_until("the silent end", lambda: [
        item for item in analyses(hospital.orthanc, uids["late"]) if item["state"] == "ended-early"])
    silent = take_census(hospital, uids["late"], {str(image.SOPInstanceUID) for image in late})
    assert not silent.kinds, "a study that waits is told of nothing but a positive"
    assert not silent.made | silent.in_orthanc | silent.in_pacs
    assert not silent.control_ids

    for name, images in studies.items():
        rest = images[ARRIVED_FIRST[name]:]
        assert modality.send(rest, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet).all_stored
    for name, images in studies.items():
        wait_settled(hospital, uids[name], count=2)
        census = take_census(hospital, uids[name], {str(image.SOPInstanceUID) for image in images})
        final, before = census.analyses
        assert (final["answer"]["kind"], final["images"]) == ("positive", 40)
        assert not any("Early answer" in note for note in final["answer"]["notes"])
        assert census.in_orthanc == census.in_pacs == census.made
        if name == "early":
            assert (before["superseded_by"], final["predecessor_id"]) == (final["analysis_id"], before["analysis_id"])
            assert len(set(census.control_ids)) == 2
            assert [b"CORRECTED AI RESULT" in path.read_bytes() for path in hospital.ris.received()
                    if uids[name].encode() in path.read_bytes()] == [False, True]
        else:
            assert final["predecessor_id"] is None
            assert len(set(census.control_ids)) == 1
