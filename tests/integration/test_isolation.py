"""The networks in a process of their own, in a real Orthanc: what ends that process does not end Orthanc, and costs no answer.

A host whose Orthanc embeds a Python of which it has no program refuses the setting in words, which is tested in its place.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom import Dataset

from hospital import modality
from hospital.census import Census, take_census, wait_settled, wait_until
from hospital.hospital import Hospital
from hospital.orthanc import OrthancRefused
from hospital.patients import head_study
from vigil.inference.apart.errors import NoInterpreter
from vigil.inference.apart.interpreter import find_interpreter

APART = {"Runtime": {"Isolation": "process"}, "Reconcile": {"IntervalSeconds": 2.0}}
VOLUME_BYTES = 500_000
"""A tensor of a volume is larger, and what a session is made of smaller."""


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    whole = Hospital(tmp_path, vigil=APART)
    try:
        whole.ris.start()
        whole.pacs.start()
        whole.orthanc.start()
        yield whole
    finally:
        whole.kill()


def processes_of(orthanc: int) -> list[int]:
    """Those of models that it started and that run. (One that is being started has Orthanc's memory for a moment.)"""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal():
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                ours = b"apart/entry.py" in (entry / "cmdline").read_bytes()
                if int(parent) == orthanc and state != "Z" and ours:
                    found.append(int(entry.name))
    return found


def runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def has_a_volume(pid: int) -> bool:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, _, end = line.split()[0].partition("-")
            if "vigil-tensors" in line and int(end, 16) - int(begin, 16) > VOLUME_BYTES:
                return True
    return False


def kill_in_the_middle(orthanc: int, killed: list[int]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid in processes_of(orthanc):
            if has_a_volume(pid):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
        time.sleep(0.002)


def send(hospital: Hospital, images: list[Dataset]) -> None:
    orthanc = hospital.orthanc
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored


def settle(hospital: Hospital, images: list[Dataset]) -> Census:
    uid = str(images[0].StudyInstanceUID)
    wait_settled(hospital, uid)
    return take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})


def insist_on_the_refusal(hospital: Hospital) -> None:
    def said() -> str | None:
        with suppress(OSError):
            try:
                hospital.orthanc.get("/vigil/health/ready")
            except OrthancRefused as refused:
                return refused.said() if "Isolation" in refused.said() else None
        return None

    told = str(wait_until("the setting is refused", said))
    assert "has no program python" in told
    assert 'set Runtime.Isolation to "none"' in told
    send(hospital, head_study("apart-refused"))


def test_what_ends_the_process_of_a_model_ends_neither_orthanc_nor_the_analysis(hospital: Hospital) -> None:
    try:
        find_interpreter()
    except NoInterpreter:
        insist_on_the_refusal(hospital)
        return
    orthanc = hospital.orthanc
    orthanc.wait_ready()
    first = processes_of(orthanc.pid)
    assert len(first) == 1
    undisturbed = head_study("apart-one")
    send(hospital, undisturbed)
    expected = settle(hospital, undisturbed).analyses[0]["answer"]
    assert expected["kind"] == "positive"
    assert processes_of(orthanc.pid) == first

    pid, killed = orthanc.pid, list[int]()
    images = head_study("apart-two")
    send(hospital, images)
    killer = threading.Thread(target=kill_in_the_middle, args=(pid, killed))
    killer.start()
    census = settle(hospital, images)
    killer.join()
    assert killed == first
    census.exactly_once()
    assert census.analyses[0]["answer"] == expected
    assert orthanc.pid == pid
    assert orthanc.running
    orthanc.wait_ready()
    assert processes_of(pid) not in ([], first)
    log = [json.loads(line) for line in (orthanc.folder / "vigil" / "log" / "vigil.jsonl").read_text().splitlines()]
    told = [entry for entry in log if entry["action"] == "model-process-ended"]
    assert [("SIGKILL" in entry["how"], entry["model"]) for entry in told] == [(True, "hyperdense-volume-ct-head")]

    last = processes_of(pid)[0]
    assert orthanc.terminate().in_order
    assert not runs(last)
    orthanc.start()
    orthanc.wait_ready()
    last, = processes_of(orthanc.pid)
    orthanc.kill()
    wait_until("nothing is left of it", lambda: not runs(last))
