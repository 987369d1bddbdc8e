"""How severe a finding is, in an ORU^R01: coded in the group of its finding, in words, replaced and taken back; and its side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hl7
import pytest
from delivery_cases import PROFILE, alert, answer

from vigil.delivery.hl7.alert import Alert, AlertKind
from vigil.delivery.hl7.conformance import faults
from vigil.delivery.hl7.message import write
from vigil.delivery.hl7.profile import Version
from vigil.domain.answer import Answer, AnswerKind, Part
from vigil.domain.codes import LEFT, MILD, MODERATE, RIGHT, SEVERE
from vigil.domain.concepts import Code

SEVERITY = "246112005^Severity^SCT"


def graded(*severities: Code | None) -> Answer:
    """A finding for each."""
    plain = answer()
    return replace(plain, findings=tuple(replace(plain.findings[0], severity=severity) for severity in severities))


def observations(made: Alert, **profile: Any) -> list[list[str]]:
    used = replace(PROFILE, **profile)
    content = write(made, used).content
    assert faults(content, used) == ()
    return [[str(part) for part in segment] + [""] * 20 for segment in hl7.parse(content.decode()).segments("OBX")]


def coded(made: Alert, **profile: Any) -> list[tuple[str, str, str, str]]:
    """Type, group, value and status of each severity."""
    return [(values[2], values[4], values[5], values[11]) for values in observations(made, **profile) if values[3] == SEVERITY]


@pytest.mark.parametrize(("version", "kind"), [(Version.V251, "CWE"), (Version.V24, "CE"), (Version.V231, "CE")])
def test_a_severity_is_coded_beside_the_value_that_it_is_of(version: Version, kind: str) -> None:
    assert coded(alert(answer=graded(MODERATE)), version=version) == [(kind, "1", "6736007^Moderate^SCT", "R")]


def test_each_of_several_findings_has_its_own_in_its_group() -> None:
    made = alert(answer=graded(MILD, SEVERE))
    assert coded(made) == [("CWE", "2", "255604002^Mild^SCT", "R"), ("CWE", "3", "24484000^Severe^SCT", "R")]
    values = {values[4] for values in observations(made) if values[2] == "NM"}
    assert {"2", "3"} <= values, "the groups are those of their numbers"
    lines = [values[5] for values in observations(made) if values[2] == "TX"]
    assert any(line.startswith("Finding 1:") and "severity mild" in line for line in lines)
    assert any(line.startswith("Finding 2:") and "severity severe" in line for line in lines)
    assert "everity" not in lines[0], "each finding has a line"


def test_the_words_tell_it_after_the_sentence() -> None:
    lines = " ".join(values[5] for values in observations(alert(answer=graded(SEVERE))) if values[2] == "TX")
    assert "at or above the threshold of 5.0 mL. Severity severe." in lines


def test_the_side_is_told_in_words() -> None:
    found = answer().findings[0]
    one = replace(answer(), findings=(replace(found, laterality=LEFT),))
    two = replace(answer(), findings=(replace(found, laterality=LEFT, severity=MILD), replace(found, laterality=RIGHT)))
    for made, told in ((one, "threshold of 5.0 mL. Left."), (two, ", left, severity mild, ACR"), (two, ", right, ACR")):
        assert told in " ".join(values[5] for values in observations(alert(answer=made)) if values[2] == "TX")


def test_of_a_model_of_several_findings_each_has_it_in_its_own_group_and_line() -> None:
    """The first is negative, and so its group tells none."""
    first, second = answer(AnswerKind.NEGATIVE, 1.0), answer()
    lesion = Code("X-LESION", "99MINE", "Lesion")
    found = replace(second.findings[0], concept=lesion, kind=AnswerKind.POSITIVE, severity=SEVERE, laterality=LEFT)
    parts = tuple(
        Part(concept, found.category, found.site, made.kind, made.sentence, made.measured, made.criterion)
        for concept, made in ((second.findings[0].concept, first), (lesion, second)))
    made = replace(second, findings=(found,), parts=parts)
    assert coded(alert(answer=made)) == [("CWE", "2", "24484000^Severe^SCT", "R")]
    told, = [values for values in observations(alert(answer=made)) if values[3] == SEVERITY]
    assert told[8] == "AA"
    lines = [values[5] for values in observations(alert(answer=made)) if values[2] == "TX"]
    assert [line for line in lines if "severity" in line] == [
        "Finding 1: Lesion, Brain: suspected, 19.9 mL (threshold 5.0 mL), left, severity severe, ACR category 1."]
    both = replace(made, findings=(replace(second.findings[0], kind=AnswerKind.POSITIVE), replace(found, acr_category=None)))
    both = replace(both, parts=(replace(parts[0], kind=AnswerKind.POSITIVE), parts[1]))
    told, = [values for values in observations(alert(answer=both)) if values[3] == SEVERITY]
    assert told[8] == "A", "beside a finding of category 1"
    corrected = alert(AlertKind.CORRECTION, cause="x", answer=graded(MILD), replaces=made)
    assert coded(corrected) == [("CWE", "1", "255604002^Mild^SCT", "R"), ("CWE", "2", "", "D")]


def test_none_is_said_where_none_is_known_or_values_are_not_wanted() -> None:
    assert coded(alert()) == []
    assert coded(alert(answer=graded(MILD)), values=False) == []


@pytest.mark.parametrize(("now", "told"), [
    (graded(SEVERE), [("CWE", "1", "24484000^Severe^SCT", "R")]), (graded(None), [("CWE", "1", "", "D")]),
    (answer(AnswerKind.NEGATIVE, 1.0), [("CWE", "1", "", "D")]),
    (graded(MODERATE, MILD), [("CWE", "2", "6736007^Moderate^SCT", "R"), ("CWE", "3", "255604002^Mild^SCT", "R"),
                              ("CWE", "1", "", "D")]),
], ids=["another", "none any more", "negative", "several"])
def test_a_correction_replaces_it_in_its_place_or_deletes_it(now: Answer, told: list[tuple[str, str, str, str]]) -> None:
    assert coded(alert(AlertKind.CORRECTION, revision=2, cause="x", answer=now, replaces=graded(MILD))) == told


def test_a_message_that_takes_back_names_it_without_a_value() -> None:
    assert coded(alert(AlertKind.WITHDRAWAL, cause="x", answer=graded(MILD))) == [("CWE", "1", "", "D")]
    assert coded(alert(AlertKind.WRONG_PATIENT, cause="x", answer=graded(MILD))) == [("CWE", "1", "", "W")]


def test_a_correction_leaves_no_line_of_a_longer_text_behind() -> None:
    """With its severity the sentence before had three lines."""
    long = replace(graded(MILD), sentence="Found. " * 56 + "Here.")
    headlines = [values[4] for values in observations(alert(answer=long)) if values[4] in ("1", "1.1.2", "1.1.3", "1.1.4")
                 and values[2] == "TX"]
    assert headlines == ["1", "1.1.2", "1.1.3"]
    corrected = observations(alert(AlertKind.CORRECTION, cause="x", answer=answer(AnswerKind.NEGATIVE, 1.0), replaces=long))
    assert [values[11] for values in corrected if values[4] == "1.1.3"] == ["D"]
