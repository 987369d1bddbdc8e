"""Orthanc is killed at seeded random moments while studies arrive. What was sent is answered once, whatever the moment."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest

from hospital import modality
from hospital.census import take_census, wait_settled
from hospital.hospital import Hospital
from hospital.patients import head_study

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0},
         "Runtime": {"Threads": 2}}
STUDY_EVERY_KILLS = 3


def send_until_stored(hospital: Hospital, images: list, stop: threading.Event) -> None:  # type: ignore[type-arg]
    """As a modality with a queue does: what was not acknowledged is sent again, in the order of the study."""
    waiting = list(images)
    while waiting and not stop.is_set():
        try:
            sent = modality.send(waiting, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet, pause_s=0.01)
        except (modality.AssociationRefused, OSError):
            time.sleep(0.2)
            continue
        waiting = [image for image in waiting if sent.statuses.get(str(image.SOPInstanceUID)) != 0]


def acquit(hospital: Hospital) -> None:
    """What a person does when a model is quarantined for deaths that it did not cause: these are all ours."""
    for name in ("model-in-flight.json", "reading-in-flight.json", "crashes.json"):
        (hospital.folder / "orthanc" / "vigil" / name).unlink(missing_ok=True)


def kill_at_random(folder: Path, *, kills: int, seed: int) -> None:
    moments = random.Random(seed)
    stop = threading.Event()
    studies = [head_study(f"random-{seed}-{number}", insert_ml=20.0 if number % 2 == 0 else None)
               for number in range(max(2, kills // STUDY_EVERY_KILLS))]
    with Hospital(folder, vigil=QUICK) as hospital:
        def send_all() -> None:
            for images in studies:
                send_until_stored(hospital, images, stop)

        sender = threading.Thread(target=send_all)
        sender.start()
        try:
            for _ in range(kills):
                time.sleep(moments.uniform(0.1, 6.0))
                hospital.orthanc.kill()
                acquit(hospital)
                hospital.orthanc.start()
            sender.join(120)
            assert not sender.is_alive()
            for number, images in enumerate(studies):
                uid = str(images[0].StudyInstanceUID)
                wait_settled(hospital, uid, timeout_s=120)
                census = take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})
                assert len(census.analyses) == 1, census.analyses
                assert census.in_orthanc == census.in_pacs == census.made
                positive = number % 2 == 0
                assert census.kinds == {"positive" if positive else "negative": 1}
                assert len(set(census.control_ids)) == (1 if positive else 0)
        finally:
            stop.set()
            sender.join(30)


@pytest.mark.timeout(900)
def test_twenty_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, kills=20, seed=20261123)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_hundred_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, kills=int(os.environ.get("VIGIL_SOAK_KILLS", "200")),
                   seed=int(os.environ.get("VIGIL_SOAK_SEED", "1")))
