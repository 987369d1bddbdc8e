"""SIGKILL of Orthanc in the middle of an escalation: the ladder goes on where it was, and nobody is told a second time anew."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hospital import modality
from hospital.census import analyses, wait_until
from hospital.hospital import Hospital
from hospital.mailbox import Mailbox
from hospital.orthanc import OrthancRefused
from hospital.pager import Pager
from hospital.patients import head_study

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}
SECRET = "shared"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


@pytest.fixture
def pager() -> Iterator[Pager]:
    with Pager(SECRET.encode()) as running:
        yield running


@pytest.fixture
def hospital(tmp_path: Path, mailbox: Mailbox, pager: Pager) -> Iterator[Hospital]:
    (tmp_path / "secret").write_text(SECRET)
    escalation = {
        "Mail": {"mail": {"Host": "127.0.0.1", "Port": mailbox.port, "Security": "none", "Sender": "vigil@h.example",
                          "To": ["oncall@h.example"], "TimeoutSeconds": 2}},
        "Webhooks": {"pager": {"Url": f"http://127.0.0.1:{pager.port}", "SecretFile": str(tmp_path / "secret"),
                               "TimeoutSeconds": 2}},
        "Ladders": {"Category1": [{"AfterMinutes": 0, "Tell": ["mail"]}, {"AfterMinutes": 0.1, "Tell": ["pager"]}]},
    }
    with Hospital(tmp_path / "hospital", vigil=QUICK | {"Escalation": escalation}) as running:
        yield running


def alert(hospital: Hospital, uid: str) -> dict[str, Any]:
    for analysis in analyses(hospital.orthanc, uid):
        try:
            return dict(hospital.orthanc.get(f"/vigil/alerts/{analysis['analysis_id']}"))
        except (OrthancRefused, OSError):
            continue
    return {}


def kill_and_restart(hospital: Hospital) -> None:
    hospital.orthanc.kill()
    hospital.orthanc.start()


@pytest.mark.timeout(240)
def test_at_each_of_its_moments(hospital: Hospital, mailbox: Mailbox, pager: Pager) -> None:
    images = head_study("kill-escalation")
    uid = str(images[0].StudyInstanceUID)
    mailbox.answer = "451 not now"
    orthanc = hospital.orthanc
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
    wait_until("a mail that was refused for now",
               lambda: [note for note in alert(hospital, uid).get("notifications", []) if note["attempts"]])
    kill_and_restart(hospital)  # while a message waits for its next attempt
    mailbox.answer = "250 taken"
    assert mailbox.wait_for(1)
    pager.answer = "silent"
    kill_and_restart(hospital)  # between two steps, or just after the mail was taken
    wait_until("a page that is out", lambda: pager.pages)
    kill_and_restart(hospital)  # while a message is out
    pager.answer = "{}"
    found = wait_until("an end of the ladder", lambda: (seen := alert(hospital, uid)) and {
        note["channel"]: note["state"] for note in seen["notifications"]} == {"mail": "sent", "pager": "sent"} and seen)

    assert found["state"] == "open", "nobody has acknowledged"
    assert len({item.message["Message-ID"] for item in mailbox.received}) == 1
    assert len(pager.pages) == 1, "the id of a repetition is the same, so the receiver took one"
    assert set(pager.unsigned) <= {"seen before"}
    count = len(mailbox.received), len(pager.pages) + len(pager.unsigned)
    time.sleep(3)
    assert (len(mailbox.received), len(pager.pages) + len(pager.unsigned)) == count, "it is over"
