"""Each rule of policy has a test that fails when the rule is taken out."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from delivery_cases import answer, manifest

from vigil.delivery.policy import Case, Policy, Stage, Urgency
from vigil.domain.answer import AnswerKind
from vigil.domain.errors import Category
from vigil.results.objects import Role

NOW = dt.datetime(2026, 11, 22, 21, 0, tzinfo=dt.UTC)
POLICY = Policy(installed_at=NOW - dt.timedelta(days=10), max_study_age=dt.timedelta(hours=24))
POSITIVES = frozenset({AnswerKind.POSITIVE})
CASE = Case(
    stage=Stage.LIVE, regulatory=manifest().regulatory, answer=answer(), study_started=NOW - dt.timedelta(minutes=30),
    study_arrived=NOW - dt.timedelta(minutes=10),
)
RESEARCH = manifest(status="research").regulatory


def test_a_live_cleared_model_stores_forwards_and_alerts() -> None:
    assert POLICY.may_store(CASE).allowed
    assert POLICY.may_forward(CASE).allowed
    decision = POLICY.may_alert(CASE, POSITIVES, NOW)
    assert decision.allowed
    assert decision.category is None


@pytest.mark.parametrize("stage", [Stage.OFF, Stage.SHADOW])
def test_nothing_leaves_before_a_model_is_live(stage: Stage) -> None:
    case = replace(CASE, stage=stage, alerted_before=True)
    for decision in (POLICY.may_store(case), POLICY.may_forward(case), POLICY.may_alert(case, POSITIVES, NOW)):
        assert not decision.allowed
        assert decision.category is Category.POLICY


def test_a_research_model_alerts_only_under_a_named_override() -> None:
    case = replace(CASE, regulatory=RESEARCH)
    suppressed = POLICY.may_alert(case, POSITIVES, NOW)
    assert not suppressed.allowed
    assert "override" in suppressed.reason
    assert not POLICY.may_alert(replace(case, override=""), POSITIVES, NOW).allowed
    allowed = POLICY.may_alert(replace(case, override="Dr A. Smith"), POSITIVES, NOW)
    assert allowed.allowed
    assert "Dr A. Smith" in allowed.reason


def test_a_research_model_in_shadow_does_not_alert_though_an_override_is_named() -> None:
    case = replace(CASE, regulatory=RESEARCH, override="Dr A. Smith", stage=Stage.SHADOW)
    assert not POLICY.may_alert(case, POSITIVES, NOW).allowed


def test_a_research_model_that_is_live_is_shown() -> None:
    assert POLICY.may_store(replace(CASE, regulatory=RESEARCH)).allowed


@pytest.mark.parametrize("kind", [kind for kind in AnswerKind if kind is not AnswerKind.POSITIVE])
def test_other_answers_alert_only_where_the_destination_asks_for_them(kind: AnswerKind) -> None:
    case = replace(CASE, answer=answer(kind))
    assert not POLICY.may_alert(case, POSITIVES, NOW).allowed
    assert POLICY.may_alert(case, POSITIVES | {kind}, NOW).allowed


def test_a_destination_that_asks_for_other_kinds_gets_no_positives() -> None:
    assert not POLICY.may_alert(CASE, frozenset({AnswerKind.FAILED}), NOW).allowed


def test_a_model_that_may_not_notify_never_alerts() -> None:
    case = replace(CASE, regulatory=manifest(permitted=["score", "contour"]).regulatory)
    decision = POLICY.may_alert(case, POSITIVES, NOW)
    assert not decision.allowed
    assert "notification" in decision.reason


def test_an_old_study_does_not_alert() -> None:
    assert POLICY.may_alert(replace(CASE, study_started=NOW - dt.timedelta(hours=24)), POSITIVES, NOW).allowed
    decision = POLICY.may_alert(replace(CASE, study_started=NOW - dt.timedelta(hours=24, seconds=1)), POSITIVES, NOW)
    assert not decision.allowed
    assert decision.category is Category.STUDY_TOO_OLD
    assert "MaxStudyAgeHours (24)" in decision.reason


def test_a_study_without_a_date_does_not_alert() -> None:
    decision = POLICY.may_alert(replace(CASE, study_started=None), POSITIVES, NOW)
    assert not decision.allowed
    assert decision.category is Category.STUDY_TOO_OLD


def test_a_study_from_before_the_installation_does_not_alert() -> None:
    case = replace(CASE, study_arrived=POLICY.installed_at - dt.timedelta(seconds=1))
    decision = POLICY.may_alert(case, POSITIVES, NOW)
    assert not decision.allowed
    assert decision.category is Category.STUDY_TOO_OLD
    assert POLICY.may_alert(replace(case, study_arrived=POLICY.installed_at), POSITIVES, NOW).allowed


def test_a_study_of_a_scanner_whose_clock_is_ahead_alerts() -> None:
    assert POLICY.may_alert(replace(CASE, study_started=NOW + dt.timedelta(hours=2)), POSITIVES, NOW).allowed


def test_whoever_was_alerted_is_told_when_the_answer_changes_whatever_it_is_now() -> None:
    case = replace(
        CASE, answer=answer(AnswerKind.NEGATIVE, 1.0), alerted_before=True, study_started=NOW - dt.timedelta(days=3)
    )
    decision = POLICY.may_alert(case, POSITIVES, NOW)
    assert decision.allowed
    assert "corrects" in decision.reason


def test_a_pacs_gets_only_the_kinds_of_answer_it_takes() -> None:
    negative = replace(CASE, answer=answer(AnswerKind.NEGATIVE, 1.0))
    assert POLICY.may_forward(negative).allowed
    assert not POLICY.may_forward(negative, POSITIVES).allowed


@pytest.mark.parametrize(
    ("permitted", "role", "allowed"),
    [
        (["notification"], Role.SEGMENTATION, False),
        (["notification"], Role.KEY_SLICE, False),
        (["notification"], Role.KEY_OBJECTS, False),
        (["location"], Role.KEY_OBJECTS, True),
        (["location"], Role.PRESENTATION_STATE, False),
        (["location"], Role.MULTIFRAME, False),
        (["location"], Role.FULL_SEGMENTATION, False),
        (["contour"], Role.PRESENTATION_STATE, True),
        (["notification"], Role.SUMMARY, True),
        (["location"], Role.SEGMENTATION, False),
        (["location"], Role.KEY_SLICE, True),
        (["contour"], Role.SEGMENTATION, True),
        (["contour"], Role.KEY_SLICE, True),
    ],
)
def test_a_clearance_without_contours_or_locations_shows_none(permitted: list[str], role: Role, allowed: bool) -> None:
    case = replace(CASE, regulatory=manifest(permitted=permitted).regulatory)
    assert POLICY.may_store(case, role).allowed is allowed
    assert POLICY.may_forward(case, role=role).allowed is allowed


@pytest.mark.parametrize(
    ("category", "urgency"),
    [(1, Urgency.STAT), (2, Urgency.ASAP), (3, Urgency.ROUTINE), (None, Urgency.ROUTINE)],
)
def test_urgency_follows_the_acr_category(category: int | None, urgency: Urgency) -> None:
    assert POLICY.urgency(replace(CASE, answer=answer(acr_category=category))) is urgency


def test_a_research_model_is_urgent_only_under_an_override() -> None:
    case = replace(CASE, regulatory=RESEARCH)
    assert POLICY.urgency(case) is Urgency.ROUTINE
    assert POLICY.urgency(replace(case, override="Dr A. Smith")) is Urgency.STAT


def test_only_a_positive_is_urgent() -> None:
    negative = replace(answer(AnswerKind.NEGATIVE, 1.0), findings=answer().findings)
    assert POLICY.urgency(replace(CASE, answer=negative)) is Urgency.ROUTINE


def test_the_gravest_finding_counts() -> None:
    first = answer(acr_category=3)
    both = replace(first, findings=(*first.findings, *answer(acr_category=1).findings))
    assert POLICY.urgency(replace(CASE, answer=both)) is Urgency.STAT
