"""How old a study may be when its alert leaves: judged when it was promised, unless it waited past its deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from vigil.domain.errors import Category
from vigil.inference.registry import InstalledModel
from vigil.pipeline.alert import ToRis
from vigil.pipeline.deliver import Courier
from vigil.pipeline.desk import AlertDesk
from vigil.pipeline.outbox import Outboxes
from vigil.pipeline.permission import Permission
from vigil.pipeline.reference import References
from vigil.records.alerts import AlertAccount
from vigil.records.audit import Audit
from vigil.records.entries import AnalysisRecord, DeliveryRecord
from vigil.records.ledger import Ledger
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

HOUR_S = 3600.0


class NoImages:
    """An alert that gets past the policy ends here, as of a study that was deleted."""

    def dicom(self, instance: str) -> bytes | None:
        return None


@pytest.fixture
def outboxes(
    settings: Callable[..., Settings], ledger: Ledger, models: dict[str, InstalledModel], clock: Any, log: Log,
) -> Outboxes:
    site = settings(Ris={"ris": {"Host": "127.0.0.1", "Port": 2575}}, MaxStudyAgeHours=24, Retry={"DeadlineHours": 72})
    to_ris = ToRis(references=References(NoImages(), ledger, site),  # type: ignore[arg-type]
                   ledger=ledger, settings=site, models=models, clock=clock,
                   permission=Permission(site, models, clock.now()), stop=threading.Event())
    courier = Courier(bring=to_ris, notified="alerted", ledger=ledger, audit=Audit(ledger), retry=site.retry, clock=clock,
                      log=log, metrics=Metrics())
    return Outboxes(courier=courier, ledger=ledger, settings=site, clock=clock)


@pytest.fixture
def alert(ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any) -> str:
    answered("a1")
    ledger.begin_critical("a1", 1, clock.now())
    ledger.begin_delivery("d", "ris", "hl7", "a1", 1, clock.now())
    return "d"


def ended(ledger: Ledger, outboxes: Outboxes) -> tuple[str, Category | None]:
    outboxes.nudge("d", 1)
    delivery: DeliveryRecord | None = ledger.delivery("d")
    assert delivery is not None
    return delivery.state, None if delivery.reason is None else delivery.reason.category


def test_what_was_recent_when_it_was_promised_stays_owed(
    outboxes: Outboxes, ledger: Ledger, alert: str, clock: Any,
) -> None:
    clock.move(71 * HOUR_S)
    assert ended(ledger, outboxes) == ("suppressed", Category.STUDY_DELETED), "the policy let it go"


def test_after_a_restored_backup_an_old_alert_is_held_and_shown_and_a_person_may_send_it(
    outboxes: Outboxes, ledger: Ledger, alert: str, clock: Any,
) -> None:
    clock.move(73 * HOUR_S)
    assert ended(ledger, outboxes) == ("held", Category.STUDY_TOO_OLD)
    shown = AlertAccount(ledger).alert("a1")
    assert shown is not None
    assert shown["deliveries"][0]["state"] == "held"
    assert "MaxStudyAgeHours (24)" in shown["deliveries"][0]["reason"]["text"]
    AlertDesk(ledger, Audit(ledger), clock).resend("a1", "Dr. Roe")
    assert ended(ledger, outboxes) == ("suppressed", Category.STUDY_DELETED), "owed anew, by a person's word"
