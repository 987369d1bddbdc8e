from __future__ import annotations

import logging
import threading
import time

import pytest

from vigil.domain.clock import SystemClock
from vigil.domain.gateway import GatewayError
from vigil.pipeline import watch as module
from vigil.pipeline.events import Event, EventKind, EventQueue
from vigil.pipeline.watch import Watch
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics


class Evaluations:
    """Takes note of the studies, and fails at those named "bad"."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.stable: list[str] = []

    def evaluate(self, study_id: str, *, told_stable: bool = False) -> None:
        self.seen.append(study_id)
        if told_stable:
            self.stable.append(study_id)
        time.sleep(0.01)
        if study_id == "bad":
            raise GatewayError("Orthanc cannot read it")


class Due:
    """Two studies are due, always."""

    def due(self, quiet_s: float) -> list[str]:
        return ["bad", "due"]

    def find_lost_studies(self) -> int:
        return 0

    def promise_again(self) -> int:
        return 0

    def promise_overdue(self) -> int:
        return 0


class Series:
    """Each belongs to the study of its name; "gone" to none."""

    def study_of_series(self, series: str) -> str | None:
        return None if series == "gone" else f"study of {series}"


class Touches:
    def touch_studies(self, study_ids: object, at: object) -> None:
        pass


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> Evaluations:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(module, "RETRY_AFTER_S", 0.1)
    return Evaluations()


def run(evaluations: Evaluations, seconds: float, *, stable: int = 0, whole: tuple[str, ...] = (), settle_s: float = 0.0) -> None:
    stop, events = threading.Event(), EventQueue()
    watch = Watch(gateway=Series(), ledger=Touches(), events=events, evaluator=evaluations, reconciler=Due(),  # type: ignore[arg-type]
                  settle_s=settle_s, interval_s=60, clock=SystemClock(), stop=stop, log=Log(logging.getLogger("test-watch")),
                  metrics=Metrics())
    for number in range(stable):
        events.put(Event(EventKind.STABLE_STUDY, f"stable-{number}"))
    for series in whole:
        events.put(Event(EventKind.SERIES_WHOLE, series))
    watch.start()
    time.sleep(seconds)
    stop.set()
    watch.join(5)


def test_what_is_due_does_not_wait_until_orthanc_has_nothing_more_to_tell(evaluations: Evaluations) -> None:
    run(evaluations, 2.0, stable=1000)

    assert "stable-999" not in evaluations.seen, "there is more to tell than the time allows"
    assert "due" in evaluations.seen


def test_a_study_that_cannot_be_evaluated_is_tried_less_and_less_and_holds_up_no_other(evaluations: Evaluations) -> None:
    run(evaluations, 2.0, stable=0)

    assert 3 <= evaluations.seen.count("bad") <= 6
    assert evaluations.seen.count("due") > 10


def test_a_series_that_has_its_declared_number_is_looked_at_at_once_and_not_taken_for_stable(evaluations: Evaluations) -> None:
    run(evaluations, 0.3, stable=1, whole=("gone", "head"), settle_s=60)

    assert evaluations.seen == ["stable-0", "study of head"]
    assert evaluations.stable == ["stable-0"]
