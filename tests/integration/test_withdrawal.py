"""What was told of a wrong patient, or by mistake, is taken back from the RIS, once, in a running hospital."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import hl7
import pytest
from pydicom import Dataset

from hospital import modality
from hospital.census import analyses, wait_until
from hospital.ct_series import Patient
from hospital.hospital import Hospital
from hospital.orthanc import REPOSITORY, RUNTIME
from hospital.patients import head_study

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with Hospital(tmp_path_factory.mktemp("withdrawal"), vigil=QUICK) as running:
        yield running


def send(hospital: Hospital, images: list[Dataset]) -> str:
    """Returns the StudyInstanceUID, when the RIS has the alert."""
    before = len(messages(hospital))
    assert modality.send(images, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet).all_stored
    wait_until("the alert", lambda: len(messages(hospital)) > before)
    return str(images[0].StudyInstanceUID)


def messages(hospital: Hospital) -> list[hl7.Message]:
    return [hl7.parse(path.read_bytes().decode()) for path in hospital.ris.received()]


def of_patient(hospital: Hospital, patient: str) -> list[hl7.Message]:
    return [message for message in messages(hospital) if str(message["PID"][0][3]).startswith(patient + "^")]


def statuses(message: hl7.Message) -> set[str]:
    """OBX-11 of what was computed."""
    return {str(row[11]) for row in message["OBX"] if str(row[2]) in ("NM", "CWE")}


def test_what_was_told_of_a_patient_who_is_corrected_is_taken_back_and_told_of_the_right_one(hospital: Hospital) -> None:
    images = head_study("wrong", patient=Patient(patient_id="WRONG-1"))
    orthanc, uid = hospital.orthanc, send(hospital, images)
    for study in orthanc.studies():  # nothing but the ledger knows any more of whom the message was
        orthanc.delete(f"/studies/{study}")
    for image in images:
        image.PatientID = "RIGHT-1"
    send(hospital, images)
    wait_until("both messages", lambda: len(of_patient(hospital, "WRONG-1")) == 2 and of_patient(hospital, "RIGHT-1"))
    wait_until("everything settled", lambda: all(
        item["state"] in ("delivered", "suppressed") for each in analyses(orthanc, uid) for item in each["deliveries"]))

    told, taken = of_patient(hospital, "WRONG-1")
    assert (statuses(told), statuses(taken)) == ({"R"}, {"W"})
    assert str(taken["OBR"][0][3]) == str(told["OBR"][0][3])
    assert str(taken["OBR"][0][25]) == "X"
    assert str(taken["MSH"][0][10]) != str(told["MSH"][0][10])
    right, = of_patient(hospital, "RIGHT-1")
    assert statuses(right) == {"R"}
    assert str(right["OBR"][0][3]) != str(told["OBR"][0][3])
    orthanc.restart()
    later = send(hospital, head_study("later", patient=Patient(patient_id="LATER-1")))
    assert later != uid
    assert (len(of_patient(hospital, "WRONG-1")), len(of_patient(hospital, "RIGHT-1"))) == (2, 1), "a start repeats nothing"


def test_a_person_withdraws_an_alert_by_the_command(hospital: Hospital) -> None:
    uid = send(hospital, head_study("by-person", patient=Patient(patient_id="PERSON-1")))
    alert = str(analyses(hospital.orthanc, uid)[0]["analysis_id"])
    vigil = [str(RUNTIME / "bin" / "python"), "-m", "vigil", "alerts"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "plugin"), "LANG": "C.UTF-8"}
    said = subprocess.run(
        [*vigil, "withdraw", alert, "--by", "Dr. Roe", "--json", "--config", str(Path(hospital.orthanc.configuration_path))],
        check=True, capture_output=True, text=True, timeout=60, env=environment)
    assert json.loads(said.stdout)["withdrawn"]["by"] == "Dr. Roe"
    wait_until("the withdrawal", lambda: len(of_patient(hospital, "PERSON-1")) == 2)
    told, taken = of_patient(hospital, "PERSON-1")
    assert (statuses(told), statuses(taken)) == ({"R"}, {"D"})
    assert "Dr. Roe" in str(taken)
    wait_until("it is known as delivered", lambda: [
        item["state"] for item in hospital.orthanc.get(f"/vigil/alerts/{alert}")["deliveries"]] == ["delivered", "delivered"])
