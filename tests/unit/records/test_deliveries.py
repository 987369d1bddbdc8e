"""Deliveries: promised once, tried, ended; and the message that goes out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from vigil.domain.answer import Analysis, Reason
from vigil.domain.errors import Category
from vigil.records.entries import FINISHED_DELIVERY, Acknowledgement
from vigil.records.errors import LedgerRefused
from vigil.records.ledger import DeliveryRecord, Ledger

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON.replace(hour=13)
DOWN = Reason(Category.DESTINATION_UNREACHABLE, "ris: connection refused")


@pytest.fixture
def promised(ledger: Ledger, make_analysis: Callable[..., Analysis]) -> str:
    ledger.begin_analysis(make_analysis())
    ledger.begin_delivery("deliver|ris|a1|1", "ris", "hl7", "a1", 1, NOON)
    return "deliver|ris|a1|1"


def found(ledger: Ledger, delivery_id: str) -> DeliveryRecord:
    delivery = ledger.delivery(delivery_id)
    assert delivery is not None
    return delivery


def test_a_delivery_is_promised_once(ledger: Ledger, promised: str) -> None:
    assert ledger.begin_delivery(promised, "ris", "hl7", "a1", 1, LATER) is False
    assert found(ledger, promised) == DeliveryRecord(
        promised, "ris", "hl7", "a1", 1, "waiting", NOON, 0, None, None, None, None)
    assert ledger.begin_delivery("deliver|pacs|a1|1", "pacs", "dicom", "a1", 1, LATER) is True


def test_nothing_is_promised_for_an_analysis_that_is_unknown(ledger: Ledger) -> None:
    with pytest.raises(LedgerRefused, match="refused a row"):
        ledger.begin_delivery("d", "ris", "hl7", "none", 1, NOON)


def test_attempts_are_counted_with_their_reason(ledger: Ledger, promised: str) -> None:
    ledger.record_attempt(promised, NOON, DOWN, LATER)
    ledger.record_attempt(promised, LATER, DOWN, None)
    delivery = found(ledger, promised)
    assert (delivery.attempts, delivery.last_attempt_at, delivery.next_attempt_at, delivery.reason) == (2, LATER, None, DOWN)
    ledger.record_attempt(promised, LATER, None, None)
    assert found(ledger, promised).reason is None


@pytest.mark.parametrize("state", sorted(FINISHED_DELIVERY))
def test_every_end_survives_reopening(
    open_ledger: Callable[[], Ledger], make_analysis: Callable[..., Analysis], state: str,
) -> None:
    first = open_ledger()
    first.begin_analysis(make_analysis())
    first.begin_delivery("d", "ris", "hl7", "a1", 1, NOON)
    first.record_attempt("d", NOON, DOWN, LATER)
    first.finish_delivery("d", state, LATER, DOWN)
    first.close()
    delivery = found(open_ledger(), "d")
    assert (delivery.state, delivery.finished_at, delivery.reason, delivery.next_attempt_at) == (state, LATER, DOWN, None)


def test_what_is_delivered_stays_delivered(ledger: Ledger, promised: str) -> None:
    ledger.finish_delivery(promised, "delivered", NOON, None)
    ledger.finish_delivery(promised, "cancelled", LATER, DOWN)
    assert (found(ledger, promised).state, found(ledger, promised).finished_at) == ("delivered", NOON)
    assert ledger.reopen_delivery(promised, LATER) is False


def test_a_parked_delivery_can_be_sent_again(ledger: Ledger, promised: str) -> None:
    assert ledger.reopen_delivery(promised, NOON) is False
    ledger.finish_delivery(promised, "parked", NOON, DOWN)
    assert ledger.reopen_delivery(promised, LATER) is True
    delivery = found(ledger, promised)
    assert (delivery.state, delivery.finished_at, delivery.next_attempt_at) == ("waiting", None, LATER)


def test_what_no_delivery_can_be_is_refused(ledger: Ledger, promised: str) -> None:
    with pytest.raises(LedgerRefused, match="ends as one of"):
        ledger.finish_delivery(promised, "lost", NOON)
    for call in (lambda: ledger.record_attempt("none", NOON, None, None), lambda: ledger.finish_delivery("none", "parked", NOON)):
        with pytest.raises(LedgerRefused, match="holds no delivery none"):
            call()
    assert ledger.delivery("none") is None


def test_deliveries_are_found_by_analysis_and_state(
    ledger: Ledger, promised: str, make_analysis: Callable[..., Analysis],
) -> None:
    ledger.begin_analysis(make_analysis("a2"))
    ledger.begin_delivery("d2", "ris", "hl7", "a2", 2, NOON)
    ledger.finish_delivery("d2", "parked", NOON, DOWN)
    assert [item.delivery_id for item in ledger.deliveries()] == [promised, "d2"]
    assert [item.delivery_id for item in ledger.deliveries("a2")] == ["d2"]
    assert [item.delivery_id for item in ledger.deliveries(states=["waiting"])] == [promised]
    assert ledger.deliveries("a1", ["parked"]) == []


def test_the_newest_status_of_each_object_is_kept(ledger: Ledger, promised: str) -> None:
    ledger.record_object_status(promised, "1.2.1", 0xA700, NOON, "Out of resources")
    ledger.record_object_status(promised, "1.2.2", 0x0000, NOON)
    ledger.record_object_status(promised, "1.2.1", 0xB000, LATER, "Coerced: Müller^Jörg")
    assert ledger.object_statuses(promised) == {"1.2.1": 0xB000, "1.2.2": 0}
    assert ledger.object_comment(promised, "1.2.1") == "Coerced: Müller^Jörg"
    assert ledger.object_comment(promised, "1.2.2") == ""
    assert ledger.object_statuses("none") == {}


def test_the_first_message_is_the_message(open_ledger: Callable[[], Ledger], make_analysis: Callable[..., Analysis]) -> None:
    first = open_ledger()
    first.begin_analysis(make_analysis())
    first.begin_delivery("d", "ris", "hl7", "a1", 1, NOON)
    assert first.message("d") is None
    assert first.freeze_message("d", "V1", b"MSH|1", NOON) == b"MSH|1"
    first.close()
    again = open_ledger()
    assert again.freeze_message("d", "V2", b"MSH|2", LATER) == b"MSH|1"
    assert again.message("d") == b"MSH|1"


def test_the_newest_acknowledgement_is_told(ledger: Ledger, promised: str) -> None:
    assert ledger.acknowledgement(promised) is None
    ledger.record_acknowledgement(promised, "AE", "busy with Müller", NOON)
    assert ledger.acknowledgement(promised) == Acknowledgement("AE", "busy with Müller", NOON)
    ledger.record_acknowledgement(promised, "AA", "", LATER)
    assert ledger.acknowledgement(promised) == Acknowledgement("AA", "", LATER)
