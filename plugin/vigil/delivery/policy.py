"""May this leave? Pure decisions over what is known of an analysis, asked before storing and before every delivery."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from vigil.domain.answer import Answer, AnswerKind
from vigil.domain.errors import Category
from vigil.domain.manifest import PermittedOutput, Regulatory, RegulatoryStatus
from vigil.results.objects import Role

_DRAWN = frozenset({Role.MULTIFRAME, Role.FULL_SEGMENTATION, Role.PRESENTATION_STATE})


class Stage(StrEnum):
    """How far a model has come at this site: not run, run in silence, or in use."""

    OFF = "off"
    SHADOW = "shadow"
    LIVE = "live"


class Urgency(StrEnum):
    """How an alert is marked: by the ACR category of its gravest finding, minutes or hours; else routine."""

    STAT = "stat"
    ASAP = "asap"
    ROUTINE = "routine"


@dataclass(frozen=True)
class Decision:
    """``reason`` stands in ledger and audit, whichever way it went. ``category`` names a refusal, None where allowed."""

    allowed: bool
    reason: str
    category: Category | None = None


@dataclass(frozen=True)
class Case:
    """What policy looks at. ``override``: the name of who allowed this research model to alert at this site, None or
    empty where nobody did. Times carry their zone. ``study_started``: None where the images do not say.
    ``alerted_before``: an alert on this study by this model was sent to this destination, so that silence now would
    leave a wrong word standing.
    """

    stage: Stage
    regulatory: Regulatory
    answer: Answer
    study_started: datetime | None
    study_arrived: datetime
    override: str | None = None
    alerted_before: bool = False


@dataclass(frozen=True)
class Policy:
    """``installed_at``: the watermark set at installation. ``max_study_age``: setting MaxStudyAgeHours."""

    installed_at: datetime
    max_study_age: timedelta

    def may_store(self, case: Case, role: Role | None = None) -> Decision:
        """May a result object (of ``role``, or any) be stored in Orthanc, where people see it?"""
        if (refusal := _stage_refuses(case)) is not None:
            return refusal
        permitted = case.regulatory.permitted_outputs
        if role is Role.SEGMENTATION and PermittedOutput.CONTOUR not in permitted:
            return _no("the model's permitted outputs have no 'contour': no segmentation is shown")
        if role in _DRAWN and PermittedOutput.CONTOUR not in permitted:
            return _no("the model's permitted outputs have no 'contour': nothing is drawn")
        if role is Role.KEY_OBJECTS and PermittedOutput.LOCATION not in permitted:
            return _no("the model's permitted outputs have no 'location': no image is pointed out")
        if role is Role.KEY_SLICE and not permitted & {PermittedOutput.CONTOUR, PermittedOutput.LOCATION}:
            return _no("the model's permitted outputs have neither 'contour' nor 'location': no slice is pointed out")
        return Decision(True, "the model is live")

    def may_forward(
        self, case: Case, answer_kinds: Set[AnswerKind] = frozenset(AnswerKind), role: Role | None = None
    ) -> Decision:
        """May a result object go to a PACS that takes these kinds of answer?"""
        decision = self.may_store(case, role)
        if decision.allowed and case.answer.kind not in answer_kinds:
            return _no(f"the destination does not take answers of kind '{case.answer.kind}'")
        return decision

    def may_alert(self, case: Case, answer_kinds: Set[AnswerKind], now: datetime) -> Decision:
        """May a message go to a destination that asked for these kinds of answer?

        A correction of an alert that was sent (``alerted_before``) is not held back by the answer's kind or the
        study's age: whoever was told of a positive is told when it no longer stands.
        """
        if (refusal := _stage_refuses(case)) is not None:
            return refusal
        research = case.regulatory.status is RegulatoryStatus.RESEARCH
        if research and not case.override:
            return _no("a research model alerts only where the site names an override, and none is set")
        if PermittedOutput.NOTIFICATION not in case.regulatory.permitted_outputs:
            return _no("the model's permitted outputs have no 'notification'")
        if case.alerted_before:
            return Decision(True, "corrects an alert that was sent before")
        if case.answer.kind not in answer_kinds:
            return _no(f"the destination did not ask for answers of kind '{case.answer.kind}'")
        if case.study_arrived < self.installed_at:
            return _too_old("the study arrived before Vigil was installed")
        if case.study_started is None:
            return _too_old("the images do not say when the study was made, so it cannot be known to be recent")
        if now - case.study_started > self.max_study_age:
            hours = self.max_study_age.total_seconds() / 3600
            return _too_old(f"the study is older than MaxStudyAgeHours ({hours:g})")
        allowed = f"live, and the destination asks for answers of kind '{case.answer.kind}'"
        return Decision(True, f"{allowed}; research model, allowed by {case.override}" if research else allowed)

    def urgency(self, case: Case) -> Urgency:
        """STAT for ACR category 1, ASAP for category 2; a research model without override is never urgent."""
        if case.answer.kind is not AnswerKind.POSITIVE:
            return Urgency.ROUTINE
        if case.regulatory.status is RegulatoryStatus.RESEARCH and not case.override:
            return Urgency.ROUTINE
        return {1: Urgency.STAT, 2: Urgency.ASAP}.get(gravest_category(case.answer) or 0, Urgency.ROUTINE)


def gravest_category(answer: Answer) -> int | None:
    """The gravest ACR category among the findings of an answer: 1 before 2 before 3."""
    return min((finding.acr_category for finding in answer.findings if finding.acr_category is not None), default=None)


def _stage_refuses(case: Case) -> Decision | None:
    if case.stage is Stage.OFF:
        return _no("the model is switched off")
    if case.stage is Stage.SHADOW:
        return _no("the model runs in shadow: its answer is kept in the ledger and goes nowhere")
    return None


def _no(reason: str) -> Decision:
    return Decision(False, reason, Category.POLICY)


def _too_old(reason: str) -> Decision:
    return Decision(False, reason, Category.STUDY_TOO_OLD)
