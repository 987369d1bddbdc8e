"""Brings frozen objects to a PACS and a frozen message to a RIS: one destination apart from the other, until accepted, refused
for good or too late. Each attempt asks the policy first: may this leave?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

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
        record = None if delivery is None else self._ledger.analysis(delivery.analysis_id)
        if delivery is None or delivery.finished_at is not None or record is None or record.answer is None:
            return Verdict()
        analysis = record.analysis
        log = self._log.bind(correlation_id=analysis.correlation_id, analysis=analysis.analysis_id,
                             destination=delivery.destination)
        try:
            with self._metrics.stage(self._notified):
                evidence = self._bring(delivery, analysis, record.answer)
        except Stopping:
            return Verdict(retry_after_s=1.0)
        except Suppressed as error:
            self._finish(delivery, "suppressed", Reason(error.category, error.message), {}, log)
            return Verdict()
        except Unconfirmed as error:
            return self._again(delivery, Reason(error.category, error.message), False, attempt, log, waits=True)
        except VigilError as error:
            return self._again(delivery, Reason(error.category, error.message), isinstance(error, Refused), attempt, log)
        except Exception as error:  # noqa: BLE001 - the workflow's edge: a fault of ours is parked and shown, never lost
            log.error("delivery-broke", exception=error)
            reason = Reason(Category.INTERNAL, f"a fault in the software ({type(error).__name__}); see the log")
            return self._again(delivery, reason, True, attempt, log)
        self._ledger.record_attempt(subject, self._clock.now(), None, None)
        self._finish(delivery, "delivered", None, evidence, log)
        if analysis.arrived_at is not None:
            self._metrics.notified(self._notified, (self._clock.now() - analysis.arrived_at).total_seconds())
        return Verdict()

    def _again(self, delivery: DeliveryRecord, reason: Reason, refused: bool, attempt: int, log: Log, *,
               waits: bool = False) -> Verdict:
        now = self._clock.now()
        delay_s = self._retry.maximum_delay_seconds if refused else self._backoff.delay_s(attempt)
        late = now - delivery.created_at > timedelta(hours=self._retry.deadline_hours)
        tired = refused and delivery.attempts + 1 >= self._retry.refused_attempts
        if not waits:
            self._metrics.delivery_failed(delivery.destination, reason.category.value)
        if late or tired:
            self._ledger.record_attempt(delivery.delivery_id, now, reason, None)
            self._finish(delivery, "parked", reason, {}, log)
            return Verdict()
        next_at = now + timedelta(seconds=delay_s)
        if waits:
            self._ledger.note_unconfirmed(delivery.delivery_id, reason, next_at)
        else:
            self._ledger.record_attempt(delivery.delivery_id, now, reason, next_at)
        log.warning("delivery-waits", category=reason.category.value, attempt=attempt)
        return Verdict(retry_after_s=delay_s)

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
    if all(item.state in ("delivered", "suppressed") for item in ledger.deliveries(analysis_id)):
        ledger.purge_object_bytes(analysis_id)
