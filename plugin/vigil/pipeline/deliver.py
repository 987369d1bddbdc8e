"""Brings frozen objects to a PACS and a frozen message to a RIS: one destination apart from the other, until accepted, refused
for good or too late. Each attempt asks the policy first: may this leave?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from vigil.delivery.errors import DestinationSilent, DestinationUnreachable
from vigil.delivery.policy import gravest_category
from vigil.domain.answer import Analysis, Answer, AnswerKind, Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category, Stopping, VigilError
from vigil.pipeline.engine import Verdict
from vigil.pipeline.retry import Backoff
from vigil.records.audit import Audit
from vigil.records.entries import DeliveryRecord
from vigil.records.ledger import Ledger
from vigil.settings import RetrySettings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

SETTLED = ("delivered", "suppressed")
HELD_BACK = ("hl7", "held")
"""A message that is held needs no object."""
FORWARD = "forward"
ALERT = "alert"


def pacs_queue(name: str) -> str:
    return f"pacs-{name}"


def ris_queue(name: str) -> str:
    return f"ris-{name}"


class Refused(VigilError):
    """The destination answered and will not take it as it is: a few more tries, slowly, then a person."""

    category = Category.DESTINATION_REFUSED


class Suppressed(VigilError):
    """The policy keeps it in the house."""

    category = Category.POLICY


@dataclass(frozen=True)
class Tried:
    """What came of an attempt. ``retry_after_s``: None where the delivery has ended. ``closed_for_s``: how long the destination
    is better left alone, None where it answered. ``unreachable``: nothing at all could be brought there."""

    retry_after_s: float | None = None
    closed_for_s: float | None = None
    unreachable: bool = False


class Unconfirmed(VigilError):
    """All was accepted, and the destination has not yet confirmed that it keeps it: no failure, only not the end."""

    category = Category.DESTINATION_SILENT


def rank(analysis: Analysis, answer: Answer) -> int:
    """Of a delivery among those that wait for the same destination, the first is 1: positives by the category of their gravest
    finding, then what corrects an earlier result, then what decides nothing, then the rest."""
    if answer.kind is AnswerKind.POSITIVE:
        return gravest_category(answer) or 4
    if analysis.revision > 1:
        return 5
    return 6 if answer.kind is AnswerKind.INDETERMINATE else 7


class Courier:
    """One attempt at one delivery. What differs between a PACS and a RIS is ``bring``.

    ``bring(delivery, analysis, answer)`` returns when all was accepted, and raises :class:`Refused`, :class:`Suppressed` or
    :class:`Unconfirmed`, or another :class:`vigil.domain.errors.VigilError` where a later attempt may succeed.
    """

    def __init__(
        self, *, bring: Callable[[DeliveryRecord, Analysis, Answer], dict[str, object]], notified: str, ledger: Ledger,
        audit: Audit, retry: RetrySettings, clock: Clock, log: Log, metrics: Metrics,
    ) -> None:
        self._bring = bring
        self._notified = notified
        self._ledger = ledger
        self._audit = audit
        self._retry = retry
        self._backoff = Backoff(retry.first_delay_seconds, retry.maximum_delay_seconds)
        self._clock = clock
        self._log = log
        self._metrics = metrics

    def __call__(self, subject: str, attempt: int) -> Verdict:
        """``subject``: a delivery id."""
        delivery = self._ledger.delivery(subject)
        if delivery is None or delivery.finished_at is not None:
            return Verdict()
        try:
            return Verdict(retry_after_s=self.bring_once(delivery, attempt).retry_after_s)
        except Stopping:
            return Verdict(retry_after_s=1.0)

    def bring_once(self, delivery: DeliveryRecord, attempt: int, longest_s: float = math.inf) -> Tried:
        """``attempt`` sets the pause after a failure, which is at most ``longest_s``. Raises :class:`Stopping`."""
        record = self._ledger.analysis(delivery.analysis_id)
        if record is None or record.answer is None:
            self._ledger.finish_delivery(delivery.delivery_id, "cancelled", self._clock.now(), Reason(
                Category.INTERNAL, "the ledger holds no answer that it could bring"))
            return Tried()
        analysis = record.analysis
        log = self._log_of(delivery, analysis)
        try:
            with self._metrics.stage(self._notified):
                evidence = self._bring(delivery, analysis, record.answer)
        except Stopping:
            raise
        except Suppressed as error:
            state = "held" if error.category is Category.STUDY_TOO_OLD else "suppressed"
            self._finish(delivery, state, Reason(error.category, error.message), {}, log)
            return Tried()
        except VigilError as error:
            return self._again(delivery, error, min(longest_s, self._pause_s(error, attempt)), log)
        except Exception as error:  # noqa: BLE001 - the workflow's edge: a fault of ours is parked and shown, never lost
            log.error("delivery-broke", exception=error)
            fault = Refused(f"a fault in the software ({type(error).__name__}); see the log", category=Category.INTERNAL)
            return self._again(delivery, fault, self._pause_s(fault, attempt), log)
        self._ledger.record_attempt(delivery.delivery_id, self._clock.now(), None, None)
        self._finish(delivery, "delivered", None, evidence, log)
        if analysis.arrived_at is not None:
            self._metrics.notified(self._notified, (self._clock.now() - analysis.arrived_at).total_seconds())
        return Tried()

    def end(self, delivery: DeliveryRecord, state: str, reason: Reason) -> None:
        """Without an attempt: it is too late for one, or somebody keeps it back."""
        record = self._ledger.analysis(delivery.analysis_id)
        if record is not None:
            self._finish(delivery, state, reason, {}, self._log_of(delivery, record.analysis))

    def _log_of(self, delivery: DeliveryRecord, analysis: Analysis) -> Log:
        return self._log.bind(correlation_id=analysis.correlation_id, analysis=analysis.analysis_id,
                              destination=delivery.destination)

    def _pause_s(self, error: VigilError, attempt: int) -> float:
        return self._retry.maximum_delay_seconds if isinstance(error, Refused) else self._backoff.delay_s(attempt)

    def _again(self, delivery: DeliveryRecord, error: VigilError, delay_s: float, log: Log) -> Tried:
        now = self._clock.now()
        reason = Reason(error.category, error.message)
        late = now - delivery.owed_from > timedelta(hours=self._retry.deadline_hours)
        refused = isinstance(error, Refused)
        tired = refused and delivery.refusals + 1 >= self._retry.refused_attempts
        waits = isinstance(error, Unconfirmed)
        if not waits:
            self._metrics.delivery_failed(delivery.destination, reason.category.value)
        closed_for_s, unreachable = self._closed_for_s(error, delay_s), isinstance(error, DestinationUnreachable)
        if late or tired:
            self._ledger.record_attempt(delivery.delivery_id, now, reason, None, refused=refused)
            self._finish(delivery, "parked", reason, {}, log)
            return Tried(None, closed_for_s, unreachable)
        next_at = now + timedelta(seconds=delay_s)
        if waits:
            self._ledger.note_unconfirmed(delivery.delivery_id, reason, next_at)
        else:
            self._ledger.record_attempt(delivery.delivery_id, now, reason, next_at, refused=refused)
        log.warning("delivery-waits", category=reason.category.value, attempt=delivery.attempts + 1)
        return Tried(delay_s, closed_for_s, unreachable)

    def _closed_for_s(self, error: VigilError, delay_s: float) -> float | None:
        """What could not be reached gets the whole pause. What took a message and fell silent may have choked on that one: others
        try soon, while it waits longer and longer."""
        if isinstance(error, DestinationUnreachable):
            return delay_s
        return self._retry.first_delay_seconds if isinstance(error, DestinationSilent) else None

    def _finish(self, delivery: DeliveryRecord, state: str, reason: Reason | None, evidence: dict[str, object],
                log: Log) -> None:
        self._ledger.finish_delivery(delivery.delivery_id, state, self._clock.now(), reason)
        self._audit.append(f"{delivery.kind}-{state}", delivery.analysis_id, actor="vigil", role="system", evidence={
            "destination": delivery.destination, "revision": delivery.revision,
            "reason": None if reason is None else reason.category.value, **evidence})
        self._metrics.delivery_ended(delivery.destination, state)
        log.info(f"delivery-{state}", kind=delivery.kind, category=None if reason is None else reason.category.value)
        purge_sealed(self._ledger, delivery.analysis_id)


def purge_sealed(ledger: Ledger, analysis_id: str) -> None:
    """When nothing is owed to any destination the sealed copies have done their work; Orthanc and the PACS hold the objects."""
    if all(item.state in SETTLED or (item.kind, item.state) == HELD_BACK for item in ledger.deliveries(analysis_id)):
        ledger.purge_object_bytes(analysis_id)
