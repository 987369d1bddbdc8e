"""Several findings of one model: each object tells each, and none as present that is not."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from highdicom.sr import MeasurementReport
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from result_cases import MAIN, MASS, OEDEMA, TRIAGE_ONLY, several
from result_files import read

from vigil.domain import codes
from vigil.domain.answer import Answer, AnswerKind, Criterion, Measurement, gravest, gravest_parts_first, joined
from vigil.domain.concepts import Code
from vigil.domain.manifest import PermittedOutput
from vigil.results import wording
from vigil.results.card import COLUMN_WIDTH, draw_card
from vigil.results.errors import RequestContradicts
from vigil.results.key_slices import bearing_slices, captured_slices, located
from vigil.results.legend import legend
from vigil.results.make import make_results
from vigil.results.objects import Role
from vigil.results.options import ResultOptions
from vigil.results.parts import layout_of
from vigil.results.request import ResultRequest

PRESENCES = {codes.PRESENT.value, codes.ABSENT.value, codes.INDETERMINATE.value, codes.NOT_ANALYSED.value}
EXPECTED = {
    MAIN.value: codes.ABSENT.value, MASS.value: codes.PRESENT.value, OEDEMA.value: codes.INDETERMINATE.value,
}  # fmt: skip
EXPECTED_CONCEPTS = (MAIN, MASS, OEDEMA)


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


def values(container: Dataset) -> dict[str, float]:
    """By the concept of the evaluation, or of the group's finding, that holds each number."""
    found = {}
    for item in container.ContentSequence:
        name = item.ConceptNameCodeSequence[0]
        if name.CodeMeaning == "Measurement Group":
            (name,) = (held.ConceptCodeSequence[0] for held in item.ContentSequence
                       if held.ValueType == "CODE" and held.ConceptNameCodeSequence[0].CodeMeaning == "Finding")
        for number in (held for held in item.get("ContentSequence", []) if held.ValueType == "NUM"):
            found[name.CodeValue] = float(number.MeasuredValueSequence[0].NumericValue)
    return found


def groups(report: Dataset) -> list[Dataset]:
    return list(containers(report, "Imaging Measurements")[0].ContentSequence)


def templates(report: Dataset) -> list[str]:
    return [group.ContentTemplateSequence[0].TemplateIdentifier for group in groups(report)]


def test_the_report_says_each_finding_present_or_absent_by_itself(asked: ResultRequest) -> None:
    """A group for what has a place, so that viewers draw it; the others with the evaluations, each with its number and site."""
    (report,) = read(asked, Role.REPORT)
    (measurements,), (evaluations,) = containers(report, "Imaging Measurements"), containers(report, "Qualitative Evaluations")
    assert report.ConceptNameCodeSequence[0].CodeValue == codes.MEASUREMENT_REPORT.value
    assert templates(report) == ["1410", "1411"]
    assert coded(measurements) == {(MASS.value, codes.PRESENT.value)}
    assert coded(evaluations) == set(EXPECTED.items())
    assert values(measurements) == {MASS.value: 72.0}
    assert values(evaluations) == {MAIN.value: 12.0, OEDEMA.value: 44.0}
    for evaluation in (item for item in evaluations.ContentSequence if "ContentSequence" in item):
        site, number = evaluation.ContentSequence
        assert (site.RelationshipType, site.ConceptCodeSequence[0].CodeValue) == ("HAS CONCEPT MOD", codes.BRAIN.value)
        assert number.RelationshipType == "INFERRED FROM"
        assert "Algorithm Name" in {item.ConceptNameCodeSequence[0].CodeMeaning for item in number.ContentSequence}


def test_where_nothing_is_drawn_each_finding_has_a_group() -> None:
    (report,) = read(several(frozenset({PermittedOutput.NOTIFICATION, PermittedOutput.SCORE})).asked, Role.REPORT)
    (measurements,), (evaluations,) = containers(report, "Imaging Measurements"), containers(report, "Qualitative Evaluations")
    assert report.ConceptNameCodeSequence[0].CodeValue == codes.AI_RESULT.value
    assert templates(report) == ["1501"] * 3
    assert coded(measurements) == coded(evaluations) == set(EXPECTED.items())
    assert values(measurements) == {MAIN.value: 12.0, MASS.value: 72.0, OEDEMA.value: 44.0}
    assert values(evaluations) == {}
    assert len({item.UID for group in groups(report) for item in group.ContentSequence if item.ValueType == "UIDREF"}) == 3


def test_beside_a_segment_what_has_none_is_told_without_a_group(asked: ResultRequest) -> None:
    """An indeterminate has a segment and no outline."""
    parts = tuple(part for part in asked.answer.parts if part.concept != MASS)
    found = tuple(finding for finding in asked.answer.findings if finding.concept == OEDEMA)
    grave = gravest(parts)
    answer = Answer(grave.kind, joined(parts), grave.criterion, grave.measured, found, parts=parts)
    (report,) = read(replace(asked, answer=answer), Role.REPORT)
    assert report.ConceptNameCodeSequence[0].CodeValue == codes.AI_RESULT.value
    assert templates(report) == ["1411"]
    assert values(containers(report, "Imaging Measurements")[0]) == {OEDEMA.value: 44.0}
    assert values(containers(report, "Qualitative Evaluations")[0]) == {MAIN.value: 12.0}


def test_an_independent_library_finds_the_groups_of_what_is_drawn(asked: ResultRequest) -> None:
    (made,) = (item for item in make_results(asked) if item.role is Role.REPORT)
    content = MeasurementReport.from_sequence([dcmread(BytesIO(made.dicom))])
    assert len(content.get_planar_roi_measurement_groups()) == len(content.get_volumetric_roi_measurement_groups()) == 1
    assert content.get_image_measurement_groups() == []


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


def test_the_legend_tells_the_score_of_what_is_drawn_where_scores_may_leave(asked: ResultRequest) -> None:
    told = [entry.text for entry in legend(asked)]
    assert told[0].startswith("Mass, 72.0 %, image ")
    assert not any("Edema" in text or "44.0" in text for text in told)
    kept = frozenset(PermittedOutput) - {PermittedOutput.SCORE}
    assert not any("72.0" in entry.text for entry in legend(several(kept).asked))
    alone = frozenset(PermittedOutput) - {PermittedOutput.MEASUREMENT}
    assert legend(several(alone).asked)[0].text.startswith("Mass, 72.0 %")


def test_key_slices_are_those_of_the_positive_alone(asked: ResultRequest) -> None:
    """The indeterminate one is elsewhere: slices that only it is in are not captured."""
    mask = asked.masks["hyperdense"]
    elsewhere = np.zeros_like(mask)
    elsewhere[0, 10:20, 10:20] = True
    positive, other = asked.answer.findings
    apart = replace(asked, masks={"hyperdense": mask, "other": elsewhere}, answer=replace(asked.answer, findings=(
        positive, replace(other, region="other", key_slices=(0,)))))
    assert bearing_slices(apart) == {int(index) for index in np.flatnonzero(mask.any(axis=(1, 2)))}
    assert 0 not in captured_slices(apart)
    both = replace(apart, answer=replace(apart.answer, findings=(positive, replace(
        apart.answer.findings[1], kind=AnswerKind.POSITIVE))))
    assert 0 in captured_slices(both)


def test_the_card_changes_with_every_finding(asked: ResultRequest) -> None:
    drawn = draw_card(asked)
    for other in (MAIN, OEDEMA, MASS):
        parts = tuple(replace(part, concept=codes.BRAIN) if part.concept == other else part for part in asked.answer.parts)
        assert (draw_card(replace(asked, answer=replace(asked.answer, parts=parts))) != drawn).any(), other


def with_values(asked: ResultRequest, of: Code, value: float) -> ResultRequest:
    """Another number, and not a word else."""
    parts = tuple(replace(part, measured=Measurement(codes.PROBABILITY, value, codes.PERCENT)) if part.concept == of else part
                  for part in asked.answer.parts)
    return replace(asked, answer=replace(asked.answer, parts=parts))


def test_the_card_tells_the_number_of_every_finding(asked: ResultRequest) -> None:
    drawn = draw_card(asked)
    for concept in EXPECTED_CONCEPTS:
        assert (draw_card(with_values(asked, concept, 47.0)) != drawn).any(), concept


def test_nothing_is_outlined_that_is_not_positive() -> None:
    """Neither on the card nor on the key slices: the indeterminate one's place makes no difference there, a positive's does."""
    asked = several(matrix=384).asked
    mask = asked.masks["hyperdense"]
    beside = np.zeros_like(mask)
    beside[mask.any(axis=(1, 2)), 20:60, 20:60] = True
    positive, other = asked.answer.findings

    def pictures(kind: AnswerKind, region: str | None) -> list[NDArray[np.uint8]]:
        findings = (positive, replace(other, region=region, key_slices=(), kind=kind))
        made = replace(asked, masks={"hyperdense": mask, "beside": beside}, answer=replace(asked.answer, findings=findings))
        return [draw_card(made), *(item.pixel_array for item in read(made, Role.KEY_SLICE))]

    without, indeterminate = pictures(AnswerKind.INDETERMINATE, None), pictures(AnswerKind.INDETERMINATE, "beside")
    found = pictures(AnswerKind.POSITIVE, "beside")
    assert len(without) == len(indeterminate) > 1
    for place, (one, same) in enumerate(zip(without, indeterminate, strict=True)):
        assert (one == same).all(), place
    assert (found[0] != without[0]).any()
    told = read(asked, Role.KEY_SLICE), read(with_values(asked, MASS, 73.0), Role.KEY_SLICE)
    assert any((one.pixel_array != other.pixel_array).any() for one, other in zip(*told, strict=True)), "its value is told there"


def test_what_was_looked_for_is_followed_apart_and_names_its_own_threshold(asked: ResultRequest) -> None:
    parts = tuple(
        replace(part, kind=AnswerKind.NEGATIVE, criterion=Criterion("default", codes.PROBABILITY, threshold, codes.PERCENT))
        for part, threshold in zip(asked.answer.parts, (30.0, 50.0, 70.0), strict=True))
    grave = gravest(parts)
    negative = replace(asked, masks={}, answer=Answer(AnswerKind.NEGATIVE, joined(parts), grave.criterion, grave.measured,
                                                      parts=parts))
    (report,) = read(negative, Role.REPORT)
    assert templates(report) == ["1501"] * 3
    tracked = {(item.UID, name.TextValue) for group in groups(report) for item in group.ContentSequence
               for name in group.ContentSequence if item.ValueType == "UIDREF"
               and name.ConceptNameCodeSequence[0].CodeMeaning == "Tracking Identifier"}
    assert len({uid for uid, _ in tracked}) == len({name for _, name in tracked}) == 3
    for group in groups(report):
        rules = [item.TextValue for item in group.ContentSequence
                 if item.ConceptNameCodeSequence[0].CodeMeaning == "Algorithm Parameters"]
        assert "threshold of Mass: Probability 50 %, positive at or above" in rules
        assert "threshold of Edema: Probability 70 %, positive at or above" in rules


def test_a_certainty_of_any_finding_is_a_percentage(asked: ResultRequest) -> None:
    with pytest.raises(RequestContradicts, match="120 %"):
        make_results(with_values(asked, MAIN, 120.0))


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


@pytest.mark.parametrize(("permitted", "leaves", "stays"), [
    (PermittedOutput.SCORE, ("72.0", "44.0"), "19.9"), (PermittedOutput.MEASUREMENT, ("19.9",), "72.0"),
])
def test_of_each_finding_its_number_leaves_where_its_kind_of_number_may(
    permitted: PermittedOutput, leaves: tuple[str, ...], stays: str
) -> None:
    """The main one is negative by a volume, the others are decided by scores."""
    asked = several(frozenset({PermittedOutput.NOTIFICATION, permitted})).asked
    volume = Measurement(codes.HYPERDENSE_VOLUME, 19.9, codes.MILLILITRE)
    main = replace(asked.answer.parts[0], measured=volume, sentence="A volume of 19.9 mL.",
                   criterion=Criterion("default", codes.HYPERDENSE_VOLUME, 25.0, codes.MILLILITRE))
    asked = replace(asked, answer=replace(asked.answer, parts=(main, *asked.answer.parts[1:])))
    for item in make_results(replace(asked, options=ResultOptions(text_report=True))):
        said = _texts(dcmread(BytesIO(item.dicom)))
        assert stays not in said, item.role
        if item.role in (Role.REPORT, Role.TEXT_REPORT):
            assert all(number in said for number in leaves), item.role
    (report,) = read(asked, Role.REPORT)
    told = values(containers(report, "Imaging Measurements")[0])
    assert told == ({MASS.value: 72.0, OEDEMA.value: 44.0} if permitted is PermittedOutput.SCORE else {MAIN.value: 19.9})


def _texts(ds: Dataset) -> str:
    return "\n".join(str(element.value) for element in ds.iterall() if element.VR in ("UT", "LT", "ST", "LO", "SH", "DS"))
