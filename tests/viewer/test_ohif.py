"""A radiologist opens the study in OHIF, in a real browser, from an Orthanc that knows nothing of Vigil."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from viewer.conftest import Look, Open, Seen

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]

MANY = 1000
FEW = 20


def test_a_positive_study_shows_all_that_was_found_and_where(positive: Path, open_study: Open) -> None:
    document = dcmread(positive / "results" / "report-1.dcm")
    region, volume_ml = drawn_region(document), measured(document)
    image = f"I:{referenced_image(region, positive / 'images').InstanceNumber} ("
    measurement = f"Hyperdense intracranial volume: {volume_ml:.2f} mL"
    looks = [Look("summary"), Look("key slices"), Look("report", measurement), Look("segmentation", scroll_to=image)]
    seen = open_study(positive, looks)
    assert_nothing_went_wrong(seen)
    assert [text.split(" | ")[0] for text in seen["thumbnails"]] == ["CT", "OT", "OT", "SEG", "SR"]
    assert all(text.split(" | ")[1].startswith("AI ") for text in seen["thumbnails"][1:])
    assert seen["first"]["coloured"] <= FEW  # what follows is ours

    summary, key_slices, report, segmentation = seen["items"]
    assert summary["colours"]["banner"] > MANY
    assert summary["colours"]["positive"] > MANY
    assert key_slices["coloured"] > MANY  # banner and contour; their thin lines are smoothed into other yellows
    assert "(1/12)" in key_slices["text"]
    assert image in report["text"]
    assert measurement in report["text"]
    (contour,) = report["contours"]
    assert shape(np.array(contour)) == pytest.approx(shape(np.array(region.GraphicData).reshape(-1, 2)), abs=0.02)
    assert image in segmentation["text"]
    assert segmentation["coloured"] > MANY


def test_a_negative_study_shows_its_summary_and_the_report_as_text(negative: Path, open_study: Open) -> None:
    seen = open_study(negative, [Look("summary"), Look("report", "Qualitative Evaluations")])
    assert_nothing_went_wrong(seen)
    summary, report = seen["items"]
    assert summary["colours"]["banner"] > MANY
    assert summary["colours"]["negative"] > MANY
    assert summary["colours"]["positive"] <= FEW
    told = re.search(r"Hyperdense intracranial volume: ([0-9.]+) mL", report["text"])
    assert told is not None
    assert float(told[1]) == pytest.approx(measured(dcmread(negative / "results" / "report-1.dcm")), abs=0.001)
    assert "Hyperdense intracranial region: Absent" in report["text"]
    assert "NEGATIVE" in report["text"]
    assert "Comment: AI RESULT - NOT FOR PRIMARY DIAGNOSIS" in report["text"]


def test_a_study_that_was_not_analysed_says_so_in_the_viewer(not_analysed: Path, open_study: Open) -> None:
    seen = open_study(not_analysed, [Look("summary"), Look("report", "Qualitative Evaluations")])
    assert_nothing_went_wrong(seen)
    summary, report = seen["items"]
    assert summary["colours"]["banner"] > MANY
    assert summary["colours"]["positive"] + summary["colours"]["negative"] <= FEW
    assert "NOT ANALYSED. A slice is missing" in report["text"]
    assert "This is NOT a negative result." in report["text"]


def assert_nothing_went_wrong(seen: Seen) -> None:
    assert seen["faults"] == []
    for view in (seen["first"], *seen["items"]):
        assert "went wrong" not in view["text"]


def items(ds: Dataset) -> list[Dataset]:
    return [found for item in ds.get("ContentSequence") or [] for found in (item, *items(item))]


def drawn_region(document: Dataset) -> Dataset:
    (region,) = [item for item in items(document) if item.ValueType == "SCOORD"]
    return region


def referenced_image(region: Dataset, images: Path) -> Dataset:
    wanted = region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    return next(ds for ds in map(dcmread, sorted(images.glob("*.dcm"))) if ds.SOPInstanceUID == wanted)


def measured(document: Dataset) -> float:
    (number,) = [item for item in items(document) if item.ValueType == "NUM"]
    return float(number.MeasuredValueSequence[0].NumericValue)


def shape(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points without where and how large they are drawn: the viewer only moves and enlarges."""
    centred = points - points.mean(axis=0)
    return np.asarray(centred / np.abs(centred).max())
