"""Started by scripts/soak: a RIS that is down for half an hour (of a virtual clock) while thousands of alerts wait for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hospital.ris import Ris
from vigil.delivery.destination import RisDestination
from vigil.delivery.hl7.mllp import MllpClient
from vigil.delivery.hl7.profile import Hl7Profile
from vigil.domain.answer import Analysis, Answer
from vigil.domain.identity import message_control_id
from vigil.pipeline import outbox
from vigil.pipeline.deliver import Courier
from vigil.pipeline.outbox import Outboxes
from vigil.records.audit import Audit
from vigil.records.entries import ROUTINE, STAT, AnalysisRecord, DeliveryRecord
from vigil.records.ledger import Ledger
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

WAITING = int(os.environ.get("VIGIL_SOAK_ALERTS", "10000"))


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_thousands_that_waited_are_drained_in_order_and_once(
    tmp_path: Path, settings: Callable[..., Settings], ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
    log: Log, monkeypatch: pytest.MonkeyPatch,
) -> None:
    ris = Ris(tmp_path / "ris")
    ris.start()
    ris.stop()
    site = settings(Ris={"ris": {"Host": "127.0.0.1", "Port": ris.port}})
    client = MllpClient(RisDestination("ris", "127.0.0.1", ris.port, Hl7Profile()))
    stop, passed = threading.Event(), [time.monotonic()]
    monkeypatch.setattr(outbox.time, "monotonic", lambda: passed[0])

    def bring(delivery: DeliveryRecord, analysis: Analysis, answer: Answer) -> dict[str, object]:
        control_id = message_control_id("ris", analysis.analysis_id, 1)
        text = f"MSH|^~\\&|VIGIL||||20261126||ORU^R01|{control_id}|T|2.5.1\rPID|1||{analysis.analysis_id}\r"
        message = ledger.freeze_message(delivery.delivery_id, control_id, text.encode(), clock.now())
        assert client.send(message, control_id, stop).accepted
        return {}

    courier = Courier(bring=bring, notified="alerted", ledger=ledger, audit=Audit(ledger), retry=site.retry, clock=clock,
                      log=log, metrics=Metrics())
    outboxes = Outboxes(courier=courier, ledger=ledger, settings=site, clock=clock)
    wanted: list[tuple[int, int]] = []
    for number in range(WAITING):
        urgency = STAT if number % 10 == 0 else ROUTINE
        name = f"a{number:05d}"
        answered(name)
        ledger.begin_delivery(name, "ris", "hl7", name, 1, clock.now(), priority=urgency, order_key=name)
        outboxes.nudge(name, 1)
        wanted.append((urgency, number))
        clock.move(1800 / WAITING)
        passed[0] += 1800 / WAITING
    ris.start()
    begun = time.perf_counter()
    passed[0] += 300
    clock.move(300)
    while (verdict := outboxes.turn("ris", 1)).follow or verdict.retry_after_s is not None:
        step = verdict.follow[0].delay_s if verdict.follow else 0.0
        passed[0] += step
        clock.move(step)
    print(f"{WAITING / (time.perf_counter() - begun):.1f} alerts a second")
    client.close()
    ris.stop()

    order = [path.read_bytes().decode().split("PID|1||")[1].strip() for path in ris.received()]
    assert order == [f"a{number:05d}" for _, number in sorted(wanted)]
    assert len({path.stem.split("-", 1)[1] for path in ris.received()}) == WAITING
