"""The account of the alerts: what was found, who was told by what way, who received it. Read only; no patient data.

What the Joint Commission asks of a critical result (NPSG.02.03.01) stands in :class:`Communication`: the finding, when it was
found, who told, who received it, when, and how.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from vigil.domain.answer import Answer, Reason
from vigil.records.entries import RETRACTION, AnalysisRecord, CriticalResult, DeliveryRecord, Notification
from vigil.records.ledger import Ledger

TELLER = "Vigil"
METHODS = {"hl7": "HL7 v2", "mail": "e-mail", "webhook": "webhook", "command": "command line", "link": "one-time link",
           "rest": "REST"}


@dataclass(frozen=True)
class Communication:
    """One communication of a critical result: a message that went out or did not, or a person who received it."""

    alert: str
    study_instance_uid: str
    finding: str
    category: str
    found_at: str
    told_by: str
    told_to: str
    method: str
    told_at: str
    outcome: str
    received_by: str = ""
    received_at: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class AlertAccount:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def alerts(self, limit: int | None = 50, *, unacknowledged: bool = False) -> list[dict[str, Any]]:
        """Newest first."""
        found = self._ledger.criticals(["open"] if unacknowledged else None, limit)
        return [self._alert(critical, record) for critical, record in self._with_analyses(found)]

    def alert(self, analysis_id: str) -> dict[str, Any] | None:
        critical, record = self._ledger.critical(analysis_id), self._ledger.analysis(analysis_id)
        return None if critical is None or record is None else self._alert(critical, record)

    def communications(self, since: datetime | None = None) -> list[Communication]:
        """Oldest alert first, each as it happened."""
        found = [item for item in reversed(self._ledger.criticals()) if since is None or item.found_at >= since]
        return [row for critical, record in self._with_analyses(found) for row in self._communications(critical, record)]

    def _with_analyses(self, found: list[CriticalResult]) -> Iterator[tuple[CriticalResult, AnalysisRecord]]:
        for critical in found:
            record = self._ledger.analysis(critical.analysis_id)
            if record is not None:
                yield critical, record

    def _alert(self, critical: CriticalResult, record: AnalysisRecord) -> dict[str, Any]:
        subject = critical.analysis_id
        acknowledged, withdrawn = self._ledger.acknowledged_by(subject), self._ledger.retraction(subject)
        held = self._ledger.held(subject) or self._ledger.held(record.analysis.orthanc_study_id)
        return {
            "alert_id": subject,
            "study_instance_uid": record.analysis.study_instance_uid,
            "orthanc_study_id": record.analysis.orthanc_study_id,
            "model_id": record.analysis.model_id,
            "model_version": record.analysis.model_version,
            "finding": _finding(record.answer),
            "sentence": None if record.answer is None else record.answer.sentence,
            "category": critical.category,
            "found_at": _time(critical.found_at),
            "state": critical.state,
            "reason": _reason(critical.reason),
            "acknowledged": None if acknowledged is None else {
                "by": acknowledged.by, "at": _time(acknowledged.at), "method": acknowledged.method,
                "channel": acknowledged.channel},
            "held": None if held is None else {
                "by": held.by, "at": _time(held.at), "why": "held" if held.subject == subject else "final report known"},
            "withdrawn": None if withdrawn is None else {
                "kind": withdrawn.kind, "by": withdrawn.by, "at": _time(withdrawn.at)},
            "deliveries": [self._delivery(item) for item in self._alerts_of(subject)],
            "notifications": [
                {"step": note.step + 1, "channel": note.channel, "method": note.method, "state": note.state,
                 "attempts": note.attempts, "at": _time(note.at), "next_at": _time(note.next_at), "reason": _reason(note.reason)}
                for note in self._ledger.notifications(subject)],
        }

    def _delivery(self, delivery: DeliveryRecord) -> dict[str, Any]:
        accepted = self._ledger.acknowledgement(delivery.delivery_id)
        return {
            "delivery_id": delivery.delivery_id, "destination": delivery.destination, "purpose": delivery.purpose,
            "state": delivery.state,
            "attempts": delivery.attempts, "next_at": _time(delivery.next_attempt_at),
            "finished_at": _time(delivery.finished_at), "reason": _reason(delivery.reason),
            "accepted": None if accepted is None else accepted.code,
        }

    def _alerts_of(self, analysis_id: str) -> list[DeliveryRecord]:
        return [item for item in self._ledger.deliveries(analysis_id) if item.kind == "hl7"]

    def _communications(self, critical: CriticalResult, record: AnalysisRecord) -> Iterator[Communication]:
        def row(to: str, method: str, at: datetime | None, outcome: str, by: str = "", received: datetime | None = None,
                teller: str = TELLER) -> Communication:
            return Communication(
                critical.analysis_id, record.analysis.study_instance_uid, _finding(record.answer) or "",
                "" if critical.category is None else str(critical.category), _time(critical.found_at) or "", teller, to,
                METHODS[method], _time(at) or "", outcome, by, _time(received) or "")

        for delivery in self._alerts_of(critical.analysis_id):
            accepted = self._ledger.acknowledgement(delivery.delivery_id)
            outcome = _outcome_of(delivery) if accepted is None else f"{_outcome_of(delivery)} ({accepted.code})"
            yield row(delivery.destination, "hl7", delivery.finished_at or delivery.last_attempt_at, outcome)
        for note in self._ledger.notifications(critical.analysis_id):
            if note.method != "hl7":  # those stand above, with what became of them
                yield row(note.channel, note.method, note.at, _outcome(note))
        acknowledged = self._ledger.acknowledged_by(critical.analysis_id)
        if acknowledged is not None:
            yield row(acknowledged.channel or "", acknowledged.method, None, "received", acknowledged.by, acknowledged.at)


def _outcome_of(delivery: DeliveryRecord) -> str:
    return f"withdrawal {delivery.state}" if delivery.purpose == RETRACTION else delivery.state


def _outcome(note: Notification) -> str:
    told = "withdrawal " if note.step < 0 else ""
    return told + (note.state if note.reason is None or note.state == "sent" else f"{note.state}: {note.reason.text}")


def _finding(answer: Answer | None) -> str | None:
    return None if answer is None else ", ".join(item.concept.meaning for item in answer.grave_findings) or None


def _reason(reason: Reason | None) -> dict[str, str] | None:
    return None if reason is None else {"category": reason.category.value, "text": reason.text}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
