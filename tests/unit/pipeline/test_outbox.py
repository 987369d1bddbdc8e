"""A RIS that was down for a while: what waited for it is brought in order, once, and nothing besieged it meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from vigil.delivery.errors import DestinationRefused, DestinationSilent, DestinationUnreachable
from vigil.domain.answer import Analysis, Answer, AnswerKind, Finding, Part, Reason, joined
from vigil.domain.concepts import Code
from vigil.domain.errors import Category, Stopping, VigilError
from vigil.pipeline import outbox
from vigil.pipeline.deliver import Courier, Refused, Suppressed
from vigil.pipeline.desk import AlertDesk
from vigil.pipeline.outbox import Outboxes
from vigil.records.audit import Audit
from vigil.records.entries import ASAP, ROUTINE, STAT, AnalysisRecord, DeliveryRecord
from vigil.records.ledger import Ledger
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

DOWN = DestinationUnreachable("nobody listens")
RETRY = {"FirstDelaySeconds": 5, "MaximumDelaySeconds": 300, "DeadlineHours": 2, "RefusedAttempts": 3}


@dataclass
class Receiver:
    """What a RIS says to each message; the messages that it took, in order, and how often somebody knocked."""

    fails: VigilError | None = None
    fails_at: dict[str, VigilError] = field(default_factory=dict)
    took: list[str] = field(default_factory=list)
    knocks: list[str] = field(default_factory=list)

    def __call__(self, delivery: DeliveryRecord, analysis: Analysis, answer: Answer) -> dict[str, object]:
        self.knocks.append(delivery.delivery_id)
        error = self.fails or self.fails_at.get(delivery.delivery_id)
        if error is not None:
            raise error
        self.took.append(delivery.delivery_id)
        return {}


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def site(settings: Callable[..., Settings]) -> Settings:
    return settings(Ris={"ris": {"Host": "127.0.0.1", "Port": 2575}, "other": {"Host": "127.0.0.1", "Port": 2576}}, Retry=RETRY)


@pytest.fixture
def outboxes(receiver: Receiver, site: Settings, ledger: Ledger, clock: Any, log: Log) -> Outboxes:
    courier = Courier(bring=receiver, notified="alerted", ledger=ledger, audit=Audit(ledger), retry=site.retry, clock=clock,
                      log=log, metrics=Metrics())
    return Outboxes(courier=courier, ledger=ledger, settings=site, clock=clock)


@pytest.fixture
def wait(ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any) -> Callable[..., None]:
    def put(name: str, order: str, priority: int = ROUTINE, destination: str = "ris") -> None:
        answered(name)
        ledger.begin_delivery(name, destination, "hl7", name, 1, clock.now(), priority=priority, order_key=order)

    return put


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch, clock: Any) -> Callable[[float], None]:
    """Both clocks move."""
    passed = [time.monotonic()]
    monkeypatch.setattr(outbox.time, "monotonic", lambda: passed[0])

    def move(by: float) -> None:
        passed[0] += by
        clock.move(by)

    return move


def states(ledger: Ledger) -> dict[str, str]:
    return {item.delivery_id: item.state for item in ledger.deliveries()}


def test_what_waited_for_a_receiver_that_was_down_is_brought_in_order(
    outboxes: Outboxes, receiver: Receiver, wait: Callable[..., None], seconds: Callable[[float], None],
) -> None:
    receiver.fails = DOWN
    for name, order, priority in (("a1", "A", ROUTINE), ("b1", "B", ASAP), ("a2", "A", ROUTINE), ("c1", "C", STAT),
                                  ("d1", "D", ROUTINE), ("c2", "C", ROUTINE)):
        wait(name, order, priority)
        outboxes.nudge(name, 1)
    verdict = outboxes.turn("ris", 1)
    receiver.fails = None
    seconds(verdict.follow[0].delay_s)
    assert outboxes.turn("ris", verdict.follow[0].attempt).follow == ()
    assert receiver.took == ["c1", "b1", "a1", "a2", "d1", "c2"]


def test_however_many_wait_one_task_waits_with_them_and_one_message_knocks(
    outboxes: Outboxes, receiver: Receiver, wait: Callable[..., None], seconds: Callable[[float], None],
) -> None:
    receiver.fails = DOWN
    tasks = set()
    for number in range(30):
        wait(f"m{number}", f"order {number}")
        tasks.update((task.workflow_id, task.delay_s) for task in outboxes.nudge(f"m{number}", 1).follow)
    assert receiver.knocks == ["m0"]
    assert len({workflow_id for workflow_id, _ in tasks}) == 1
    seconds(5)
    again = outboxes.turn("ris", 1)
    assert receiver.knocks == ["m0", "m0"]
    assert again.follow[0].delay_s == 10, "its pause has doubled"


def test_an_urgent_one_knocks_before_the_pause_is_over_and_no_other_does(
    outboxes: Outboxes, receiver: Receiver, wait: Callable[..., None], seconds: Callable[[float], None],
) -> None:
    receiver.fails = DOWN
    wait("a", "A")
    for _ in range(3):
        seconds(outboxes.turn("ris", 1).follow[0].delay_s)
    outboxes.turn("ris", 1)  # from here it is left alone for 40 s
    knocks = len(receiver.knocks)

    def arrives(name: str, priority: int) -> int:
        wait(name, name, priority)
        outboxes.nudge(name, 1)
        return len(receiver.knocks) - knocks

    assert arrives("urgent, too soon after the last knock", STAT) == 0
    seconds(6)
    assert arrives("routine", ROUTINE) == 0
    assert arrives("urgent", STAT) == 1
    assert arrives("urgent, at once", STAT) == 1
    assert receiver.knocks[-1] == "urgent, too soon after the last knock", "the urgent one that waits longest"


def test_an_urgent_one_is_never_kept_waiting_for_long_once_the_receiver_is_back(
    outboxes: Outboxes, receiver: Receiver, wait: Callable[..., None], seconds: Callable[[float], None],
) -> None:
    receiver.fails = DOWN
    wait("a", "A", STAT)
    delay_s = 0.0
    for _ in range(12):
        seconds(delay_s)
        delay_s = outboxes.turn("ris", 1).follow[0].delay_s
    assert delay_s == outbox.STAT_LONGEST_PAUSE_S < RETRY["MaximumDelaySeconds"]


@pytest.mark.parametrize("error", [DestinationRefused("AE"), Refused("AR"), DestinationSilent("took it and said nothing")])
def test_a_message_that_its_receiver_cannot_take_holds_up_no_other_order(
    outboxes: Outboxes, receiver: Receiver, ledger: Ledger, wait: Callable[..., None], seconds: Callable[[float], None],
    error: VigilError,
) -> None:
    wait("poison", "A", STAT)
    wait("next", "A", STAT)
    wait("b", "B")
    receiver.fails_at["poison"] = error
    turns = 0
    while (verdict := outboxes.turn("ris", 1)).follow:
        seconds(verdict.follow[0].delay_s)
        turns += 1
        assert receiver.took or turns < 4, "the other order has waited for too long"
        assert turns < 400
    assert receiver.took == ["b", "next"]
    assert states(ledger) == {"poison": "parked", "next": "delivered", "b": "delivered"}, "what was parked blocks nothing"


def test_only_a_refusal_uses_the_refused_attempts_up(
    outboxes: Outboxes, receiver: Receiver, ledger: Ledger, wait: Callable[..., None], seconds: Callable[[float], None],
    clock: Any,
) -> None:
    """A receiver that was down for a night has refused nothing: its first AR is the first of three."""
    wait("a", "A")
    receiver.fails = DOWN
    for _ in range(10):
        seconds(outboxes.turn("ris", 1).follow[0].delay_s)
    assert len(receiver.knocks) == 10
    receiver.fails = Refused("AR")
    receiver.knocks.clear()
    while (verdict := outboxes.turn("ris", 1)).follow:
        seconds(verdict.follow[0].delay_s)
    assert len(receiver.knocks) == 3
    assert states(ledger) == {"a": "parked"}
    AlertDesk(ledger, Audit(ledger), clock).resend_delivery("a", "Ann")
    while (verdict := outboxes.turn("ris", 1)).follow:
        seconds(verdict.follow[0].delay_s)
    assert len(receiver.knocks) == 6, "sent again, it is tried as often again"


def test_a_dead_receiver_delays_no_other(outboxes: Outboxes, receiver: Receiver, wait: Callable[..., None]) -> None:
    wait("a", "A")
    wait("b", "B", destination="other")
    receiver.fails_at["a"] = DOWN
    outboxes.nudge("a", 1)
    outboxes.nudge("b", 1)
    assert receiver.took == ["b"]


def test_what_was_never_brought_is_parked_at_its_deadline_and_can_be_sent_again(
    outboxes: Outboxes, receiver: Receiver, ledger: Ledger, wait: Callable[..., None],
    seconds: Callable[[float], None], clock: Any,
) -> None:
    receiver.fails = DOWN
    wait("a", "A")
    wait("b", "B")
    seconds(73 * 3600)
    outboxes.turn("ris", 1)
    assert states(ledger) == {"a": "parked", "b": "parked"}
    assert receiver.knocks == ["a"]
    receiver.fails = None
    assert AlertDesk(ledger, Audit(ledger), clock).resend_delivery("b", "Ann") is None
    seconds(10)
    task, = outboxes.overdue()
    assert (task.subject, task.queue, task.delay_s) == ("ris", "ris-ris", 0.0)
    outboxes.turn("ris", task.attempt)
    assert states(ledger) == {"a": "parked", "b": "delivered"}
    assert list(outboxes.overdue()) == []


def test_what_waits_without_a_task_is_found_and_not_asked_for_over_and_over(
    outboxes: Outboxes, wait: Callable[..., None], seconds: Callable[[float], None],
) -> None:
    wait("a", "A")
    wait("gone", "G", destination="no longer in the settings")
    assert list(outboxes.overdue()) == [], "its own task is on its way"
    seconds(6)
    assert [task.subject for task in outboxes.overdue()] == ["ris"]
    assert list(outboxes.overdue()) == []


def test_a_clock_that_was_put_back_keeps_nothing_waiting(
    outboxes: Outboxes, receiver: Receiver, wait: Callable[..., None], seconds: Callable[[float], None], clock: Any,
) -> None:
    receiver.fails = DOWN
    wait("a", "A")
    outboxes.nudge("a", 1)
    clock.move(-3600)
    receiver.fails = None
    seconds(6)
    assert [task.subject for task in outboxes.overdue()] == ["ris"]
    outboxes.turn("ris", 1)
    assert receiver.took == ["a"]


def test_a_stop_leaves_it_for_the_next_start(
    outboxes: Outboxes, receiver: Receiver, ledger: Ledger, wait: Callable[..., None],
) -> None:
    wait("a", "A")
    receiver.fails = Stopping("Orthanc stops")
    assert outboxes.nudge("a", 1).retry_after_s == 1.0
    assert states(ledger) == {"a": "waiting"}


def test_what_a_person_holds_is_held_and_what_is_too_old_is_held_and_shown(
    outboxes: Outboxes, receiver: Receiver, ledger: Ledger, wait: Callable[..., None], clock: Any,
) -> None:
    wait("mine", "A")
    wait("old", "B")
    wait("reported", "C")
    wait("kept", "D")
    receiver.fails_at["old"] = Suppressed("older than MaxStudyAgeHours", category=Category.STUDY_TOO_OLD)
    receiver.fails_at["kept"] = Suppressed("the model was switched off")
    ledger.put_on_hold("mine", "Ann", clock.now())
    ledger.put_on_hold("study-of-reported", "Ann", clock.now())
    outboxes.turn("ris", 1)
    assert states(ledger) == {"mine": "held", "old": "held", "reported": "held", "kept": "suppressed"}
    assert {item.delivery_id: item.reason.text for item in ledger.deliveries() if item.reason} | {"kept": ""} == {
        "mine": 'held by Ann; "vigil alerts resend" lets it go', "old": "older than MaxStudyAgeHours", "kept": "",
        "reported": "the final report of the study is known; an alert after it could only confuse"}


def test_after_the_final_report_what_takes_back_is_sent_and_no_other_alert(
    outboxes: Outboxes, receiver: Receiver, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    negative = Answer(AnswerKind.NEGATIVE, "Below the threshold. This does not exclude it.")
    for name, answer in (("first", None), ("positive", None), ("negative", negative)):
        revision = answered(name, answer, study="one").analysis.revision
        ledger.begin_delivery(name, "ris", "hl7", name, revision, clock.now(), order_key="A")
    ledger.freeze_message("first", "V1", b"MSH", clock.now(), b"head")
    ledger.finish_delivery("first", "delivered", clock.now())
    ledger.begin_critical("first", 1, clock.now())
    AlertDesk(ledger, Audit(ledger), clock).reported("first", "Dr. Roe")
    outboxes.turn("ris", 1)
    assert states(ledger) == {"first": "delivered", "positive": "held", "negative": "delivered"}
    answered("alone", negative, study="two")
    ledger.put_on_hold("two", "Dr. Roe", clock.now())
    ledger.begin_delivery("alone", "ris", "hl7", "alone", 1, clock.now())
    AlertDesk(ledger, Audit(ledger), clock).hold("first", "Dr. Roe")
    ledger.retract(["first"], "withdrawal", "Dr. Roe", Reason(Category.POLICY, "withdrawn"), clock.now())
    outboxes.turn("ris", 2)
    assert states(ledger)["alone"] == "held", "it replaces nothing"
    assert receiver.took == ["negative", "retract|ris|first|1"]


def test_after_the_final_report_a_positive_that_takes_back_another_of_several_findings_is_sent(
    outboxes: Outboxes, receiver: Receiver, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    one, two = (Code(value, "99T", f"Finding {value}") for value in "12")

    def of(*found: Code) -> Answer:
        parts = tuple(Part(code, code, code, AnswerKind.POSITIVE if code in found else AnswerKind.NEGATIVE, f"{code.meaning}.")
                      for code in (one, two))
        return Answer(AnswerKind.POSITIVE, joined(parts), parts=parts, findings=tuple(
            Finding(code, code, code, (), kind=AnswerKind.POSITIVE, acr_category=1) for code in found))

    for name, answer in (("first", of(one)), ("both", of(one, two)), ("other", of(two))):
        revision = answered(name, answer, study="one").analysis.revision
        ledger.begin_delivery(name, "ris", "hl7", name, revision, clock.now(), order_key="A")
    ledger.freeze_message("first", "V1", b"MSH", clock.now(), b"head")
    ledger.finish_delivery("first", "delivered", clock.now())
    ledger.begin_critical("first", 1, clock.now())
    AlertDesk(ledger, Audit(ledger), clock).reported("first", "Dr. Roe")
    outboxes.turn("ris", 1)
    assert states(ledger) == {"first": "delivered", "both": "held", "other": "delivered"}


def test_a_long_outbox_is_drained_task_by_task(
    outboxes: Outboxes, receiver: Receiver, wait: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "MOST_AT_ONCE", 3)
    for number in range(7):
        wait(f"m{number}", f"order {number}")
    assert [outboxes.turn("ris", 1).retry_after_s for _ in range(3)] == [0.0, 0.0, None]
    assert receiver.took == [f"m{number}" for number in range(7)]


def test_a_turn_that_comes_late_brings_whatever_waits_though_its_own_message_is_out(
    outboxes: Outboxes, receiver: Receiver, wait: Callable[..., None]
) -> None:
    wait("first", "a")
    outboxes.nudge("first", 1)
    wait("second", "b")
    outboxes.nudge("first", 1)  # as in a burst, where turns lag behind promises
    assert receiver.took == ["first", "second"]
