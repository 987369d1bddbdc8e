"""Drains the outbox of a RIS: in order within an order, by priority between orders, and a dead RIS is knocked at, not besieged.

The ledger says what waits and in which order (:mod:`vigil.records.outbox`). A task is only the occasion to look: one for each
new message, and one at the moment at which something is due again. However many messages wait for a RIS that is down, one task
waits with them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from vigil.domain.answer import AnswerKind, Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category, Stopping
from vigil.pipeline.deliver import Courier, ris_queue
from vigil.pipeline.engine import Task, Verdict
from vigil.pipeline.told import takes_back
from vigil.records.entries import RETRACTION, STAT, WAITING, DeliveryRecord
from vigil.records.ledger import Ledger
from vigil.settings import Settings

TURN = "outbox"
MOST_AT_ONCE = 500
"""Messages of one task; what is left is the next task's, so that one stop or kill interrupts little."""
STAT_LONGEST_PAUSE_S = 30.0
"""What must be known within minutes is not kept waiting for longer once the receiver is back."""
OVERDUE_S = 5.0
KICK_EVERY_S = 30.0


@dataclass(frozen=True)
class _Closed:
    """A destination that could not be reached: until when it is left alone, by both clocks, and since when."""

    until_s: float
    until: datetime
    since_s: float


class Outboxes:
    """The worker of every RIS's queue, in which one task runs at a time."""

    def __init__(self, *, courier: Courier, ledger: Ledger, settings: Settings, clock: Clock) -> None:
        self._courier = courier
        self._ledger = ledger
        self._destinations = frozenset(settings.ris)
        self._hold_when_reported = settings.escalation.hold_when_reported
        self._retry = settings.retry
        self._clock = clock
        self._closed: dict[str, _Closed] = {}
        self._draining: set[str] = set()
        self._kicked: dict[str, float] = {}

    def nudge(self, subject: str, attempt: int) -> Verdict:
        """``subject``: a delivery id, promised a while ago. Whatever waits at its destination is brought, also where this one
        went out with an earlier turn: in a burst turns lag behind promises, and the last would wait for all of them. An urgent
        one knocks also where the destination was found closed, but not sooner than one first pause after the last knock."""
        delivery = self._ledger.delivery(subject)
        if delivery is None:
            return Verdict()
        closed = self._closed.get(delivery.destination)
        urgent = delivery.state == WAITING and delivery.priority == STAT
        if closed and urgent and time.monotonic() - closed.since_s >= self._retry.first_delay_seconds:
            del self._closed[delivery.destination]
        return self.turn(delivery.destination, attempt)

    def turn(self, subject: str, attempt: int) -> Verdict:
        """``subject``: a destination."""
        self._draining.add(subject)
        try:
            return self._drain(subject)
        except Stopping:
            return Verdict(retry_after_s=1.0)
        finally:
            self._draining.discard(subject)

    def overdue(self) -> Iterable[Task]:
        """What waits, is due and has no task that will do it soon: reopened by a person, or lost with the workflow store."""
        now = self._clock.now()
        for name in self._ledger.waiting_outboxes() & self._destinations:
            if name in self._draining or self._is_closed(name):
                continue
            if time.monotonic() - self._kicked.get(name, -KICK_EVERY_S) < KICK_EVERY_S:
                continue
            first = self._first(name, now)
            due = None if first is None else first.next_attempt_at or first.created_at
            if due is not None and not now - timedelta(seconds=OVERDUE_S) < due <= now:
                self._kicked[name] = time.monotonic()
                yield _task(name, now, 0.0)

    def _drain(self, name: str) -> Verdict:
        if self._is_closed(name):
            return self._later(name)
        for _ in range(MOST_AT_ONCE):
            first = self._first(name, self._clock.now())
            if first is None:
                return self._later(name)
            if (held := self._held(first)) is not None:
                self._courier.end(first, "held", held)
                continue
            longest_s = STAT_LONGEST_PAUSE_S if first.priority == STAT else self._retry.maximum_delay_seconds
            tried = self._courier.bring_once(first, first.attempts + 1, longest_s)
            if tried.closed_for_s is not None:
                self._close(name, tried.closed_for_s)
                if tried.unreachable:
                    self._park_late(name)
                return self._later(name)
            self._closed.pop(name, None)
        return Verdict(retry_after_s=0.0)

    def _first(self, name: str, now: datetime) -> DeliveryRecord | None:
        return self._ledger.first_in_outbox(name, now, now + timedelta(seconds=self._retry.maximum_delay_seconds + OVERDUE_S))

    def _held(self, delivery: DeliveryRecord) -> Reason | None:
        """What takes back is never kept back: neither by a hold nor after the final report, beside which it would leave a wrong
        word standing. It bears our own order number, so it cannot overwrite the report."""
        if delivery.purpose == RETRACTION:
            return None
        when_reported = self._hold_when_reported and not takes_back(self._ledger, delivery)
        return why_held(self._ledger, delivery.analysis_id, when_reported)

    def _close(self, name: str, pause_s: float) -> None:
        now = time.monotonic()
        self._closed[name] = _Closed(now + pause_s, self._clock.now() + timedelta(seconds=pause_s), now)

    def _park_late(self, name: str) -> None:
        """Those that wait behind what could not be brought, and whose own deadline passed meanwhile."""
        deadline = timedelta(hours=self._retry.deadline_hours)
        for late in self._ledger.late_in_outbox(name, self._clock.now() - deadline):
            self._courier.end(late, "parked", Reason(
                Category.DESTINATION_UNREACHABLE, f"'{name}' could not be reached within {self._retry.deadline_hours:g} hours"))

    def _is_closed(self, name: str) -> bool:
        closed = self._closed.get(name)
        return closed is not None and time.monotonic() < closed.until_s

    def _later(self, name: str) -> Verdict:
        """The moment at which to look again, as a task that bears that moment in its id: many ask for it, one is enqueued."""
        now = self._clock.now()
        due = now if self._first(name, now) is not None else self._ledger.outbox_due_at(name)
        if due is None:
            return Verdict()
        closed = self._closed.get(name)
        if closed is not None and self._is_closed(name):
            due = max(due, closed.until)
        delay_s = min(max((due - now).total_seconds(), 0.0), self._retry.maximum_delay_seconds)
        return Verdict(follow=(_task(name, max(due, now), delay_s),))


def why_held(ledger: Ledger, analysis_id: str, when_reported: bool) -> Reason | None:
    """Why an alert stays in the house: somebody held it, or the final report of its study is known."""
    record = ledger.analysis(analysis_id)
    if record is None:
        return None
    if (held := ledger.held(analysis_id)) is not None:
        alarm = record.answer is not None and record.answer.kind is AnswerKind.POSITIVE
        return Reason(Category.POLICY, f"held by {held.by}; \"vigil {'alerts' if alarm else 'deliveries'} resend\" lets it go")
    if when_reported and ledger.held(record.analysis.orthanc_study_id) is not None:
        return Reason(Category.POLICY, "the final report of the study is known; an alert after it could only confuse")
    return None


def _task(name: str, at: datetime, delay_s: float) -> Task:
    return Task(TURN, name, ris_queue(name), attempt=int(at.timestamp() * 1000), delay_s=delay_s)
