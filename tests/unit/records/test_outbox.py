"""What goes first: in order within an order, by priority between orders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from vigil.domain.answer import Analysis, Reason
from vigil.domain.errors import Category
from vigil.records.entries import ASAP, ROUTINE, STAT
from vigil.records.ledger import Ledger

DOWN = Reason(Category.DESTINATION_UNREACHABLE, "down")
HOUR = timedelta(hours=1)


@pytest.fixture
def put(ledger: Ledger, make_analysis: Callable[..., Analysis], clock: object) -> Callable[..., None]:
    def put(name: str, order: str | None, priority: int = ROUTINE, destination: str = "ris", kind: str = "hl7") -> None:
        ledger.begin_analysis(make_analysis(name, orthanc_study_id=name))
        ledger.begin_delivery(name, destination, kind, name, 1, clock.now(), priority=priority,  # type: ignore[arg-type,attr-defined]
                              order_key=order)

    return put


def drained(ledger: Ledger, clock: object) -> list[str]:
    names = []
    now = clock.now()  # type: ignore[attr-defined]
    while (first := ledger.first_in_outbox("ris", now, now + HOUR)) is not None:
        names.append(first.delivery_id)
        ledger.finish_delivery(first.delivery_id, "delivered", now)
    return names


def test_first_in_first_out_where_all_are_as_urgent(ledger: Ledger, put: Callable[..., None], clock: object) -> None:
    for name in ("a", "b", "c"):
        put(name, f"order-{name}")
    assert drained(ledger, clock) == ["a", "b", "c"]


def test_the_urgent_overtake_other_orders_and_never_their_own(ledger: Ledger, put: Callable[..., None], clock: object) -> None:
    put("a1", "A")
    put("b1", "B", ASAP)
    put("c1", "C")
    put("a2", "A", STAT)
    put("c2", "C")
    assert drained(ledger, clock) == ["a1", "a2", "b1", "c1", "c2"], "what stands before an urgent one of its order is as urgent"


def test_an_order_is_urgent_as_long_as_an_urgent_one_waits_in_it(
    ledger: Ledger, put: Callable[..., None], clock: object,
) -> None:
    put("a1", "A", STAT)
    put("a2", "A")
    put("b1", "B", ASAP)
    put("c1", "C")
    put("c2", "C", STAT)
    assert drained(ledger, clock) == ["a1", "c1", "c2", "b1", "a2"]


def test_one_that_waits_for_its_time_holds_up_its_own_order_alone(
    ledger: Ledger, put: Callable[..., None], clock: object,
) -> None:
    now = clock.now()  # type: ignore[attr-defined]
    put("a1", "A", STAT)
    put("a2", "A", STAT)
    put("b1", "B")
    ledger.record_attempt("a1", now, DOWN, now + HOUR / 2)
    assert drained(ledger, clock) == ["b1"]
    assert ledger.outbox_due_at("ris") == now + HOUR / 2
    ledger.finish_delivery("a1", "parked", now, DOWN)
    assert drained(ledger, clock) == ["a2"], "what was parked blocks nothing"
    assert ledger.outbox_due_at("ris") is None


def test_what_would_be_due_only_under_a_clock_that_was_put_back_is_due(
    ledger: Ledger, put: Callable[..., None], clock: object,
) -> None:
    now = clock.now()  # type: ignore[attr-defined]
    put("a", "A")
    ledger.record_attempt("a", now, DOWN, now + 2 * HOUR)
    assert drained(ledger, clock) == ["a"]


def test_other_destinations_and_dicom_are_not_in_it(ledger: Ledger, put: Callable[..., None], clock: object) -> None:
    put("other", "A", destination="ris2")
    put("images", "A", destination="pacs", kind="dicom")
    put("own", None)
    assert ledger.waiting_outboxes() == {"ris", "ris2"}
    assert drained(ledger, clock) == ["own"]


def test_the_late_are_told_from_the_moment_that_they_are_owed(
    ledger: Ledger, put: Callable[..., None], clock: object,
) -> None:
    now = clock.now()  # type: ignore[attr-defined]
    put("a", "A")
    put("b", "B")
    ledger.finish_delivery("a", "parked", now, DOWN)
    later = clock.move(7200)  # type: ignore[attr-defined]
    ledger.reopen_delivery("a", later)
    assert [item.delivery_id for item in ledger.late_in_outbox("ris", later - HOUR)] == ["b"]


def test_an_order_s_key_tells_nothing_of_it(ledger: Ledger) -> None:
    key = ledger.order_key("order", "ACC-1")
    assert key == ledger.order_key("order", "ACC-1") != ledger.order_key("order", "ACC-2")
    assert "ACC" not in key
