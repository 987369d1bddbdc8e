"""A RIS that is down for half an hour while ten thousand alerts come: what waits is drained in order, and each goes out once."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hospital.alert_rig import AlertRig
from hospital.network import free_port
from hospital.ris import Ris
from vigil.pipeline import outbox

WAITING = int(os.environ.get("VIGIL_SOAK_WAITING", "10000"))
DOWN_S = 1800.0
RETRY = {"FirstDelaySeconds": 5, "MaximumDelaySeconds": 300}
CATEGORIES = (3, None, 1, 2, None)


@dataclass
class VirtualTime:
    """Both clocks of the outbox."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 26, 12, 0, tzinfo=UTC))
    passed_s: float = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.passed_s

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.passed_s += seconds


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ten_thousand_that_waited_half_an_hour_are_drained_in_order_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualTime()
    monkeypatch.setattr(outbox.time, "monotonic", clock.monotonic)
    ris = Ris(tmp_path / "ris", port=free_port())
    with AlertRig(tmp_path, ris.port, clock, RETRY) as rig:
        due: dict[str, int] = {}
        for number in range(WAITING):
            order = number - 1 if number % 10 == 9 else number  # every tenth is of the order of the one before it
            task = rig.find(number, CATEGORIES[number % len(CATEGORIES)], f"A{order}")
            rig.outboxes.nudge(task.subject, 1)
            due[f"P{number}"] = order
            clock.move(DOWN_S / WAITING)
        assert len(rig.ledger.deliveries(states=["waiting"])) == WAITING
        began = time.perf_counter()
        with ris:
            tasks = 0
            while (verdict := rig.outboxes.turn("ris", tasks)).follow or verdict.retry_after_s is not None:
                tasks += 1
                assert tasks < WAITING
                delay_s = verdict.follow[0].delay_s if verdict.follow else verdict.retry_after_s or 0.0
                clock.move(max(delay_s, 0.001))  # real time never stands still: a microsecond short of due is due soon after
            took_s = time.perf_counter() - began
            received = [path.read_bytes().decode().split("\r") for path in sorted(ris.folder.glob("*.hl7"), key=_arrival)]
    print(f"\n{len(received)} messages in {took_s:.0f} s: {len(received) / took_s:.0f}/s, in {tasks} tasks")
    control_ids = [lines[0].split("|")[9] for lines in received]
    assert len(control_ids) == len(set(control_ids)) == WAITING
    patients = [lines[1].split("|")[3].split("^")[0] for lines in received]
    assert patients == sorted(due, key=lambda patient: (_urgency(due, patient), int(patient[1:])))


def _arrival(path: Path) -> int:
    return int(path.name.split("-")[0])


def _urgency(due: dict[str, int], patient: str) -> int:
    """Of the most urgent of its order that has not gone before it; an order has two messages at most here."""
    number = int(patient[1:])
    waiting = [each for each in (number, number + 1) if due.get(f"P{each}") == due[patient]]
    return min({1: 0, 2: 1}.get(CATEGORIES[each % len(CATEGORIES)] or 0, 2) for each in waiting)
