"""SIGTERM, as a service manager stops Orthanc: an end within 15 s, and the work resumed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hospital import modality
from hospital.census import analyses, take_census, wait_settled, wait_until
from hospital.hospital import Hospital
from hospital.pacs import SilentNode
from hospital.patients import head_study

STOPS_WITHIN_S = 15
QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    with Hospital(tmp_path, vigil=QUICK) as running:
        yield running


def test_during_inference(hospital: Hospital) -> None:
    images = head_study("stop-inference")
    uid = str(images[0].StudyInstanceUID)
    assert modality.send(images, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet).all_stored
    wait_until("the analysis runs", lambda: any(item["state"] == "running" for item in analyses(hospital.orthanc, uid)))
    stopped = hospital.orthanc.terminate(STOPS_WITHIN_S)
    assert stopped.in_order
    hospital.orthanc.start()

    wait_settled(hospital, uid)
    take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images}).exactly_once()


def test_during_a_burst_of_stores(hospital: Hospital) -> None:
    studies = [head_study(f"burst-{number}") for number in range(3)]
    images = [image for study in studies for image in study]
    sender = threading.Thread(target=_send_as_far_as_it_goes, args=(hospital, images))
    sender.start()
    wait_until("images arrive", lambda: len(hospital.orthanc.get("/instances")) > 20)
    stopped = hospital.orthanc.terminate(STOPS_WITHIN_S)
    sender.join(60)
    assert stopped.in_order
    hospital.orthanc.start()
    modality.send(images, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet)

    for study in studies:
        uid = str(study[0].StudyInstanceUID)
        wait_settled(hospital, uid)
        take_census(hospital, uid, {str(image.SOPInstanceUID) for image in study}).exactly_once()


def test_while_a_pacs_is_silent(tmp_path: Path) -> None:
    with SilentNode() as silent, Hospital(tmp_path, vigil={
        **QUICK, "Pacs": {"silent": {"Host": "127.0.0.1", "Port": silent.port, "Aet": "SILENT", "TimeoutSeconds": 60}},
    }) as hospital:
        images = head_study("stop-silent")
        uid = str(images[0].StudyInstanceUID)
        assert modality.send(images, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet).all_stored
        wait_until("stored", lambda: any(item["state"] == "stored" for item in analyses(hospital.orthanc, uid)))
        wait_until("the alert, in spite of the silent PACS", hospital.ris.received)

        assert hospital.orthanc.terminate(STOPS_WITHIN_S).in_order


def _send_as_far_as_it_goes(hospital: Hospital, images: list) -> None:  # type: ignore[type-arg]
    modality.send(images, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet, associations=3)
