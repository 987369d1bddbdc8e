"""Promises an alert to a RIS: once, with its place in the outbox."""

from __future__ import annotations

from vigil.delivery.policy import gravest_category
from vigil.domain.answer import Analysis, AnswerKind
from vigil.domain.clock import Clock
from vigil.domain.identity import delivery_id
from vigil.intake.header import read_dataset
from vigil.pipeline.deliver import ALERT, ris_queue
from vigil.pipeline.engine import Task
from vigil.pipeline.reference import References
from vigil.records.entries import ASAP, ROUTINE, STAT, AnalysisRecord
from vigil.records.ledger import Ledger


class AlertPromises:
    """By the storer for every RIS, and by a step of a ladder for the RIS that it tells."""

    def __init__(self, *, references: References, ledger: Ledger, clock: Clock) -> None:
        self._references = references
        self._ledger = ledger
        self._clock = clock

    def promise(self, record: AnalysisRecord, destination: str) -> Task:
        """The task that brings it out; the same one where it was promised before."""
        analysis = record.analysis
        identity = delivery_id(destination, analysis.analysis_id, analysis.revision)
        if self._ledger.delivery(identity) is None:
            self._ledger.begin_delivery(
                identity, destination, "hl7", analysis.analysis_id, analysis.revision, self._clock.now(),
                priority=self._priority(record), order_key=self._order_key(analysis))
        return Task(ALERT, identity, ris_queue(destination))

    def _priority(self, record: AnalysisRecord) -> int:
        """What corrects an urgent alert is as urgent as that was."""
        own = _priority(record)
        before = record.analysis.predecessor_id
        predecessor = None if before is None else self._ledger.analysis(before)
        return own if predecessor is None else min(own, _priority(predecessor))

    def _order_key(self, analysis: Analysis) -> str:
        """The same for all messages of an order: of one accession number, else placer order number, else study. Keyed, for it
        stands in clear and order numbers can be guessed."""
        reference = self._references.head(analysis)
        order = ""
        if reference is not None:
            header = read_dataset(reference)
            order = str(header.get("AccessionNumber") or header.get("PlacerOrderNumberImagingServiceRequest") or "").strip()
        return self._ledger.order_key("order", order) if order else self._ledger.order_key("study", analysis.orthanc_study_id)


def _priority(record: AnalysisRecord) -> int:
    answer = record.answer
    if answer is None or answer.kind is not AnswerKind.POSITIVE:
        return ROUTINE
    return {1: STAT, 2: ASAP}.get(gravest_category(answer) or 0, ROUTINE)
