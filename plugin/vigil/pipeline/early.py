"""A positive may leave while a study still waits for its last images; no other answer may (law 2).

The network is run once for a study and model before the study is complete, so that its cost is bounded: when what is here
suffices for the model and nothing arrived for Orthanc's StableAge. What comes after the rest supersedes the early answer;
where no more comes, the early answer is the last word and nothing is made twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from vigil.domain.answer import AnswerKind, Reason
from vigil.domain.errors import Category
from vigil.intake.appraise import Appraisal, Verdict
from vigil.pipeline.look import OF_A_PART, is_early
from vigil.records.entries import UNFINISHED_ANALYSIS, AnalysisRecord

ASK_AGAIN = timedelta(seconds=2)
"""When the early analysis of the same images is not at its end."""


class Standing(Enum):
    """What an early analysis is worth for the last word on a study."""

    NONE = "none"
    RUNS = "runs"
    SUFFICES = "suffices"


def may_begin(appraisal: Appraisal, analyses: list[AnalysisRecord], model_id: str) -> Reason | None:
    """Why an early analysis is only an early one; None where none is to begin. ``analyses``: all of the study."""
    reason = appraisal.reason
    if appraisal.verdict is not Verdict.WAITING or appraisal.stack is None or reason is None or reason.category not in OF_A_PART:
        return None
    if any(record.analysis.model_id == model_id for record in analyses):
        return None
    return Reason(Category.STILL_ARRIVING, reason.text)


def due_at(quiet_since: datetime, stable_age_s: float) -> datetime:
    return quiet_since + timedelta(seconds=stable_age_s)


def standing(
    record: AnalysisRecord, inputs_sha256: str, weights_sha256: str, operating_point: str, *, complete: bool
) -> Standing:
    """Of the newest analysis of the study and model, for one of these inputs that is due now. ``complete``: nothing is missing,
    so that what an early positive left open of several findings can be answered now."""
    early = record.analysis
    same = (early.inputs_sha256, early.weights_sha256, early.operating_point) == (inputs_sha256, weights_sha256, operating_point)
    if not same or not is_early(early) or record.superseded_by is not None:
        return Standing.NONE
    if record.answer is not None:
        leaves_open = complete and any(not part.kind.analysed for part in record.answer.parts)
        return Standing.SUFFICES if record.answer.kind is AnswerKind.POSITIVE and not leaves_open else Standing.NONE
    return Standing.RUNS if record.state in UNFINISHED_ANALYSIS else Standing.NONE
