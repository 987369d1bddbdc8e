"""Several findings of one model: each object tells each, and none as present that is not."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from result_cases import MAIN, MASS, OEDEMA, TRIAGE_ONLY, several
from result_files import read

from vigil.domain import codes
from vigil.domain.answer import Answer, AnswerKind, gravest_parts_first
from vigil.domain.manifest import PermittedOutput
from vigil.results import wording
from vigil.results.card import COLUMN_WIDTH, draw_card
from vigil.results.key_slices import located
from vigil.results.make import make_results
from vigil.results.objects import Role
from vigil.results.options import ResultOptions
from vigil.results.parts import layout_of
from vigil.results.request import ResultRequest

PRESENCES = {codes.PRESENT.value, codes.ABSENT.value, codes.INDETERMINATE.value, codes.NOT_ANALYSED.value}
EXPECTED = {
    MAIN.value: codes.ABSENT.value, MASS.value: codes.PRESENT.value, OEDEMA.value: codes.INDETERMINATE.value,
}  # fmt: skip


@pytest.fixture(scope="module")
def asked() -> ResultRequest:
    return several().asked


def coded(container: Dataset) -> set[tuple[str, str]]:
    """Concept and presence, wherever they stand in a tree."""
    found = set()
    for item in container.get("ContentSequence", []):
        if item.ValueType == "CODE" and item.ConceptCodeSequence[0].CodeValue in PRESENCES:
            found.add((item.ConceptNameCodeSequence[0].CodeValue, item.ConceptCodeSequence[0].CodeValue))
        found |= coded(item)
    return found


def containers(report: Dataset, name: str) -> list[Dataset]:
    return [item for item in report.ContentSequence if item.ValueType == "CONTAINER"
            and item.ConceptNameCodeSequence[0].CodeMeaning == name]


def test_the_report_says_each_finding_present_or_absent_by_itself(asked: ResultRequest) -> None:
    (report,) = read(asked, Role.REPORT)
    for name in ("Imaging Measurements", "Qualitative Evaluations"):
        (container,) = containers(report, name)
        assert coded(container) == set(EXPECTED.items()), name
    groups = containers(report, "Imaging Measurements")[0].ContentSequence
    tracked = {next(item.UID for item in group.ContentSequence if item.ValueType == "UIDREF") for group in groups}
    assert len(tracked) == 3
    values = {
        next(item.ConceptCodeSequence[0].CodeValue for item in group.ContentSequence
             if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeMeaning == "Finding"): float(number.NumericValue)
        for group in groups for item in group.ContentSequence if item.ValueType == "NUM" for number in item.MeasuredValueSequence
    }
    assert values == {MAIN.value: 12.0, MASS.value: 72.0, OEDEMA.value: 44.0}


def test_what_was_not_analysed_is_neither_present_nor_absent(asked: ResultRequest) -> None:
    (report,) = read(replace(asked, answer=_unseen(asked.answer)), Role.REPORT)
    assert (MAIN.value, codes.NOT_ANALYSED.value) in coded(report)
    assert (MAIN.value, codes.ABSENT.value) not in coded(report)


def _unseen(answer: Answer) -> Answer:
    parts = tuple(replace(part, kind=AnswerKind.NOT_ANALYSED, measured=None, criterion=None) if part.concept == MAIN else part
                  for part in answer.parts)
    return replace(answer, parts=parts)


def test_every_text_tells_every_finding(asked: ResultRequest) -> None:
    (text,) = read(asked, Role.TEXT_REPORT, text_report=True)
    told = {item.ConceptNameCodeSequence[0].CodeMeaning: item.TextValue for item in text.ContentSequence}
    assert told["AI value"].split("\r\n") == [
        "Mass: 72.0 % (threshold 50.0 %)", "Edema: 44.0 % (threshold 50.0 %)",
        "Hyperdense intracranial region: 12.0 % (threshold 50.0 %)"]
    findings = told["AI findings"].split("\r\n")
    assert findings[0].startswith("1. Mass (Brain): POSITIVE, Probability 72.0 %, image ")
    assert findings[1].startswith("2. Edema (Brain): INDETERMINATE, Probability 44.0 %")
    assert findings[2] == "Hyperdense intracranial region: NEGATIVE, 12.0 % (threshold 50.0 %)"
    assert told["Conclusion"] == f"POSITIVE. {asked.answer.sentence}"
    assert told["AI criterion"].count("50.0 %") == 3
    summary = read(asked, Role.SUMMARY)[0]
    assert all(part.sentence in summary.ImageComments for part in asked.answer.parts)


def test_only_the_positive_is_drawn(asked: ResultRequest) -> None:
    assert [item.finding.concept for item in located(asked) if item.key_slice is not None] == [MASS]
    (state,) = read(asked, Role.PRESENTATION_STATE)
    named = [text.UnformattedTextValue for item in state.GraphicAnnotationSequence for text in item.get("TextObjectSequence", [])]
    assert any("Mass" in name for name in named)
    assert not any("Edema" in name for name in named)


def test_the_card_changes_with_every_finding(asked: ResultRequest) -> None:
    drawn = draw_card(asked)
    for other in (MAIN, OEDEMA, MASS):
        parts = tuple(replace(part, concept=codes.BRAIN) if part.concept == other else part for part in asked.answer.parts)
        assert (draw_card(replace(asked, answer=replace(asked.answer, parts=parts))) != drawn).any(), other


def test_sixteen_findings_stand_on_the_card_whole(asked: ResultRequest) -> None:
    negative = asked.answer.parts[0]
    long = [replace(negative, concept=replace(MAIN, meaning=f"Pneumothorax or enlarged mediastinum {n}")) for n in range(13)]
    answer = replace(asked.answer, parts=(*asked.answer.parts, *long))
    layout = layout_of(replace(asked, answer=answer), gravest_parts_first(answer.parts), (COLUMN_WIDTH, 400))
    assert layout.height <= 400
    assert layout.hand.size >= 10


def test_a_clearance_without_numbers_lets_none_of_any_finding_out() -> None:
    asked = several(TRIAGE_ONLY).asked
    for item in make_results(replace(asked, options=ResultOptions(text_report=True))):
        said = _texts(dcmread(BytesIO(item.dicom)))
        for number in ("12.0", "72.0", "44.0"):
            assert number not in said, item.role
    assert "Edema: the model gives no clear answer." in wording.sentence(asked)
    assert "Hyperdense intracranial region: not suspected by the model. This does not exclude it." in wording.sentence(asked)


def test_a_score_is_not_let_out_as_a_measurement() -> None:
    asked = several(frozenset(PermittedOutput) - {PermittedOutput.SCORE}).asked
    for item in make_results(replace(asked, options=ResultOptions(text_report=True))):
        said = _texts(dcmread(BytesIO(item.dicom)))
        assert not any(number in said for number in ("12.0 %", "72.0 %", "44.0 %")), item.role
    (report,) = read(asked, Role.REPORT)
    assert not [item for group in containers(report, "Imaging Measurements")[0].ContentSequence
                for item in group.ContentSequence if item.ValueType == "NUM"]


def _texts(ds: Dataset) -> str:
    return "\n".join(str(element.value) for element in ds.iterall() if element.VR in ("UT", "LT", "ST", "LO", "SH", "DS"))
