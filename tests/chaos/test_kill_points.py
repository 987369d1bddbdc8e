"""SIGKILL of Orthanc at each point of a study's way: after the restart exactly one set of objects and one MSH-10 (law 4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from hospital import modality
from hospital.census import Census, analyses, take_census, wait_settled, wait_until
from hospital.hospital import Hospital
from hospital.patients import head_study

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}


@pytest.fixture(params=[False, True], ids=["keeping-instances", "overwriting-instances"])
def hospital(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hospital]:
    with Hospital(tmp_path, vigil=QUICK, configuration={"OverwriteInstances": request.param}) as running:
        yield running


def send(hospital: Hospital, images: list[Dataset]) -> None:
    orthanc = hospital.orthanc
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored


def kill_and_restart(hospital: Hospital) -> None:
    hospital.orthanc.kill()
    hospital.orthanc.start()


def settle(hospital: Hospital, images: list[Dataset], count: int = 1) -> Census:
    uid = str(images[0].StudyInstanceUID)
    wait_settled(hospital, uid, count=count)
    return take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})


def first(hospital: Hospital, images: list[Dataset]) -> dict[str, Any] | None:
    found = analyses(hospital.orthanc, str(images[0].StudyInstanceUID))
    return found[0] if found else None


def delivery(hospital: Hospital, images: list[Dataset], kind: str) -> dict[str, Any]:
    found = first(hospital, images)
    return next((item for item in found["deliveries"] if item["kind"] == kind), {}) if found else {}


def test_before_the_study_is_stable(hospital: Hospital) -> None:
    images = head_study("before-stable")
    send(hospital, images)
    kill_and_restart(hospital)

    settle(hospital, images).exactly_once()


def test_between_inference_and_storing(hospital: Hospital) -> None:
    images = head_study("before-storing")
    send(hospital, images)
    wait_until("an answer that is not stored", lambda: (found := first(hospital, images)) and found["answer"]
               and not any(item["stored_at"] for item in found["objects"]))
    kill_and_restart(hospital)

    settle(hospital, images).exactly_once()


def test_between_storing_and_forwarding(hospital: Hospital) -> None:
    hospital.pacs.stop()  # type: ignore[union-attr]
    images = head_study("before-forwarding")
    send(hospital, images)
    wait_until("a failed attempt", lambda: delivery(hospital, images, "dicom").get("attempts"))
    kill_and_restart(hospital)
    hospital.pacs.start()

    settle(hospital, images).exactly_once()


def test_between_forwarding_and_alert(hospital: Hospital) -> None:
    hospital.ris.stop()
    images = head_study("before-alert")
    send(hospital, images)
    wait_until("forwarded, not alerted", lambda: delivery(hospital, images, "dicom").get("state") == "delivered"
               and delivery(hospital, images, "hl7").get("attempts"))
    kill_and_restart(hospital)
    hospital.ris.start()

    settle(hospital, images).exactly_once()


def test_while_a_message_is_out(hospital: Hospital) -> None:
    hospital.ris.answer("silent")
    images = head_study("message-out")
    send(hospital, images)
    assert hospital.ris.wait_for(1, 60)
    kill_and_restart(hospital)
    hospital.ris.answer("AA")

    census = settle(hospital, images)
    census.exactly_once()
    frozen = {path.read_bytes() for path in hospital.ris.received()}
    assert len(frozen) == 1, "a message that is sent again is the same to the byte"


def test_while_the_study_is_still_arriving(hospital: Hospital) -> None:
    images = head_study("arriving")
    send(hospital, images[:22])
    kill_and_restart(hospital)
    send(hospital, images[22:])

    census = settle(hospital, images)
    census.exactly_once()
    assert census.kinds == {"positive": 1}
    assert census.analyses[0]["images"] == len(images)
