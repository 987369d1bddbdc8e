"""Studies that stop half way, in a real Orthanc: their lesion lies in the images that come last.

Every place to stop is tried without Orthanc in tests/unit/models/test_never_negative_on_a_part.py; here a few, on the wire.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from hospital import modality
from hospital.census import analyses, take_census, wait_settled, wait_until
from hospital.ct_series import Acquisition, Patient, ct_series
from hospital.hospital import Hospital
from hospital.phantom import Head, phantom

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}
UNDECLARED = (5, 28, 36)
"""Too few for the model; enough by the headers, but the head ends; enough, and the lesion cut."""
DECLARED = 39


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with Hospital(tmp_path_factory.mktemp("stalled"), vigil=QUICK) as running:
        yield running


def head_with_a_lesion_under_the_vertex(seed: str, *, declared: bool) -> list[Dataset]:
    head = Head(matrix=64, spacing_mm=(4.0, 3.4, 3.4), insert_ml=8.0, insert_at_mm=(0.0, 0.0, 50.0))
    made = Acquisition(f"stalled-{seed}", spacing_mm=head.spacing_mm, declare_images=declared, accession=f"ST-{seed}")
    return list(ct_series(phantom(head), made, Patient(patient_id=f"VIGIL-ST-{seed}")))


def send(hospital: Hospital, images: list[Dataset]) -> None:
    assert modality.send(images, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet).all_stored


def decisions(hospital: Hospital, uid: str) -> list[dict[str, Any]]:
    study = hospital.orthanc.post("/tools/lookup", uid.encode())[0]["ID"]
    return list(hospital.orthanc.get(f"/vigil/studies/{study}")["decisions"])


def test_a_study_that_stops_half_way_is_never_negative_and_its_whole_is_answered_once(hospital: Hospital) -> None:
    studies = {count: head_with_a_lesion_under_the_vertex(str(count), declared=count == DECLARED)
               for count in (*UNDECLARED, DECLARED)}
    for count, images in studies.items():
        send(hospital, images[:count])
    for count, images in studies.items():
        uid = str(images[0].StudyInstanceUID)
        told = wait_until(f"a decision on {count} of 40", lambda uid=uid: decisions(hospital, uid))
        if count in (5, DECLARED):  # more may come for ten minutes: nothing is said yet
            assert told[-1]["verdict"] == "waiting"
            assert not analyses(hospital.orthanc, uid)
        else:
            wait_settled(hospital, uid)
            partial = take_census(hospital, uid, set())
            assert "negative" not in partial.kinds
            assert partial.analyses[0]["images"] == count
    for count, images in studies.items():
        send(hospital, images[count:])
    for count, images in studies.items():
        uid = str(images[0].StudyInstanceUID)
        wait_settled(hospital, uid, count=1 if count in (5, DECLARED) else 2)
        census = take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})
        assert "negative" not in census.kinds
        final, *earlier = census.analyses
        assert final["answer"]["kind"] == "positive"
        assert final["images"] == 40
        assert [item["superseded_by"] for item in census.analyses] == [
            None, *(item["analysis_id"] for item in census.analyses[:-1])], "one set is the last word"
        assert len(earlier) == (0 if count in (5, DECLARED) else 1)
        assert census.in_orthanc == census.in_pacs == census.made


def test_a_declared_number_that_is_complete_is_answered_long_before_the_study_is_stable(tmp_path: Path) -> None:
    stat = {"Priority": {"StatSenders": ["CT1"]}}
    with Hospital(tmp_path, vigil=QUICK | stat, configuration={"StableAge": 300}) as patient_hospital:
        images = head_with_a_lesion_under_the_vertex("declared", declared=True)
        send(patient_hospital, images)
        uid = str(images[0].StudyInstanceUID)
        wait_settled(patient_hospital, uid, timeout_s=60)
        census = take_census(patient_hospital, uid, {str(image.SOPInstanceUID) for image in images})
        census.exactly_once()
        assert census.kinds == {"positive": 1}
        study, = patient_hospital.orthanc.studies()
        assert patient_hospital.orthanc.get(f"/studies/{study}")["IsStable"] is False

        *_, decision = decisions(patient_hospital, uid)
        assert decision["evidence"].items() >= {"urgency": "stat-emergency", "stat": "sender"}.items()
        workflows, = tmp_path.rglob("workflows.sqlite")
        with closing(sqlite3.connect(workflows)) as store:
            asked = "SELECT priority FROM workflow_status WHERE workflow_uuid LIKE 'infer|%'"
            (priority,), = store.execute(asked).fetchall()
        since_2020 = (datetime.now(UTC) - datetime(2020, 1, 1, tzinfo=UTC)).total_seconds()
        assert since_2020 - 300 < priority < since_2020, "its rank adds nothing to the time of its arrival"
