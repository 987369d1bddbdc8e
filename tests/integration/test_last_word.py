"""A receiver that was down gets the newest answer of a study as its last word, and gets it however long it was down."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import hl7
import pytest

from hospital import modality
from hospital.census import analyses, wait_until
from hospital.hospital import Hospital
from hospital.patients import head_study
from vigil.domain.identity import message_control_id


def alerts(hospital: Hospital, uid: str) -> dict[int, dict[str, object]]:
    """The alert of each revision."""
    return {item["revision"]: alert for item in analyses(hospital.orthanc, uid) for alert in item["deliveries"]
            if alert["kind"] == "hl7"}


def attempts(hospital: Hospital, uid: str, revision: int) -> int:
    return int(str(alerts(hospital, uid).get(revision, {}).get("attempts") or 0))


@pytest.mark.timeout(240)
def test_an_older_answer_is_not_sent_after_a_newer_one(tmp_path: Path) -> None:
    # Attempts of the older at 0, 2, 6, 14, 30 and 60 s: the newer one keeps behind it, whatever is due when.
    slow = {"Retry": {"FirstDelaySeconds": 2.0, "MaximumDelaySeconds": 30.0}, "Reconcile": {"IntervalSeconds": 2.0}}
    with Hospital(tmp_path, vigil=slow) as hospital:
        orthanc = hospital.orthanc
        images = head_study("last-word")
        uid = str(images[0].StudyInstanceUID)
        hospital.ris.stop()
        assert modality.send(images[:36], "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        wait_until("four attempts at the older", lambda: attempts(hospital, uid, 1) >= 4)
        assert modality.send(images[36:], "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        wait_until("the newer behind it", lambda: alerts(hospital, uid).get(2, {}).get("state") == "waiting")
        hospital.ris.start()
        wait_until("an end of both", lambda: all(
            alerts(hospital, uid)[revision]["state"] != "waiting" for revision in (1, 2)), 120)

        newest = next(item for item in analyses(orthanc, uid) if item["revision"] == 2)
        last = max(hospital.ris.received(), key=lambda path: path.stat().st_mtime)
        control_id = str(hl7.parse(last.read_bytes().decode())["MSH"][0][10])
        assert control_id == message_control_id("ris", newest["analysis_id"], 2)
        assert alerts(hospital, uid)[2]["state"] == "delivered"


@pytest.mark.timeout(120)
def test_an_alert_that_waited_for_longer_than_the_maximum_age_of_a_study_is_sent(tmp_path: Path) -> None:
    quick = {"Retry": {"FirstDelaySeconds": 0.5, "MaximumDelaySeconds": 1.0}, "MaxStudyAgeHours": 0.006}
    with Hospital(tmp_path, vigil=quick) as hospital:
        orthanc, started = hospital.orthanc, dt.datetime.now(dt.UTC)
        images = head_study("waited", started=started)
        uid = str(images[0].StudyInstanceUID)
        hospital.ris.stop()
        assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        wait_until("an attempt", lambda: attempts(hospital, uid, 1) >= 1)
        time.sleep(max(0.0, 25 - (dt.datetime.now(dt.UTC) - started).total_seconds()))
        hospital.ris.start()
        wait_until("an end", lambda: alerts(hospital, uid)[1]["state"] != "waiting")

        assert alerts(hospital, uid)[1]["state"] == "delivered", alerts(hospital, uid)[1]["reason"]
