"""The life of packages: kept with its entry of the audit, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete, insert

from hospital.moving_clock import MovingClock
from vigil.records.audit import Audit
from vigil.records.errors import LedgerRefused
from vigil.records.ledger import Ledger
from vigil.records.model_events import Happened, ModelEvent, Use
from vigil.records.tables import audit, model_event

DIGEST = "5f" * 32


@pytest.fixture
def approved(clock: MovingClock) -> ModelEvent:
    return ModelEvent(clock.now(), "bleed", "1.0.0", DIGEST, Happened.APPROVED, "Dr. Ada", Use.MAIN, {"passed": True})


def test_an_event_is_read_as_it_was_written_and_stands_in_the_chain(ledger: Ledger, approved: ModelEvent) -> None:
    number = ledger.record_model_event(approved)
    other = replace(approved, model_id="other", event=Happened.RETIRED, use=None)
    ledger.record_model_event(other)
    assert ledger.model_events() == [approved, other]
    assert ledger.model_events("bleed") == [approved]
    assert ledger.newest_model_event() == number + 1
    entry = Audit(ledger).entries("bleed@1.0.0")[0]
    assert (entry.sequence, entry.event, entry.actor, entry.role) == (number, "model-approved", "Dr. Ada", "person")
    assert entry.evidence == {"package_sha256": DIGEST, "use": "main", "passed": True}
    assert Audit(ledger).verify().whole


def test_nothing_happened_yet(ledger: Ledger) -> None:
    assert (ledger.model_events(), ledger.newest_model_event()) == ([], 0)


def test_an_approval_that_was_put_in_past_the_chain_counts_for_nothing(ledger: Ledger, approved: ModelEvent) -> None:
    number = ledger.record_model_event(approved)
    with ledger._database.write() as connection:
        connection.execute(insert(model_event).values(
            sequence=number + 1, at=approved.at, model_id="evil", version="1.0.0", package_sha256=DIGEST, event="approved",
            use="main", by="Dr. Ada", evidence="{}"))
    assert ledger.model_events() == [approved]


def test_an_approval_whose_bytes_were_exchanged_counts_for_nothing(ledger: Ledger, approved: ModelEvent) -> None:
    ledger.record_model_event(approved)
    with ledger._database.write() as connection:
        connection.execute(model_event.update().values(package_sha256="ab" * 32))
    assert ledger.model_events() == []


def test_an_approval_without_its_entry_counts_for_nothing(ledger: Ledger, approved: ModelEvent) -> None:
    ledger.record_model_event(approved)
    with ledger._database.write() as connection:
        connection.execute(delete(audit))
    assert ledger.model_events() == []


def test_an_event_that_the_ledger_refuses_leaves_no_entry(ledger: Ledger, approved: ModelEvent) -> None:
    with pytest.raises(LedgerRefused):
        ledger.record_model_event(replace(approved, version=None))  # type: ignore[arg-type]
    assert Audit(ledger).entries() == []
