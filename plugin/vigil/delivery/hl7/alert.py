"""What one message is to say: an analysis and its answer, about a patient, to somebody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydicom import Dataset

from vigil.domain.answer import Analysis, Answer, AnswerKind, Finding
from vigil.domain.concepts import Code
from vigil.domain.manifest import Manifest, PermittedOutput, RegulatoryStatus


class AlertKind(StrEnum):
    RESULT = "result"
    CORRECTION = "correction"
    """A new answer that replaces one sent before."""
    WITHDRAWAL = "withdrawal"
    """The answer sent before no longer stands, and none replaces it."""
    WRONG_PATIENT = "wrong-patient"
    """The answer sent before was of another patient."""
    NOT_ANALYSED = "not-analysed"


@dataclass(frozen=True)
class Alert:
    """One message, frozen: the same alert gives the same bytes (law 4).

    ``patient_study``: header of the analysis's reference image, for patient, order and study. ``created_at`` (with its
    zone) becomes MSH-7. ``report_uid``: SOP Instance UID of the SR, None where none was made. ``override``: the name
    of who allowed a research model to alert at this site. ``cause``: why a result is corrected or withdrawn, for people.
    """

    analysis: Analysis
    answer: Answer
    manifest: Manifest
    patient_study: Dataset
    filler_order_number: str
    control_id: str
    created_at: datetime
    revision: int = 1
    kind: AlertKind = AlertKind.RESULT
    report_uid: str | None = None
    override: str | None = None
    cause: str = ""
    replaces: Answer | None = None
    """The answer that this receiver was told before, where a correction replaces one: what it said and this one does not is
    deleted."""

    def __post_init__(self) -> None:
        if self.created_at.tzinfo is None:
            raise ValueError("created_at needs a time zone")
        if self.kind is AlertKind.NOT_ANALYSED and self.answer.kind.analysed:
            raise ValueError("an alert 'not-analysed' needs an answer 'not-analysed' or 'failed'")
        if self.kind is AlertKind.RESULT and not self.answer.kind.analysed:
            raise ValueError("an answer 'not-analysed' or 'failed' is no result: its alert is of kind 'not-analysed'")

    @property
    def research(self) -> bool:
        return self.manifest.regulatory.status is RegulatoryStatus.RESEARCH

    @property
    def retracts(self) -> bool:
        """Whether the message only takes back."""
        return self.kind in (AlertKind.WITHDRAWAL, AlertKind.WRONG_PATIENT)

    @property
    def before(self) -> Answer | None:
        """What the receiver was told before, where this message takes it back or replaces it."""
        return self.answer if self.retracts else self.replaces

    @property
    def acr_category(self) -> int | None:
        """The gravest ACR category of a positive answer."""
        if self.answer.kind is not AnswerKind.POSITIVE:
            return None
        return min((item.acr_category for item in self.answer.findings if item.acr_category), default=None)

    @property
    def tells_numbers(self) -> bool:
        """Whether the model's clearance lets the numbers out that sentence and notes bear, of several findings of each; a
        triage-only one says that, never how much."""
        measured = [part.measured for part in self.answer.parts] or [self.answer.measured]
        known = [item for item in measured if item is not None]
        if known:
            return all(self.lets_out(item.concept) for item in known)
        return bool(self.manifest.regulatory.permitted_outputs & {PermittedOutput.MEASUREMENT, PermittedOutput.SCORE})

    def lets_out(self, concept: Code) -> bool:
        """Whether a number of this concept may leave: a score where scores may, any other where measurements may."""
        return self.manifest.regulatory.lets_out(concept)


def gravest_first(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """ACR category 1 before 2 before 3 before none; else in the order in which the model told them."""
    ungraded = 4
    return tuple(sorted(findings, key=lambda finding: finding.acr_category or ungraded))
