"""The account that the ledger gives of a study: what was decided, made, sent and told. Read only; no patient data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from vigil.domain.answer import Answer, Finding, Measurement, Part, Reason
from vigil.domain.concepts import Code
from vigil.records.entries import AnalysisRecord, DeliveryRecord
from vigil.records.ledger import Ledger


class Account:
    """Plain dictionaries for the REST routes and the command line."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def analyses(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest analyses, newest first."""
        return [self._analysis(record) for record in self._ledger.recent_analyses(limit)]

    def study(self, study_id: str) -> dict[str, Any]:
        """Everything that is known of a study, by its Orthanc id."""
        state = self._ledger.study_state(study_id)
        return {
            "orthanc_study_id": study_id,
            "known": state is not None,
            "last_image_at": _time(state.touched_at if state else None),
            "evaluated_at": _time(state.evaluated_at if state else None),
            "next_look_at": _time(state.next_look_at if state else None),
            "decisions": [
                {"at": _time(item.at), "model_id": item.model_id, "model_version": item.model_version,
                 "verdict": item.verdict, "reason": _reason(item.reason), "analysis_id": item.analysis_id,
                 "evidence": dict(item.evidence)}
                for item in self._ledger.decisions(study_id)],
            "analyses": [self._analysis(record) for record in self._ledger.analyses(study_id)],
        }

    def _analysis(self, record: AnalysisRecord) -> dict[str, Any]:
        analysis = record.analysis
        return {
            "analysis_id": analysis.analysis_id,
            "orthanc_study_id": analysis.orthanc_study_id,
            "study_instance_uid": analysis.study_instance_uid,
            "correlation_id": analysis.correlation_id,
            "model_id": analysis.model_id,
            "model_version": analysis.model_version,
            "weights_sha256": analysis.weights_sha256,
            "operating_point": analysis.operating_point,
            "settings_sha256": analysis.settings_sha256,
            "images": sum(item.images for item in analysis.inputs),
            "stage": analysis.stage,
            "state": record.state,
            "reason": _reason(record.reason),
            "revision": analysis.revision,
            "predecessor_id": analysis.predecessor_id,
            "superseded_by": record.superseded_by,
            "arrived_at": _time(analysis.arrived_at),
            "created_at": _time(analysis.created_at),
            "answer": _answer(record.answer),
            "objects": [
                {"role": str(item.role), "index": item.index, "sop_class_uid": item.sop_class_uid,
                 "sop_instance_uid": item.sop_instance_uid, "orthanc_id": item.orthanc_id, "stored_at": _time(item.stored_at)}
                for item in self._ledger.objects(analysis.analysis_id)],
            "deliveries": [self._delivery(item) for item in self._ledger.deliveries(analysis.analysis_id)],
        }

    def _delivery(self, delivery: DeliveryRecord) -> dict[str, Any]:
        acknowledged = self._ledger.acknowledgement(delivery.delivery_id)
        return {
            **delivery_account(delivery),
            "statuses": self._ledger.object_statuses(delivery.delivery_id),
            "committed": len(self._ledger.committed_objects(delivery.delivery_id)),
            "acknowledgement": None if acknowledged is None else {
                "code": acknowledged.code, "at": _time(acknowledged.at)},
        }


def delivery_account(delivery: DeliveryRecord) -> dict[str, Any]:
    """What is known of a delivery itself."""
    return {
        "destination": delivery.destination, "kind": delivery.kind, "state": delivery.state,
        "attempts": delivery.attempts, "next_at": _time(delivery.next_attempt_at), "finished_at": _time(delivery.finished_at),
        "reason": _reason(delivery.reason),
    }


def _answer(answer: Answer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    criterion = answer.criterion
    return {
        "kind": answer.kind.value,
        "sentence": answer.sentence,
        "measured": _measured(answer.measured),
        "threshold": None if criterion is None else {"value": criterion.threshold, "unit": criterion.unit.value},
        "reason": _reason(answer.reason),
        "notes": list(answer.notes),
        "findings": [_finding(finding) for finding in answer.findings],
    } | ({"parts": [_part(part) for part in answer.parts]} if answer.parts else {})


def _part(part: Part) -> dict[str, Any]:
    criterion = part.criterion
    return {
        "finding": part.concept.meaning,
        "kind": part.kind.value,
        "sentence": part.sentence,
        "measured": _measured(part.measured),
        "threshold": None if criterion is None else {"value": criterion.threshold, "unit": criterion.unit.value},
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """What was found, and what it is like; of numbers the answer alone tells."""
    return {
        "finding": finding.concept.meaning,
        "site": finding.site.meaning,
        "acr_category": finding.acr_category,
        "laterality": _code(finding.laterality),
        "severity": _code(finding.severity),
    }


def _code(code: Code | None) -> dict[str, str] | None:
    return None if code is None else {"code": code.value, "scheme": code.scheme, "meaning": code.meaning}


def _measured(measured: Measurement | None) -> dict[str, Any] | None:
    return None if measured is None else {"value": measured.value, "unit": measured.unit.value}


def _reason(reason: Reason | None) -> dict[str, str] | None:
    return None if reason is None else {"category": reason.category.value, "text": reason.text}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
