"""Whose turn is next: by rank and by waiting, the same before and after a kill. The last tests run the real engine."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from vigil.domain.answer import Analysis
from vigil.inference.registry import InstalledModel, Limit
from vigil.intake.priority import Stat
from vigil.intake.study import HeaderCache
from vigil.pipeline.urgency import Triage, Urgency
from vigil.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
NOW = dt.datetime(2026, 11, 26, 12, 0, tzinfo=dt.UTC)
HEAD, BRAIN = "hyperdense-volume-ct-head", "brain-volume-t1-mr"
LIVE = {HEAD: {"Stage": "live"}, BRAIN: {"Stage": "live"}}


def image(priority: str) -> bytes:
    ds = next(ct_series(np.zeros((1, 8, 8)), Acquisition(priority, spacing_mm=(2.0, 1.0, 1.0))))
    ds.RequestAttributesSequence = [item := Dataset()]
    item.RequestedProcedurePriority = priority
    return dicom_bytes(ds)


class Orthanc:
    """Holds the reference images, and knows who sent them."""

    def __init__(self) -> None:
        self.files = {"stat": image("STAT"), "routine": image("ROUTINE"), "broken": b"no DICOM at all"}

    def head(self, analysis: Analysis) -> bytes | None:
        return self.files.get(analysis.reference_instance)

    def sender(self, orthanc_id: str) -> str:
        return "CT-ER" if orthanc_id == "routine" else ""


def analysis(reference: str, model: str, *, waited: dt.timedelta = dt.timedelta(0)) -> Analysis:
    return Analysis(
        analysis_id=f"{reference}-{model}", orthanc_study_id="s", study_instance_uid="1.2", model_id=model, model_version="1",
        weights_sha256="w", operating_point="default", renderer_version="1", settings_sha256="x", inputs_sha256="i", inputs=(),
        created_at=NOW, correlation_id="c", stage="live", arrived_at=NOW - waited, reference_instance=reference)


@pytest.fixture
def triage(models: dict[str, InstalledModel], settings: Callable[..., Settings]) -> Callable[..., Triage]:
    def make(installed: dict[str, InstalledModel] | None = None, **section: object) -> Triage:
        return Triage(gateway=Orthanc(), references=Orthanc(), headers=HeaderCache(),  # type: ignore[arg-type]
                      models=installed or models, settings=settings(**{"Models": LIVE, **section}))
    return make


def test_stat_goes_before_an_emergency_and_both_before_routine(triage: Callable[..., Triage]) -> None:
    turns = [triage().turn(analysis(reference, model)) for reference in ("stat", "routine") for model in (HEAD, BRAIN)]

    assert [turn.urgency for turn in turns] == [Urgency.STAT_EMERGENCY, Urgency.STAT, Urgency.EMERGENCY, Urgency.ROUTINE]
    assert [turn.priority for turn in turns] == sorted(turn.priority for turn in turns)
    assert len({turn.priority for turn in turns}) == 4
    assert turns[0].evidence == {"urgency": "stat-emergency", "stat": "request"}


def test_among_equals_the_oldest_is_first_and_nobody_waits_for_more_than_a_day_behind_newcomers(
        triage: Callable[..., Triage]) -> None:
    def priority(reference: str, model: str, hours: float) -> int:
        return triage().turn(analysis(reference, model, waited=dt.timedelta(hours=hours))).priority

    assert priority("routine", BRAIN, 1) < priority("routine", BRAIN, 0)
    assert priority("stat", HEAD, 0) < priority("routine", BRAIN, 23.9), "a new STAT passes all that wait for less than a day"
    assert priority("routine", BRAIN, 24.1) < priority("stat", HEAD, 0)
    assert priority("routine", BRAIN, 8.1) < priority("routine", HEAD, 0), "eight hours for a rank"


def test_a_site_says_which_models_are_for_emergencies_and_nobody_waits_for_one_in_silence(
        triage: Callable[..., Triage], models: dict[str, InstalledModel]) -> None:
    asked = {HEAD: {"Stage": "live", "Emergency": False}, BRAIN: {"Stage": "live", "Emergency": True}}
    assert triage(Models=asked).turn(analysis("routine", HEAD)).urgency is Urgency.ROUTINE
    assert triage(Models=asked).turn(analysis("routine", BRAIN)).urgency is Urgency.EMERGENCY
    silent = {HEAD: {"Stage": "shadow", "Emergency": True}}
    assert triage(Models=silent).turn(analysis("stat", HEAD)).urgency is Urgency.STAT
    beside = {HEAD: replace(models[HEAD], limit=Limit.SHADOW)}
    assert triage(beside).turn(analysis("routine", HEAD)).urgency is Urgency.ROUTINE


def test_a_sender_makes_a_study_stat_where_the_site_names_it(triage: Callable[..., Triage]) -> None:
    turn = triage(Priority={"StatSenders": ["CT-ER"]}).turn(analysis("routine", BRAIN))
    assert (turn.urgency, turn.stat) == (Urgency.STAT, Stat.SENDER)


@pytest.mark.parametrize("reference", ["", "gone", "broken"])
def test_what_cannot_be_read_is_not_urgent_and_stops_nobody(triage: Callable[..., Triage], reference: str) -> None:
    assert triage().turn(analysis(reference, BRAIN)).urgency is Urgency.ROUTINE


PROGRAM = """
import datetime as dt, logging, sys, time
from pathlib import Path
sys.path[:0] = [{plugin!r}, {scripts!r}, {tests!r}]
from test_urgency import BRAIN, HEAD, LIVE, NOW, Orthanc, analysis
from dataclasses import replace
from vigil.domain.clock import SystemClock
from vigil.inference.registry import Registry
from vigil.intake.study import HeaderCache
from vigil.pipeline.engine import Engine, Task, Verdict
from vigil.pipeline.evaluate import INFER, INFERENCE
from vigil.pipeline.reconcile import Reconciler
from vigil.pipeline.roster import BUNDLED_MODELS
from vigil.pipeline.urgency import Triage
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.settings import load
from vigil.telemetry.logs import Log

folder = Path({folder!r})
done = folder / "done.txt"

def infer(subject, attempt):
    with done.open("a") as file:
        file.write(subject + "\\n")
    while subject == "running" and not (folder / "go").exists():
        time.sleep(0.02)
    ledger.set_analysis_state(subject, "shadow")
    return Verdict()

ledger = Ledger.open(f"sqlite:///{{folder}}/ledger.sqlite", Sealer.open(folder / "sealing.key"), SystemClock())
settings = load({{"Vigil": {{"SchemaVersion": 1, "StateDirectory": str(folder), "Models": LIVE}}}})
models = {{model.model_id: model for model in Registry(BUNDLED_MODELS).installed()}}
triage = Triage(gateway=Orthanc(), references=Orthanc(), headers=HeaderCache(), models=models, settings=settings)
engine = Engine(database=folder / "workflows.sqlite", workers={{INFER: infer}}, queues={{INFERENCE}},
                on_fault=lambda kind, error: print(kind, repr(error), flush=True))
engine.start()
deadline = time.monotonic() + 30

def begin(name, reference, model, waited_h=0.0):
    held = ledger.begin_analysis(replace(
        analysis(reference, model, waited=dt.timedelta(hours=waited_h)), analysis_id=name, orthanc_study_id=name,
        study_instance_uid="1.2"))
    engine.enqueue(Task(INFER, name, INFERENCE, priority=triage.turn(held).priority))

if {fill!r}:
    begin("running", "routine", BRAIN)
    while not done.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    for number in range(3):
        begin(f"routine-{{number}}", "routine", BRAIN, waited_h=number)
    begin("old routine", "routine", BRAIN, waited_h=25)
    begin("emergency", "routine", HEAD)
    begin("stat", "stat", BRAIN)
    begin("stat emergency", "stat", HEAD)
    print("full", flush=True)
else:
    reconciler = Reconciler(gateway=Orthanc(), ledger=ledger, engine=engine, triage=triage, overdue=lambda: (),
                            clock=SystemClock(), log=Log(logging.getLogger("urgency")))
    print(reconciler.promise_again(), flush=True)
while engine.unfinished() and time.monotonic() < deadline:
    time.sleep(0.05)
engine.stop(1)
"""
IN_TURN = ["old routine", "stat emergency", "stat", "emergency", "routine-2", "routine-1", "routine-0"]


def program(folder: Path, *, fill: bool) -> subprocess.Popen[str]:
    text = textwrap.dedent(PROGRAM).format(
        plugin=str(ROOT / "plugin"), scripts=str(ROOT / "scripts"), tests=str(Path(__file__).parent), folder=str(folder),
        fill=fill)
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)


def full_queue(folder: Path) -> subprocess.Popen[str]:
    """One analysis runs, and the others wait, the most urgent asked for last."""
    process = program(folder, fill=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line == "full\n":
            break
    return process


def order(folder: Path) -> list[str]:
    return (folder / "done.txt").read_text().splitlines()


def test_a_stat_passes_all_that_wait_and_never_interrupts_what_runs(tmp_path: Path) -> None:
    process = full_queue(tmp_path)
    time.sleep(0.6)  # two looks at the queue
    assert order(tmp_path) == ["running"]
    (tmp_path / "go").touch()
    process.communicate(timeout=60)

    assert order(tmp_path) == ["running", *IN_TURN]


@pytest.mark.parametrize("store_is_lost", [False, True], ids=["from its store", "from the ledger alone"])
def test_after_a_kill_all_goes_on_in_the_same_order(tmp_path: Path, *, store_is_lost: bool) -> None:
    process = full_queue(tmp_path)
    process.kill()
    process.wait()
    if store_is_lost:
        for file in tmp_path.glob("workflows.sqlite*"):
            file.unlink()
    (tmp_path / "go").touch()
    told, _ = program(tmp_path, fill=False).communicate(timeout=60)

    assert told.split() == ["8" if store_is_lost else "0"]
    again = [name for name in order(tmp_path)[1:] if name != "running"]
    assert again == IN_TURN
