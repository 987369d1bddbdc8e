"""What a finding is like, in report, text and sentence, read by readers that are not ours."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from result_cases import CASES, Case

from validators.dcmqi import tid1500reader
from validators.dicom3tools import dciodvfy
from vigil.domain.answer import AnswerKind
from vigil.domain.codes import HYPERDENSE_REGION, LEFT, MODERATE, RIGHT, SEVERE, SEVERITY
from vigil.domain.manifest.laterality import Laterality
from vigil.results import wording
from vigil.results.structured_report import structured_report
from vigil.results.text_report import text_report


@pytest.fixture(scope="module")
def two() -> Case:
    """A severe finding and a mild one, each with segment and outline."""
    return CASES["two findings"]()


def test_an_independent_reader_reads_how_severe_each_finding_is(two: Case, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(structured_report(two.asked).dicom)
    told = [
        (item["ReferencedSegment"], said["conceptValue"]["CodeMeaning"])
        for item in tid1500reader(path)["Measurements"] if "ReferencedSegment" in item
        for said in item["qualitativeEvaluations"]
        if said["conceptCode"]["CodeValue"] in (SEVERITY.value, HYPERDENSE_REGION.value)
    ]
    assert told == [(1, "Present"), (1, "Severe"), (2, "Present"), (2, "Mild")]


def severities(report: Dataset) -> list[str]:
    """Of all groups of measurements."""
    return [
        item.ConceptCodeSequence[0].CodeMeaning for group in groups(report) for item in group.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == SEVERITY.value
    ]  # fmt: skip


def test_an_independent_reader_reads_on_which_side_each_finding_lies(two: Case, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(structured_report(two.asked).dicom)
    read = [(item["FindingSite"]["CodeMeaning"], item["Laterality"]["CodeValue"]) for item in tid1500reader(path)["Measurements"]]
    assert read == [("Brain", RIGHT.value)] * 2 + [("Brain", LEFT.value)] * 2, "outline and segment of each"


def texts(container: Dataset) -> list[str]:
    """Of all items, whatever their depth."""
    own = [str(container.TextValue)] if "TextValue" in container else []
    return own + [text for item in container.get("ContentSequence") or () for text in texts(item)]


def test_it_is_told_once_of_a_finding_beside_its_numbers(two: Case) -> None:
    assert severities(dcmread(BytesIO(structured_report(two.asked).dicom))) == ["Severe", "Mild"]


@pytest.mark.parametrize("kind", [AnswerKind.POSITIVE, AnswerKind.MEASURED])
def test_one_finding_says_it_after_its_sentence_everywhere(kind: AnswerKind) -> None:
    asked = CASES[kind.value]().asked
    finding, = asked.answer.findings
    asked = replace(asked, answer=replace(asked.answer, findings=(
        replace(finding, severity=MODERATE, laterality=LEFT),)))
    assert wording.sentence(asked).endswith(". Left, severity moderate.")
    report = dcmread(BytesIO(structured_report(asked).dicom))
    assert severities(report) == ["Moderate"]
    assert any(text.endswith("Left, severity moderate.") for text in texts(report))
    text = dcmread(BytesIO(text_report(asked).dicom))
    told = {item.ConceptNameCodeSequence[0].CodeMeaning: str(item.TextValue) for item in text.ContentSequence}
    assert told["Conclusion"].endswith("Left, severity moderate.")
    assert ", left, severity moderate," in told["AI findings"]


def test_of_a_model_of_several_findings_each_is_told_by_its_name(tmp_path: Path) -> None:
    """One of them has no group of its own: what it is like stands with its evaluation."""
    asked = CASES["several findings"]().asked
    grouped, alone = asked.answer.findings
    asked = replace(asked, answer=replace(asked.answer, findings=(
        replace(grouped, severity=SEVERE, laterality=LEFT), replace(alone, severity=MODERATE, laterality=RIGHT))))
    assert wording.sentence(asked).endswith(
        f"{grouped.concept.meaning}: left, severity severe. {alone.concept.meaning}: right, severity moderate.")
    lines = [wording.part_words(asked, part) for part in asked.answer.parts]
    assert [line.rpartition("), ")[2] for line in lines[1:]] == ["left, severity severe", "right, severity moderate"]
    assert "everity" not in lines[0]
    path = tmp_path / "report.dcm"
    path.write_bytes(structured_report(asked).dicom)
    assert dciodvfy(path).clean
    report = dcmread(path)
    assert severities(report) == ["Severe"]
    (evaluations,) = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "C0034375"]
    (own,) = [item for item in evaluations.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == alone.concept.value]
    site, severity = own.ContentSequence[:2]
    assert (severity.RelationshipType, severity.ConceptCodeSequence[0].CodeMeaning) == ("HAS PROPERTIES", "Moderate")
    assert site.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning == "Right"


@pytest.mark.parametrize("name", ["boxes 512", "boxes on a radiograph"])
def test_the_side_of_a_finding_is_not_told_of_each_of_its_boxes(name: str) -> None:
    """One of them may lie on the other side; of one box alone it is told. How severe the finding is, is told once."""
    asked = CASES[name]().asked
    finding, = asked.answer.findings
    asked = replace(asked, answer=replace(asked.answer, findings=(replace(finding, severity=SEVERE, laterality=LEFT),)))
    one = replace(asked, boxes={region: boxes[:1] for region, boxes in asked.boxes.items()})
    assert len(asked.boxes[finding.region or ""]) > 1
    for made, told in ((asked, [False]), (one, [True])):
        report = dcmread(BytesIO(structured_report(made).dicom))
        assert severities(report) == ["Severe"]
        drawn = {sided(group) for group in groups(report) if any(item.ValueType == "SCOORD" for item in group.ContentSequence)}
        assert list(drawn) == told
        assert all(sided(group) for group in groups(report) if any(item.ValueType == "IMAGE" for item in group.ContentSequence))


def test_what_may_reach_across_has_its_side_with_the_segment_and_not_with_an_outline(two: Case) -> None:
    """With bilateral_share up to half of a finding on the left may lie on the right, and be the largest on the key slice."""
    asked = two.asked
    by = Laterality.model_validate({"from": "geometry", "margin_mm": 5, "bilateral_share": 0.4})
    for rule, outlines in ((by, {False}), (by.model_copy(update={"bilateral_share": None}), {True})):
        ruled = asked.manifest.model_copy(update={"finding": asked.manifest.finding.model_copy(update={"laterality": rule})})
        report = dcmread(BytesIO(structured_report(replace(asked, manifest=ruled)).dicom))
        drawn = {kind: {sided(group) for group in groups(report) if any(item.ValueType == kind for item in group.ContentSequence)}
                 for kind in ("SCOORD", "IMAGE")}
        assert drawn == {"SCOORD": outlines, "IMAGE": {True}}


def groups(report: Dataset) -> list[Dataset]:
    (measurements,) = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"]
    return list(measurements.ContentSequence)


def sided(group: Dataset) -> bool:
    """Whether the finding's site has a side in this group."""
    return any(child.ConceptNameCodeSequence[0].CodeValue == "272741003"
               for item in group.ContentSequence for child in item.get("ContentSequence") or ())


def test_without_one_nothing_is_said_of_it() -> None:
    asked = CASES["positive"]().asked
    assert "everity" not in wording.sentence(asked)
    assert severities(dcmread(BytesIO(structured_report(asked).dicom))) == []
