"""Law 1, in a real Orthanc with the bundle: no deadlock, no crash of a small stack, no thread kept waiting for ours.

What a thread inside Orthanc's Python suffers is measured there, by a site's own script (inside/site_script.py). The machine
makes threads late by itself, so the same is measured at the same time in a process of its own that does nothing else, and
what is more than there is ours.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from hospital import modality
from hospital.census import analyses, take_census, wait_settled, wait_until
from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.hospital import Hospital
from hospital.orthanc import BUNDLE_SCRIPT, REPOSITORY, OrthancRefused, runtime_site_packages
from hospital.pacs import SilentNode
from hospital.patients import head_study
from hospital.stopwatch import QuietProcess, Times, Window, processor_s, resident_mib, window

INSIDE = Path(__file__).resolve().parent / "inside"
QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}
STOPS_WITHIN_S = 15
ROUTES = ("/vigil/health/live", "/vigil/health/ready", "/vigil/metrics", "/vigil/analyses")

LOCK = """
import sqlite3, sys, time
ledger = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
ledger.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(3)
ledger.execute("ROLLBACK")
"""


class Site:
    """A hospital whose Orthanc runs the site's own script, with one PACS that answers and one that never does."""

    def __init__(self, hospital: Hospital, silent: SilentNode, quiet: QuietProcess) -> None:
        self.hospital = hospital
        self.orthanc = hospital.orthanc
        self.silent = silent
        self._quiet = quiet

    def measured(self) -> dict[str, Any]:
        return dict(self.orthanc.get("/site/measured"))

    def late_inside(self, when: Window) -> Times:
        return when.of(self.measured()["late"])

    def late_outside(self, when: Window) -> Times:
        """In a process that does nothing else."""
        return self._quiet.late(when)

    def callbacks(self, when: Window) -> Times:
        return when.of(self.measured()["callbacks"])

    def send(self, images: Sequence[Dataset], associations: int = 3) -> None:
        sent = modality.send(images, "127.0.0.1", self.orthanc.dicom_port, self.orthanc.aet, associations=associations)
        assert sent.all_stored
        assert len(sent.statuses) == len(images)

    def state(self, images: Sequence[Dataset]) -> str:
        found = analyses(self.orthanc, str(images[0].StudyInstanceUID))
        return str(found[0]["state"]) if found else ""

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Vigil's routes are asked all the while, and answer."""
        stop = threading.Event()
        answers = dict.fromkeys(ROUTES, 0)

        def ask() -> None:
            while not stop.is_set():
                for path in ROUTES:
                    self.orthanc.get_bytes(path)
                    answers[path] += 1
                stop.wait(0.1)

        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask)
            try:
                yield
            finally:
                stop.set()
            asking.result(30)
        assert min(answers.values()) > 3, answers


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with SilentNode() as silent, QuietProcess(folder / "quiet.txt") as quiet:
        hospital = Hospital(folder, vigil=QUICK, configuration={
            "Site": {"Path": [str(runtime_site_packages()), str(BUNDLE_SCRIPT.parent), str(REPOSITORY / "scripts")]}})
        hospital.orthanc.script = INSIDE / "site_script.py"
        pacs = hospital.orthanc.vigil["Pacs"]
        assert isinstance(pacs, dict)
        pacs["silent"] = {"Host": "127.0.0.1", "Port": silent.port, "Aet": "SILENT", "TimeoutSeconds": 10}
        with hospital:
            yield Site(hospital, silent, quiet)


def other_images(seed: str, count: int) -> list[Dataset]:
    """Of a kind that no model wants."""
    hu = np.random.default_rng(5).integers(-1000, 1500, (count, 64, 64))
    return list(ct_series(hu, Acquisition(seed, spacing_mm=(5.0, 1.0, 1.0), body_part="FOOT")))


def test_three_senders_while_results_are_stored_neither_lock_nor_lose_nor_repeat(tmp_path: Path) -> None:
    # With the number of images declared: a sender that the machine holds up for a second is no study that has come to rest.
    first, *others = [head_study(f"parallel-{number}", declare_images=True) for number in range(6)]
    with Hospital(tmp_path, vigil=QUICK) as hospital:
        orthanc = hospital.orthanc
        answered: list[modality.Sent] = []
        begun: list[datetime] = []

        def send(images: list[Dataset], pause_s: float) -> None:
            begun.append(datetime.now().astimezone())
            answered.append(modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet, associations=3,
                                          pause_s=pause_s))

        send(first, 0.0)
        wait_until("the first analysis", lambda: analyses(orthanc, str(first[0].StudyInstanceUID)))
        with ThreadPoolExecutor(3) as senders:  # three modalities with three associations each, one after the other begun
            for future in [senders.submit(send, images, 0.3) for images in others]:
                future.result(120)

        assert [sent.all_stored for sent in answered] == [True] * 6
        stored = []
        for images in (first, *others):
            uid = str(images[0].StudyInstanceUID)
            wait_settled(hospital, uid, timeout_s=180)
            census = take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})
            census.exactly_once()
            assert census.kinds == {"positive": 1}
            stored += [datetime.fromisoformat(item["stored_at"]) for item in census.analyses[0]["objects"]]
        arrivals = [(start, sent.last_at) for start, sent in zip(begun, answered, strict=True)]
        assert any(start < moment < end for moment in stored for start, end in arrivals), "storing met no arrival"
        stopped = orthanc.terminate(STOPS_WITHIN_S)
        assert stopped.in_order


def test_at_rest_it_takes_little_of_the_processor_and_a_stop_in_the_middle_of_a_start_is_in_order(tmp_path: Path) -> None:
    with Hospital(tmp_path, vigil=QUICK) as hospital:
        orthanc = hospital.orthanc
        time.sleep(3)
        before, begun = processor_s(orthanc.pid), time.monotonic()
        time.sleep(15)
        share = (processor_s(orthanc.pid) - before) / (time.monotonic() - begun)
        print(f"\nat rest: {100 * share:.1f} % of a core, {resident_mib(orthanc.pid)} MiB")
        assert share < 0.08, "four queues of DBOS at ten looks a second took 0.15"
        for running_s in (3.0, 2.0, 1.0, 0.0):
            assert orthanc.terminate(STOPS_WITHIN_S).in_order
            orthanc.start()
            time.sleep(running_s)
        orthanc.wait_ready()


def test_a_pacs_that_never_answers_keeps_no_thread_inside_orthanc_waiting(site: Site) -> None:
    studies = [head_study(f"silent-{number}") for number in range(3)]
    with window() as busy, site.asked():
        for images in studies:
            site.send(images)
        for images in studies:
            wait_until("stored", lambda images=images: site.state(images) == "stored", 120)
        wait_until("the silent PACS was called", lambda: site.silent.connections)
        wait_until("the alerts, in spite of it", lambda: len(site.hospital.ris.received()) >= len(studies))
    with window() as idle:
        time.sleep(busy.ended - busy.begun)

    for name, when in (("studies arrive", busy), ("nothing arrives", idle)):
        print(f"\n{name}, {when.ended - when.begun:.1f} s: a thread inside Orthanc wakes late by {site.late_inside(when)}; "
              f"in a process of its own by {site.late_outside(when)}")
    assert site.late_inside(busy).p99 - site.late_outside(busy).p99 <= 0.1
    assert site.late_inside(busy).worst - site.late_outside(busy).worst < 3, "an SDK call that waits stops all Python"


def test_the_sites_own_callback_runs_beside_ours_and_its_faults_lose_nothing(site: Site) -> None:
    images = head_study("chained")
    before = site.measured()["seen"]
    site.send(images)
    wait_until("stored", lambda: site.state(images) == "stored", 120)
    seen = site.measured()["seen"]

    assert seen["NEW_INSTANCE"] - before.get("NEW_INSTANCE", 0) >= len(images)
    assert seen["NEW_STUDY"] == before.get("NEW_STUDY", 0) + 1, "where it raises an exception"
    assert seen["ORTHANC_STARTED"] == 1


def test_the_callback_returns_at_once_also_while_the_ledger_is_locked_and_a_model_runs(site: Site) -> None:
    running, arriving = head_study("callback-1"), head_study("callback-2")
    site.send(running)
    wait_until("the model runs", lambda: site.state(running) == "running")
    ledger = site.orthanc.folder / "vigil" / "ledger.sqlite"
    lock = subprocess.Popen([sys.executable, "-c", LOCK, str(ledger)], stdout=subprocess.PIPE, text=True)
    assert lock.stdout is not None
    assert lock.stdout.readline() == "locked\n"
    with window() as locked, site.asked():
        site.send(arriving)
        lock.wait(30)
    with window() as after, site.asked():
        site.send(other_images("callback-3", 100))
    for images in (running, arriving):
        wait_until("stored", lambda images=images: site.state(images) == "stored", 120)

    for name, when in (("the ledger is locked", locked), ("a model runs", after)):
        print(f"\n{name}: our callback takes {site.callbacks(when)}; a thread wakes late by {site.late_inside(when)}")
        assert site.callbacks(when).p99 < 0.005


def test_a_hundred_images_arrive_either_way_while_a_model_runs(site: Site) -> None:
    running = [head_study(f"meanwhile-{number}") for number in range(2)]
    for images in running:
        site.send(images)
    wait_until("a model runs", lambda: "running" in map(site.state, running))
    states: set[str] = set()
    with site.asked():
        for number, image in enumerate(other_images("by-rest", 100)):
            assert site.orthanc.post("/instances", dicom_bytes(image))["Status"] == "Success"
            if number % 10 == 0:
                states |= set(map(site.state, running))
        site.send(other_images("by-c-store", 100))

    assert "running" in states
    for images in running:
        wait_until("stored", lambda images=images: site.state(images) == "stored", 120)


def test_a_handler_may_go_deep(site: Site) -> None:
    assert site.orthanc.get_bytes("/site/deep") == b"480"
    assert site.orthanc.get_bytes("/site/nested") == b"1800"


def test_a_handler_that_raises_or_is_too_slow_is_answered_for_and_orthanc_goes_on(site: Site) -> None:
    with pytest.raises(OrthancRefused) as broken:
        site.orthanc.get("/site/raises")
    assert broken.value.status == 503
    assert b"fault" not in broken.value.body

    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(site.orthanc.get, "/site/slow")
        with site.asked():
            site.send(other_images("meanwhile-slow", 10))
            time.sleep(1)
        with pytest.raises(OrthancRefused) as late:
            slow.result(30)
    assert late.value.status == 503
    assert b"no answer within 10 s" in late.value.body
    assert 9 < time.monotonic() - begun < 25
    assert site.orthanc.get("/vigil/health/live") == {"live": True}


@pytest.mark.parametrize("path", ROUTES)
def test_a_route_that_is_read_is_not_written(site: Site, path: str) -> None:
    with pytest.raises(OrthancRefused) as refusal:
        site.orthanc.post(path, {})
    assert refusal.value.status == 405


def test_orthanc_ends_in_order_while_a_handler_of_ours_is_still_busy(site: Site) -> None:
    """The last of this file: the site is stopped."""
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(site.orthanc.get, "/site/slow")
        time.sleep(0.5)
        assert site.orthanc.terminate(STOPS_WITHIN_S).in_order
        assert slow.exception(30) is not None
