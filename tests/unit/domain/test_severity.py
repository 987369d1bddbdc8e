"""Grades of a finding: ordered, without a gap, in the unit of what decides; and how they are said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from vigil.domain.answer import Answer, AnswerKind, Finding, Part
from vigil.domain.codes import CERTAINTY_OF_FINDING, MILD, MODERATE, RIGHT_AND_LEFT, SEVERE, VOLUME
from vigil.domain.concepts import Code
from vigil.domain.manifest import FindingEntry, OperatingPoint
from vigil.domain.manifest.severity import insist_severity_fits
from vigil.domain.qualities import followed_by, qualities_of

CODE = Code("X", "99T", "Lesion")
FINDING = Finding(CODE, CODE, CODE, ())
SENTENCES = {"positive": "p", "negative": "n", "indeterminate": "i"}


def written(code: Code) -> dict[str, str]:
    return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}


def grades(*lowest: float) -> list[dict[str, Any]]:
    return [{"code": written(code), "from": value} for code, value in zip((MILD, MODERATE, SEVERE), lowest, strict=False)]


def entry(unit: str = "mL", measurement: Code = VOLUME, made: list[dict[str, Any]] | None = None, **more: Any) -> FindingEntry:
    return FindingEntry.model_validate({
        "concept": written(CODE), "category": written(CODE), "site": written(CODE), "measurement": written(measurement),
        "unit": "mL", "severity": {"unit": unit, "grades": grades(1, 10, 30) if made is None else made}, **(more or SENTENCES)})


@pytest.mark.parametrize(("value", "grade"), [
    (0.9, None), (1.0, MILD), (9.9, MILD), (10.0, MODERATE), (29.9, MODERATE), (30.0, SEVERE), (9999.0, SEVERE)])
def test_a_grade_begins_at_its_bound_and_ends_where_the_next_begins(value: float, grade: Code | None) -> None:
    scale = entry().severity
    assert scale is not None
    assert scale.of(value) == grade
    assert scale.gravest == SEVERE


@pytest.mark.parametrize(("made", "why"), [
    (grades(1, 10, 10), "'Severe' must begin above 'Moderate'"), (grades(10, 1), "name the least severe first"),
    (grades(1, 10.05), "with one decimal"), (grades(1), "at least 2 items"),
    (grades(1, float("inf")), "finite"), ([*grades(1), {"code": written(MILD), "from": 2}], "a code of its own"),
    ([{"code": written(MILD)}, {"code": written(MODERATE), "from": 2}], "Field required"),
])
def test_grades_that_cannot_be_told_apart_are_refused(made: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        entry(made=made)


def fit(said: FindingEntry, *positive: float) -> None:
    insist_severity_fits("finding", said, {f"at {value:g}": OperatingPoint(positive=value) for value in positive})


@pytest.mark.parametrize(("said", "points", "why"), [
    (entry(unit="mm"), (1.0,), "finding.severity.unit is 'mm', and the finding is told in 'mL'"),
    (entry(), (5.0, 0.5), "operating point 'at 0.5' is positive from 0.5 on; begin at that or lower"),
    (entry(), (10.0, 12.0), "'Mild' can never be told"),
    (entry(measurement=CERTAINTY_OF_FINDING), (1.0,), "how certain the model is, not how severe"),
])
def test_grades_that_do_not_fit_the_finding_are_refused(said: FindingEntry, points: tuple[float, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fit(said, *points)


def test_grades_that_fit_are_taken() -> None:
    fit(entry(), 1.0, 12.0)
    fit(entry(measured="{value}"))


def test_what_a_finding_is_like_follows_the_sentence() -> None:
    mild = replace(FINDING, severity=MILD)
    assert said([mild]) == "Found. Severity mild."
    assert said([mild, replace(FINDING, concept=Code("Y", "99T", "Cyst"), severity=SEVERE)]) == (
        "Found. Lesion: severity mild. Cyst: severity severe.")
    assert said([replace(mild, laterality=RIGHT_AND_LEFT)]) == "Found. Right and left, severity mild."
    assert said([FINDING]) == said([]) == "Found"
    part = Part(CODE, CODE, CODE, AnswerKind.POSITIVE, "p")
    assert said([mild], part) == "Found. Lesion: severity mild.", "of several findings each by its name, also one alone"
    assert qualities_of(CODE, Answer(AnswerKind.POSITIVE, "p", findings=(mild,), parts=(part,))) == ("severity mild",)
    assert qualities_of(Code("Y", "99T", "Cyst"), Answer(AnswerKind.POSITIVE, "p", findings=(mild,), parts=(part,))) == ()


def said(findings: list[Finding], *parts: Part) -> str:
    return followed_by("Found", Answer(AnswerKind.POSITIVE, "p", findings=tuple(findings), parts=parts))
