"""Critical results: told step by step, acknowledged once, held; and the record of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from vigil.domain.answer import Analysis, Answer, Reason
from vigil.domain.errors import Category
from vigil.records.alerts import AlertAccount
from vigil.records.entries import PersonAcknowledgement
from vigil.records.errors import LedgerRefused
from vigil.records.ledger import Ledger

WHY = Reason(Category.POLICY, "a newer analysis of the study superseded it")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def begun(ledger: Ledger, make_analysis: Callable[..., Analysis], positive: Answer, clock: Any) -> str:
    ledger.begin_analysis(make_analysis("a1b2c3d4"))
    ledger.freeze_answer("a1b2c3d4", positive, [])
    assert ledger.begin_critical("a1b2c3d4", 1, clock.now(), clock.now())
    return "a1b2c3d4"


def test_a_result_is_begun_once_and_found_by_its_beginning(ledger: Ledger, begun: str, clock: Any) -> None:
    assert not ledger.begin_critical(begun, 2, clock.now())
    found = ledger.critical(begun)
    assert found is not None
    assert (found.category, found.state, found.counted_from) == (1, "open", clock.now())
    assert [item.analysis_id for item in ledger.criticals_named("a1b2")] == [begun]
    assert ledger.criticals_named("a%") == []
    assert ledger.criticals(["open"]) == [found]


def test_the_first_person_who_acknowledges_counts(ledger: Ledger, begun: str, clock: Any) -> None:
    first = PersonAcknowledgement(begun, "Dr. Ito", "link", "mail", clock.now())
    assert ledger.acknowledge(first, "link-1")
    assert not ledger.acknowledge(PersonAcknowledgement(begun, "Dr. Roe", "command", None, clock.move(60)))
    assert ledger.acknowledged_by(begun) == first
    found = ledger.critical(begun)
    assert found is not None
    assert (found.state, found.finished_at) == ("acknowledged", first.at)
    assert not ledger.end_critical(begun, clock.now(), WHY), "an end does not unsay it"


def test_a_link_works_once(ledger: Ledger, begun: str, clock: Any) -> None:
    assert ledger.acknowledge(PersonAcknowledgement(begun, "Dr. Ito", "link", "mail", clock.now()), "link-1")
    assert ledger.link_used("link-1")
    assert not ledger.link_used("link-2")
    with pytest.raises(LedgerRefused, match="holds no alert none"):
        ledger.acknowledge(PersonAcknowledgement("none", "Dr. Ito", "link", "mail", clock.now()), "link-2")
    assert not ledger.link_used("link-2")


def test_a_message_is_promised_once_and_what_was_sent_stays_so(ledger: Ledger, begun: str, clock: Any) -> None:
    promised = clock.now()
    assert ledger.promise_notification(begun, 0, "mail", "mail", "waiting", promised)
    assert not ledger.promise_notification(begun, 0, "mail", "mail", "waiting", clock.move(1))
    ledger.record_notification(begun, 0, "mail", "waiting", clock.move(1), reason=WHY, next_at=clock.now() + MINUTE)
    waiting = ledger.notification(begun, 0, "mail")
    assert waiting is not None
    assert (waiting.attempts, waiting.at, waiting.next_at, waiting.reason) == (1, promised, clock.now() + MINUTE, WHY)
    assert ledger.waiting_notifications() == [waiting]
    ledger.record_notification(begun, 0, "mail", "sent", clock.move(60))
    ledger.record_notification(begun, 0, "mail", "failed", clock.move(60), reason=WHY)
    note = ledger.notification(begun, 0, "mail")
    assert note is not None
    assert (note.state, note.attempts, note.next_at, note.reason) == ("sent", 2, None, None)


def test_the_budget_counts_what_was_sent_or_is_on_its_way_by_category(
    ledger: Ledger, begun: str, make_analysis: Callable[..., Analysis], clock: Any,
) -> None:
    ledger.begin_analysis(make_analysis("a2", orthanc_study_id="s2"))
    ledger.begin_critical("a2", 2, clock.now())
    at = clock.now()
    ledger.promise_notification(begun, 0, "mail", "mail", "sent", at)
    ledger.promise_notification("a2", 0, "mail", "mail", "sent", at)
    ledger.promise_notification("a2", 1, "mail", "mail", "waiting", at)
    ledger.promise_notification("a2", 2, "mail", "mail", "withheld", at, WHY)
    assert ledger.notified_since(at - MINUTE, (2, 3)) == [at, at]
    assert ledger.notified_since(at, (2, 3)) == []


def test_ladders_that_are_overdue_are_found_also_after_the_clock_was_put_back(ledger: Ledger, begun: str, clock: Any) -> None:
    now = clock.now()
    ledger.plan_critical(begun, now, now + MINUTE)
    assert [(item.analysis_id, at) for item, at in ledger.climbing()] == [(begun, now + MINUTE)]
    assert ledger.criticals_due(now, now) == []
    assert ledger.criticals_due(now + 2 * MINUTE, now + 2 * MINUTE) == [begun]
    assert ledger.criticals_due(now - 60 * MINUTE, now - 60 * MINUTE) == [begun]
    ledger.plan_critical(begun, now, None)
    assert ledger.criticals_due(now + 2 * MINUTE, now - MINUTE) == []
    assert ledger.climbing() == []


def test_holds(ledger: Ledger, begun: str, clock: Any) -> None:
    assert ledger.put_on_hold(begun, "Dr. Ito", clock.now())
    assert not ledger.put_on_hold(begun, "Dr. Roe", clock.now())
    held = ledger.held(begun)
    assert held is not None
    assert held.by == "Dr. Ito"
    assert ledger.release(begun)
    assert not ledger.release(begun)
    assert ledger.held(begun) is None


def test_the_record_says_finding_times_who_told_who_received_and_how(ledger: Ledger, begun: str, clock: Any) -> None:
    ledger.begin_delivery("d1", "ris", "hl7", begun, 1, clock.now())
    ledger.record_acknowledgement("d1", "AA", "", clock.move(2))
    ledger.finish_delivery("d1", "delivered", clock.now())
    ledger.promise_notification(begun, 0, "mail", "mail", "waiting", clock.now())
    ledger.record_notification(begun, 0, "mail", "sent", clock.move(300))
    ledger.promise_notification(begun, 1, "pager", "webhook", "withheld", clock.move(60), WHY)
    ledger.acknowledge(PersonAcknowledgement(begun, "Dr. Ito", "link", "mail", clock.move(30)))
    rows = AlertAccount(ledger).communications()
    assert {(row.alert, row.finding, row.category, row.found_at) for row in rows} == {
        (begun, "Hyperdense intracranial region", "1", "2026-11-23T10:00:00+00:00")}
    assert [(row.told_by, row.told_to, row.method, row.outcome, row.received_by, row.received_at[11:19]) for row in rows] == [
        ("Vigil", "ris", "HL7 v2", "delivered (AA)", "", ""), ("Vigil", "mail", "e-mail", "sent", "", ""),
        ("Vigil", "pager", "webhook", f"withheld: {WHY.text}", "", ""),
        ("Vigil", "mail", "one-time link", "received", "Dr. Ito", "10:06:32")]
    assert AlertAccount(ledger).communications(clock.now()) == []
