"""From a finding to the receiver's acknowledgement: the ledger, the workflow engine, the outbox and a RIS that is not ours."""

from __future__ import annotations

import time

from benchmark.case import Case, Effort
from benchmark.findings import Figure, Findings, Target
from benchmark.statistics import median, quantile
from hospital.alert_rig import AlertRig
from hospital.network import free_port
from hospital.ris import Ris
from vigil.domain.clock import SystemClock
from vigil.pipeline.deliver import ALERT, ris_queue
from vigil.pipeline.engine import Engine, Task
from vigil.pipeline.outbox import TURN
from vigil.records.entries import DeliveryRecord

PER_SECOND = 5
QUICK_S, WHOLE_S = 10, 60
URGENT_EVERY = 10
ORDERS_WAITING = 50
RETRY = {"FirstDelaySeconds": 1, "MaximumDelaySeconds": 5}
NOTE = (
    "{per_second} positive findings a second for {seconds} s, every tenth of ACR category 1, each of an order of its own, "
    "through ledger, workflow engine, outbox and MLLP to python-hl7 on this machine; from the promise of the alert to the "
    "moment at which its acknowledgement was written down. Then {waiting} findings at once, the urgent ones found last."
)


def acceptance(case: Case, effort: Effort) -> Findings:
    seconds = QUICK_S if effort.repeats < case.repeats else WHOLE_S
    with Ris(effort.folder / "ris", port=free_port()) as ris, AlertRig(effort.folder, ris.port, SystemClock(), RETRY) as rig:
        engine = Engine(
            database=effort.folder / "workflows.sqlite", workers={ALERT: rig.outboxes.nudge, TURN: rig.outboxes.turn},
            queues={ris_queue("ris")}, on_fault=_raise)
        engine.start()
        try:
            steady = _steady(rig, engine, seconds * PER_SECOND)
            crowd = _crowd(rig, engine)
        finally:
            engine.stop(5)
    waits = [_waited_s(item) for item in steady]
    urgent_s, routine_s = ([_waited_s(item) for item in crowd if (item.priority == 0) == urgent] for urgent in (True, False))
    figures = (
        Figure("finding to acknowledgement", "s", median(waits)),
        Figure("finding to acknowledgement, 99th percentile", "s", quantile(waits, 0.99)),
        Figure("of a crowd: those of category 1", "s", median(urgent_s)),
        Figure("of a crowd: the others", "s", median(routine_s)),
    )
    targets = (
        Target("Finding to acknowledgement", 0.5, True, "s", median(waits)),
        Target("Finding to acknowledgement, p99", 2.0, True, "s", quantile(waits, 0.99)),
        Target("Of a crowd, the last urgent one before the first other: seconds between", 0.0, False, "s",
               median([_first(crowd, urgent=False) - _last(crowd, urgent=True)])),
    )
    note = NOTE.format(per_second=PER_SECOND, seconds=seconds, waiting=ORDERS_WAITING)
    return Findings(case.name, case.title, note, figures=figures, targets=targets)


def _steady(rig: AlertRig, engine: Engine, count: int) -> list[DeliveryRecord]:
    begun, subjects = time.monotonic(), []
    for number in range(count):
        time.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
        task = rig.find(number, 1 if number % URGENT_EVERY == 0 else 3, f"A{number}")
        engine.enqueue(task)
        subjects.append(task.subject)
    return _delivered(rig, subjects)


def _crowd(rig: AlertRig, engine: Engine) -> list[DeliveryRecord]:
    """All are promised before the first is brought out; the urgent ones last."""
    while engine.unfinished():  # turns that lag behind would bring out the first before the last is found
        time.sleep(0.1)
    tasks: list[Task] = [
        rig.find(100_000 + number, 1 if number >= ORDERS_WAITING * 9 // 10 else 3, f"B{number}")
        for number in range(ORDERS_WAITING)
    ]
    engine.enqueue(tasks[0])
    return _delivered(rig, [task.subject for task in tasks])


def _delivered(rig: AlertRig, subjects: list[str]) -> list[DeliveryRecord]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = [rig.ledger.delivery(subject) for subject in subjects]
        done = [item for item in found if item is not None and item.state == "delivered"]
        if len(done) == len(subjects):
            return done
        time.sleep(0.5)
    raise TimeoutError("not every alert was acknowledged within two minutes")


def _waited_s(item: DeliveryRecord) -> float:
    assert item.finished_at is not None
    return (item.finished_at - item.created_at).total_seconds()


def _ended(crowd: list[DeliveryRecord], urgent: bool) -> list[float]:
    return [item.finished_at.timestamp() for item in crowd if item.finished_at is not None and (item.priority == 0) == urgent]


def _first(crowd: list[DeliveryRecord], *, urgent: bool) -> float:
    return min(_ended(crowd, urgent))


def _last(crowd: list[DeliveryRecord], *, urgent: bool) -> float:
    return max(_ended(crowd, urgent))


def _raise(kind: str, error: Exception) -> None:
    raise RuntimeError(f"a task of kind {kind} broke") from error
