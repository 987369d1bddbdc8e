"""PACS, RIS, disk and ledger fail while studies come: what waits is said with its reason, and is brought, once, when they mend.

Never a negative, never lost, and one dead destination holds up no other.
"""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from hospital import modality
from hospital.census import Census, analyses, take_census, wait_settled, wait_until
from hospital.disk import DiskUnavailable, SmallDisk
from hospital.hospital import Hospital
from hospital.network import free_port
from hospital.orthanc import OrthancRefused
from hospital.pacs import ChoosyPacs, Pacs
from hospital.patients import head_study
from vigil.domain.clock import SystemClock
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StatePaths

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with Hospital(tmp_path_factory.mktemp("surroundings"), vigil=QUICK) as running:
        yield running


@pytest.fixture
def hospital(shared: Hospital) -> Iterator[Hospital]:
    """One hospital for all, given back with PACS and RIS up."""
    yield shared
    shared.pacs.stop()  # type: ignore[union-attr]
    shared.ris.stop()
    shared.ris.answer("AA")
    shared.pacs.start()
    shared.ris.start()


def send(hospital: Hospital, images: list[Dataset]) -> str:
    orthanc = hospital.orthanc
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
    return str(images[0].StudyInstanceUID)


def settle(hospital: Hospital, images: list[Dataset]) -> Census:
    uid = str(images[0].StudyInstanceUID)
    wait_settled(hospital, uid)
    return take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})


def the(hospital: Hospital, uid: str) -> dict[str, Any]:
    """The one analysis of a study; empty where there is none yet."""
    found = analyses(hospital.orthanc, uid)
    assert len(found) <= 1
    return found[0] if found else {}


def delivery(hospital: Hospital, uid: str, destination: str) -> dict[str, Any]:
    return next((item for item in the(hospital, uid).get("deliveries", []) if item["destination"] == destination), {})


def wait_for_attempts(hospital: Hospital, uid: str, destination: str, count: int = 1) -> dict[str, Any]:
    return dict(wait_until(f"{count} attempts at {destination}", lambda: (
        found := delivery(hospital, uid, destination)) and found["attempts"] >= count and found["reason"] and found))


def messages(hospital: Hospital, uid: str) -> list[bytes]:
    return [content for path in hospital.ris.received() if uid.encode() in (content := path.read_bytes())]


def missing(hospital: Hospital) -> list[str]:
    """What /vigil/health/ready says is missing."""
    try:
        return list(hospital.orthanc.get("/vigil/health/ready")["missing"])
    except OrthancRefused as refused:
        return [refused.said()]


def audited(hospital: Hospital, analysis_id: str) -> list[tuple[str, dict[str, Any]]]:
    paths = StatePaths(hospital.orthanc.folder / "vigil")
    ledger = Ledger.open(paths.ledger_url, Sealer.open(paths.key), SystemClock())
    try:
        assert Audit(ledger).verify().whole
        return [(entry.event, dict(entry.evidence)) for entry in Audit(ledger).entries(analysis_id)]
    finally:
        ledger.close()


def is_readable(reason: dict[str, str], category: str, *words: str) -> None:
    assert reason["category"] == category
    for word in words:
        assert word in reason["text"], reason["text"]
    assert "Traceback" not in reason["text"]
    assert "Error(" not in reason["text"]


def test_a_pacs_that_is_down_gets_the_results_once_when_it_is_up_and_the_alert_does_not_wait_for_it(hospital: Hospital) -> None:
    hospital.pacs.stop()  # type: ignore[union-attr]
    images = head_study("pacs-down")
    uid = send(hospital, images)
    waits = wait_for_attempts(hospital, uid, "pacs", 2)
    wait_until("the alert, with the PACS down", lambda: delivery(hospital, uid, "ris").get("state") == "delivered")

    assert waits["state"] == "waiting"
    is_readable(waits["reason"], "destination-unreachable", "'pacs'", "cannot be reached")
    assert delivery(hospital, uid, "ris")["attempts"] == 1
    hospital.pacs.start()
    settle(hospital, images).exactly_once()
    received = Counter(str(found.SOPInstanceUID) for path in hospital.pacs.objects()  # type: ignore[union-attr]
                       if (found := dcmread(path)).StudyInstanceUID == uid)
    assert set(received.values()) == {1}


def test_a_ris_that_is_down_gets_the_alert_once_when_it_is_up(hospital: Hospital) -> None:
    hospital.ris.stop()
    images = head_study("ris-down")
    uid = send(hospital, images)
    waits = wait_for_attempts(hospital, uid, "ris", 2)
    wait_until("the PACS has it", lambda: delivery(hospital, uid, "pacs").get("state") == "delivered")

    is_readable(waits["reason"], "destination-unreachable", "'ris'", "nobody listens")
    hospital.ris.start()
    census = settle(hospital, images)
    census.exactly_once()
    assert len(census.control_ids) == 1


def test_a_ris_that_answers_ae_for_a_while_gets_the_same_bytes_until_it_accepts(hospital: Hospital) -> None:
    hospital.ris.answer("AE")
    images = head_study("ris-ae")
    uid = send(hospital, images)
    waits = wait_for_attempts(hospital, uid, "ris", 5)

    assert waits["state"] == "waiting", "an AE passes: more tries than a refusal gets"
    is_readable(waits["reason"], "destination-refused", "'ris'", "AE")
    hospital.ris.answer("AA")
    census = settle(hospital, images)
    census.exactly_once()
    assert len(messages(hospital, uid)) >= 6
    assert len(set(messages(hospital, uid))) == 1
    assert delivery(hospital, uid, "ris")["acknowledgement"]["code"] == "AA"


def test_a_ris_that_rejects_a_message_gets_it_a_few_times_and_the_next_study_s_alert_goes_through(hospital: Hospital) -> None:
    hospital.ris.answer("AR")
    images = head_study("ris-ar")
    uid = send(hospital, images)
    census = settle(hospital, images)

    parked = delivery(hospital, uid, "ris")
    assert (parked["state"], parked["attempts"]) == ("parked", 3)
    is_readable(parked["reason"], "destination-refused", "'ris'", "AR")
    assert len(messages(hospital, uid)) == 3
    assert len(set(messages(hospital, uid))) == 1
    assert census.in_pacs == census.made
    assert ("hl7-parked", "destination-refused") in [
        (event, evidence.get("reason")) for event, evidence in audited(hospital, census.analyses[0]["analysis_id"])]
    hospital.ris.answer("AA")
    later = head_study("ris-ar-later")
    send(hospital, later)
    settle(hospital, later).exactly_once()
    assert len(messages(hospital, uid)) == 3, "what is parked waits for a person"


def test_a_ledger_that_another_program_holds_locked_while_a_study_comes_loses_nothing(hospital: Hospital) -> None:
    locker = subprocess.Popen(
        [sys.executable, "-c", "import sqlite3, sys, time; held = sqlite3.connect(sys.argv[1], isolation_level=None); "
         "held.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep(5)",
         str(StatePaths(hospital.orthanc.folder / "vigil").ledger)], stdout=subprocess.PIPE, text=True)
    assert locker.stdout is not None
    assert locker.stdout.readline() == "locked\n"
    images = head_study("ledger-locked")
    send(hospital, images)
    locker.communicate(timeout=30)

    settle(hospital, images).exactly_once()
    assert hospital.orthanc.get("/vigil/health/ready")["ready"]


def test_a_study_older_than_the_limit_is_said_to_be_too_old_and_sets_nothing_off(hospital: Hospital) -> None:
    images = head_study("too-old", started=dt.datetime.now(dt.UTC) - dt.timedelta(hours=30))
    uid = send(hospital, images)
    study = hospital.orthanc.post("/tools/lookup", uid.encode())[0]["ID"]
    decision = wait_until("a decision", lambda: hospital.orthanc.get(f"/vigil/studies/{study}")["decisions"])[-1]

    assert decision["verdict"] == "too-old"
    is_readable(decision["reason"], "study-too-old", "24 hours", "MaxStudyAgeHours")
    assert analyses(hospital.orthanc, uid) == []
    assert not messages(hospital, uid)
    assert len(hospital.orthanc.instances(study)) == len(images)


def test_a_pacs_that_refuses_all_or_some_or_is_dead_is_said_so_and_the_live_one_has_everything_at_once(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, vigil=QUICK)
    refusing = Pacs(tmp_path / "refusing", aet="REFUSING", options=("--refuse",))
    plain = ("LittleEndianExplicit", "LittleEndianImplicit")
    choosy = ChoosyPacs(tmp_path / "choosy", takes={"SecondaryCaptureImageStorage": plain})  # older: knows no structured report
    nodes: dict[str, object] = dict(hospital.orthanc.vigil["Pacs"])  # type: ignore[call-overload]
    with refusing, choosy:
        for name, port in (("refusing", refusing.port), ("choosy", choosy.port), ("dead", free_port())):
            nodes[name] = {"Host": "127.0.0.1", "Port": port, "Aet": name.upper()}
        hospital.orthanc.vigil["Pacs"] = nodes
        with hospital:
            images = head_study("three-bad-one-good")
            uid = send(hospital, images)
            wait_until("ends", lambda: all(delivery(hospital, uid, name).get("state") == state for name, state in (
                ("pacs", "delivered"), ("refusing", "parked"), ("choosy", "parked"), ("ris", "delivered"))))
            census = take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})
            kept = choosy.objects()

            census.exactly_once()
            assert delivery(hospital, uid, "pacs")["attempts"] == 1
            assert delivery(hospital, uid, "ris")["attempts"] == 1
            is_readable(delivery(hospital, uid, "refusing")["reason"], "destination-refused", "'refusing'", "rejected")
            is_readable(delivery(hospital, uid, "choosy")["reason"], "destination-refused", "'choosy'", "Comprehensive 3D SR")
            assert delivery(hospital, uid, "choosy")["attempts"] == delivery(hospital, uid, "refusing")["attempts"] == 3
            dead = delivery(hospital, uid, "dead")
            assert dead["state"] == "waiting"
            is_readable(dead["reason"], "destination-unreachable", "'dead'")
            statuses = delivery(hospital, uid, "choosy")["statuses"]
            images_made = {item["sop_instance_uid"] for item in census.analyses[0]["objects"]
                           if item["sop_class_uid"] == SecondaryCaptureImageStorage}
            assert {uid for uid, status in statuses.items() if status == 0} == images_made
            assert {status for uid, status in statuses.items() if uid not in images_made} == {0x0122}
            assert set(statuses) == census.made
            assert len(kept) == len(images_made), "what it took is not sent to it again"


@pytest.mark.parametrize("everything", [False, True], ids=["orthanc-s-storage", "everything"])
def test_results_wait_while_the_disk_is_full_and_are_stored_once_when_there_is_space(tmp_path: Path, everything: bool) -> None:
    """``everything``: Orthanc's index and Vigil's own state lie on the full disk too."""
    disk = SmallDisk(tmp_path / "disk", size_mib=24)
    configuration = {"StorageDirectory": str(disk.folder / "storage")}
    vigil: dict[str, object] = dict(QUICK)
    if everything:
        configuration["IndexDirectory"] = str(disk.folder / "storage")
        vigil["StateDirectory"] = str(disk.folder / "vigil")
    try:
        disk.__enter__()
    except DiskUnavailable as error:
        pytest.skip(str(error))
    try:
        with Hospital(tmp_path / "hospital", vigil=vigil, configuration=configuration) as hospital:
            images = head_study("disk-full")
            uid = send(hospital, images)
            if everything:
                wait_until("an analysis has begun", lambda: the(hospital, uid))
            disk.fill()
            if everything:
                wait_until("not ready, and why", lambda: any("free space on its disk" in each for each in missing(hospital)))
                time.sleep(4)  # what could not be written down is tried, and fails, a few times
            else:
                waits = wait_until("a reason to wait", lambda: (found := the(hospital, uid)).get("reason") and found)
                assert waits["state"] == "answered"
                is_readable(waits["reason"], "storage-failed", "Orthanc could not")
            assert not messages(hospital, uid)
            assert hospital.orthanc.get("/vigil/health/live") == {"live": True}
            disk.free()

            settle(hospital, images).exactly_once()
            wait_until("ready again", lambda: not missing(hospital))
    finally:
        disk.__exit__(None, None, None)
