"""How severe a finding is, from the manifest through the pipeline: of a positive, of what was all seen, where the clearance lets
it out; and of nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dense_site import CODE, Opener, Site, install, manifest
from pydantic import ValidationError

from vigil.domain.answer import Answer, AnswerKind
from vigil.domain.codes import MILD, MODERATE, SEVERE
from vigil.domain.concepts import Code
from vigil.domain.manifest import Manifest, PermittedOutput
from vigil.imaging.declared_side import DeclaredSide
from vigil.imaging.volume import Volume
from vigil.inference.decide import finding_of, judge
from vigil.inference.qualify import Shown, at_least, qualified
from vigil.records.account import Account

NOWHERE = Shown(Volume(np.zeros((1, 1, 1), np.float32), np.eye(4)), {}, DeclaredSide.NONE, is_ct=True)
POINTS = {"default": {"positive": 5.0, "indeterminate": 3.0}}


def scale(*lowest: float) -> dict[str, Any]:
    return {"unit": "mL", "grades": [
        {"code": {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}, "from": value}
        for code, value in zip((MILD, MODERATE, SEVERE), lowest, strict=True)]}


@pytest.fixture
def site(opener: Opener, tmp_path: Path) -> Callable[..., Site]:
    """With a model that finds 12 mL."""
    return lambda *grades: opener.open(
        install(tmp_path / "models", "dense", points=POINTS, severity=scale(*grades)), {"dense": {"Stage": "live"}})


def test_a_positive_is_graded_by_what_it_was_decided_on_and_the_account_tells_it(site: Callable[..., Site]) -> None:
    started = site(5.0, 10.0, 30.0)
    _, answer = started.answer("SIEMENS")
    assert [finding.severity for finding in answer.findings] == [MODERATE]
    told, = Account(started.ledger).analyses()
    finding, = told["answer"]["findings"]
    assert finding == {"finding": "Dense", "site": "Dense", "acr_category": None, "laterality": None, "severity": {
        "code": "6736007", "scheme": "SCT", "meaning": "Moderate"}}


@pytest.mark.parametrize(("grades", "told"), [((5.0, 10.0, 30.0), None), ((5.0, 6.0, 10.0), SEVERE)], ids=["middle", "gravest"])
def test_of_a_part_of_a_study_only_the_gravest_grade_is_told(
    site: Callable[..., Site], grades: tuple[float, ...], told: Code | None
) -> None:
    _, answer = site(*grades).answer("SIEMENS", lacking=2)
    assert answer.kind is AnswerKind.POSITIVE
    assert any("Only a part of the study" in note for note in answer.notes)
    assert [finding.severity for finding in answer.findings] == [told]


def described(*outputs: PermittedOutput, **finding: Any) -> Manifest:
    made = manifest("dense", b"", {"severity": scale(3.0, 10.0, 30.0), **finding}, {} if "measured" in finding else POINTS)
    made["regulatory"]["permitted_outputs"] = list(outputs)
    return Manifest.model_validate(made)


def answered(value: float, of: Manifest, *notes: str) -> Answer:
    judgement = judge(value, of.decided[0], "default")
    return qualified(judgement.answer((finding_of(judgement, of.finding, None, ()),), notes), of, NOWHERE)


@pytest.mark.parametrize(("value", "kind", "told"), [
    (12.0, AnswerKind.POSITIVE, MODERATE), (29.96, AnswerKind.POSITIVE, SEVERE), (4.0, AnswerKind.INDETERMINATE, None),
    (1.0, AnswerKind.NEGATIVE, None)])
def test_only_a_positive_is_severe_and_as_the_value_is_told(value: float, kind: AnswerKind, told: Code | None) -> None:
    answer = answered(value, described(PermittedOutput.MEASUREMENT))
    assert (answer.kind, answer.findings[0].severity) == (kind, told)


def test_what_is_only_measured_may_be_graded_too() -> None:
    of = described(PermittedOutput.MEASUREMENT, measured="{value}", positive="", negative="", indeterminate="")
    assert [answered(value, of).findings[0].severity for value in (2.0, 12.0)] == [None, MODERATE]


@pytest.mark.parametrize("outputs", [
    (PermittedOutput.NOTIFICATION,), (PermittedOutput.NOTIFICATION, PermittedOutput.SCORE, PermittedOutput.LOCATION)])
def test_a_clearance_without_measurements_lets_no_severity_out(outputs: tuple[PermittedOutput, ...]) -> None:
    assert answered(12.0, described(*outputs)).findings[0].severity is None


def test_where_the_images_end_inside_only_the_gravest_grade_is_told() -> None:
    of, note = described(PermittedOutput.MEASUREMENT), "The value may be larger: the images end inside 'dense'."
    assert [answered(value, of, note).findings[0].severity for value in (12.0, 40.0)] == [None, SEVERE]
    assert at_least(answered(12.0, of), of).findings[0].severity is None


def test_a_finding_that_the_manifest_does_not_know_has_no_grade() -> None:
    of = described(PermittedOutput.MEASUREMENT)
    answer = answered(12.0, of)
    other = replace(answer, findings=(replace(answer.findings[0], concept=Code("Y", "99T", CODE["meaning"]), severity=None),))
    assert qualified(other, of, NOWHERE).findings[0].severity is None


def test_a_manifest_whose_grades_do_not_fit_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"finding\.severity begins at 5\.1"):
        described(PermittedOutput.MEASUREMENT, severity=scale(5.1, 10.0, 30.0))


def test_each_of_several_findings_is_graded_by_its_own_scale_and_only_where_it_is_positive() -> None:
    other = {"value": "X-OTHER", "scheme": "99T", "meaning": "Other"}
    made = manifest("dense", b"", {"severity": scale(3.0, 10.0, 30.0)}, POINTS)
    made["measurements"].append({"name": "count", "kind": "count", "region": "dense"})
    made["further_findings"] = [made["finding"] | {
        "concept": other, "decided_by": "count", "unit": "1", "operating_points": POINTS,
        "severity": scale(1.0, 6.0, 100.0) | {"unit": "1"}}]
    of = Manifest.model_validate(made)
    judged = [judge(value, decided, "default") for value, decided in zip((12.0, 4.0), of.decided, strict=True)]
    findings = tuple(replace(finding_of(one, decided.entry, None, ()), kind=one.kind)
                     for one, decided in zip(judged, of.decided, strict=True))
    answer = judged[0].answer(findings)
    assert [finding.severity for finding in qualified(answer, of, NOWHERE).findings] == [MODERATE, None]
    positive = replace(findings[1], kind=AnswerKind.POSITIVE)
    assert qualified(replace(answer, findings=(positive,)), of, NOWHERE).findings[0].severity == MILD
    with pytest.raises(ValidationError, match=r"further_findings\[0\].severity.unit is 'mL'"):
        Manifest.model_validate(made | {"further_findings": [made["further_findings"][0] | {"severity": scale(1.0, 6.0, 100.0)}]})
    bound = {"default": POINTS["default"] | {"for": {"manufacturers": ["ge"]}}}
    with pytest.raises(ValidationError, match=r"'for' stands in the points of the main finding"):
        Manifest.model_validate(made | {"further_findings": [made["further_findings"][0] | {"operating_points": bound}]})
