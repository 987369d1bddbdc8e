"""What an early analysis is worth when the last word on its study is due."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from vigil.domain.answer import Analysis, Answer, AnswerKind, Part, Reason, unanswered
from vigil.domain.concepts import Code
from vigil.domain.errors import Category
from vigil.intake.appraise import Appraisal, Verdict
from vigil.pipeline.early import Standing, may_begin, standing
from vigil.records.entries import AnalysisRecord

EARLY = Analysis(
    analysis_id="a", orthanc_study_id="s", study_instance_uid="1.2", model_id="m", model_version="1", weights_sha256="w",
    operating_point="default", renderer_version="1", settings_sha256="x", inputs_sha256="i", inputs=(),
    created_at=dt.datetime(2026, 11, 26, tzinfo=dt.UTC), correlation_id="c", stage="live",
    refusal=Reason(Category.STILL_ARRIVING, "36 of the 40 images that the scanner declared have arrived"))
POSITIVE = AnalysisRecord(EARLY, "stored", Answer(AnswerKind.POSITIVE, "Found."), None, None)


def worth(record: AnalysisRecord, inputs: str = "i", weights: str = "w", point: str = "default") -> Standing:
    return standing(record, inputs, weights, point, complete=True)


def test_what_an_early_positive_left_open_of_several_findings_is_answered_when_the_study_is_complete() -> None:
    code = Code("1", "99T", "One")
    found = Part(code, code, code, AnswerKind.POSITIVE, "One.")
    early = replace(POSITIVE, answer=Answer(AnswerKind.POSITIVE, "One.", parts=(found, unanswered(found, "more may come"))))
    assert worth(early) is Standing.NONE
    assert standing(early, "i", "w", "default", complete=False) is Standing.SUFFICES
    whole = replace(POSITIVE, answer=Answer(AnswerKind.POSITIVE, "One.", parts=(found, replace(found, kind=AnswerKind.NEGATIVE))))
    assert worth(whole) is Standing.SUFFICES


def test_a_positive_of_the_very_same_inputs_is_not_made_twice() -> None:
    assert worth(POSITIVE) is Standing.SUFFICES


@pytest.mark.parametrize("other", [{"inputs": "more"}, {"weights": "new"}, {"point": "sensitive"}])
def test_an_early_answer_of_anything_else_is_made_anew(other: dict[str, str]) -> None:
    assert worth(POSITIVE, **other) is Standing.NONE


def test_one_that_runs_is_waited_for_and_one_that_ended_in_silence_is_worth_nothing() -> None:
    assert worth(replace(POSITIVE, answer=None, state="running")) is Standing.RUNS
    assert worth(replace(POSITIVE, answer=None, state="ended-early")) is Standing.NONE
    assert worth(replace(POSITIVE, superseded_by="b")) is Standing.NONE
    assert worth(replace(POSITIVE, analysis=replace(EARLY, refusal=None))) is Standing.NONE


def test_none_begins_without_a_stack_or_a_second_time() -> None:
    waiting = Appraisal(Verdict.WAITING, Reason(Category.INCOMPLETE, "more may come"), stacks=(object(),))  # type: ignore[arg-type]
    assert may_begin(waiting, [], "m") == Reason(Category.STILL_ARRIVING, "more may come")
    assert may_begin(waiting, [POSITIVE], "m") is None
    assert may_begin(waiting, [POSITIVE], "another") is not None
    assert may_begin(replace(waiting, stacks=()), [], "m") is None
    assert may_begin(replace(waiting, verdict=Verdict.WANTED), [], "m") is None
