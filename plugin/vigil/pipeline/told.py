"""What a receiver was told of a study by a model, and whether that was replaced: every message of one order follows from it."""

from __future__ import annotations

from vigil.domain.answer import Analysis, Answer, AnswerKind
from vigil.pipeline.look import is_early
from vigil.records.entries import AnalysisRecord, DeliveryRecord
from vigil.records.ledger import Ledger


def told_before(ledger: Ledger, destination: str, analysis: Analysis) -> Answer | None:
    """The answer that this destination was told last, or may have been, of the analyses that this one supersedes. None where that
    was taken back since: what follows is no correction."""
    before = analysis.predecessor_id
    while before is not None and ledger.retraction(before) is None:
        record = ledger.analysis(before)
        if record is not None and record.answer is not None and destination in ledger.told(before):
            return record.answer
        before = None if record is None else record.analysis.predecessor_id
    return None


def newer_analyses(ledger: Ledger, record: AnalysisRecord) -> list[AnalysisRecord]:
    """Those that supersede it, one after the other."""
    found: list[AnalysisRecord] = []
    later = None if record.superseded_by is None else ledger.analysis(record.superseded_by)
    while later is not None:
        found.append(later)
        later = None if later.superseded_by is None else ledger.analysis(later.superseded_by)
    return found


def newest_answer(ledger: Ledger, record: AnalysisRecord) -> Answer | None:
    """The last that was said in its place; None where nothing was, but that it could not be made."""
    answers = [later.answer for later in newer_analyses(ledger, record) if later.analysis.stage != "shadow"]
    return next((answer for answer in reversed(answers) if answer is not None and answer.kind.analysed), None)


def told_newer(ledger: Ledger, destination: str, record: AnalysisRecord) -> bool:
    """Whether this destination was told the answer of an analysis that supersedes this one."""
    return any(destination in ledger.told(later.analysis.analysis_id) for later in newer_analyses(ledger, record))


def takes_back(ledger: Ledger, delivery: DeliveryRecord) -> bool:
    """Whether a message replaces a positive, or one of several, by what is none: to keep it back would leave a wrong word
    standing."""
    record = ledger.analysis(delivery.analysis_id)
    return record is not None and replaces_a_positive(ledger, delivery.destination, record)


def replaces_a_positive(ledger: Ledger, destination: str, record: AnalysisRecord) -> bool:
    if record.answer is None:
        return False
    before = told_before(ledger, destination, record.analysis)
    return before is not None and before.withdrawn_by(record.answer)


def goes_on(early: AnalysisRecord, later: AnalysisRecord) -> bool:
    """Whether a later analysis is the last word on the very images of which an early positive was told, and finds the same: then
    nobody is told anew."""
    before, after = early.answer, later.answer
    return (before is not None and after is not None and is_early(early.analysis) and not is_early(later.analysis)
            and before.kind is after.kind is AnswerKind.POSITIVE and bool(before.parts)
            and early.analysis.inputs_sha256 == later.analysis.inputs_sha256 and before.positives == after.positives)
