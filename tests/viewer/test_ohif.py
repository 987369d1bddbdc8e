"""A radiologist opens the study in OHIF, in a real browser, from an Orthanc that knows nothing of Vigil."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from viewer.conftest import Look, Open, Seen
from vigil.results.picture import colour_of

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(600)]

SHOWN = {"CT", "OT", "SEG", "SR"}
"""What this viewer opens; key objects and presentation states are listed as unsupported."""
Written = Callable[[str], Path]
MANY = 1000
FEW = 20


def test_a_positive_study_shows_all_that_was_found_and_where(positive: Path, open_study: Open) -> None:
    document = dcmread(positive / "results" / "report-1.dcm")
    (region,) = drawn_regions(document)
    volume_ml = measured(document)
    image = f"I:{referenced_image(region, positive / 'images').InstanceNumber} ("
    measurement = f"Hyperdense intracranial volume: {volume_ml:.2f} mL"
    looks = [Look("summary"), Look("key slices"), Look("report", measurement), Look("segmentation", scroll_to=image)]
    seen = open_study(positive, looks)
    assert_nothing_went_wrong(seen)
    modalities = [text.split(" | ")[0] for text in seen["thumbnails"]]
    assert [modality for modality in modalities if modality in SHOWN] == ["CT", "OT", "OT", "SEG", "SR"]
    assert all(text.split(" | ")[1].startswith("AI ") for text in seen["thumbnails"][1:])
    assert seen["first"]["coloured"] <= FEW  # what follows is ours

    summary, key_slices, report, segmentation = seen["items"]
    assert summary["colours"]["banner"] > MANY
    assert summary["colours"]["positive"] > MANY
    assert key_slices["coloured"] > MANY  # banner and contour; their thin lines are smoothed into other yellows
    captured = len(list((positive / "results").glob("key-slice-*.dcm")))
    assert f"(1/{captured})" in key_slices["text"]
    assert image in report["text"]
    assert measurement in report["text"]
    (contour,) = report["contours"]
    assert shape(np.array(contour)) == pytest.approx(shape(points(region)), abs=0.02)
    assert image in segmentation["text"]
    across = np.ptp(np.array(contour), axis=0) / np.ptp(points(region), axis=0)
    shown = mask_pixels(dcmread(positive / "results" / "segmentation-1.dcm"), region) * float(np.prod(across))
    assert 0.8 * shown < segmentation["coloured"] < 1.5 * shown
    assert hue(segmentation["tint"]) == pytest.approx(hue(colour_of(1)), abs=0.15)


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


def test_a_study_that_was_not_analysed_says_so_in_the_viewer(phantom_study: Written, open_study: Open) -> None:
    looks = [Look("summary"), Look("1.0.0 report", "Qualitative Evaluations"), Look("text report", "AI standing of this result")]
    seen = open_study(phantom_study("not-analysed"), looks)
    assert_nothing_went_wrong(seen)
    summary, report, flat = seen["items"]
    assert summary["colours"]["banner"] > MANY
    assert summary["colours"]["positive"] + summary["colours"]["negative"] <= FEW
    assert "AI answer: NOT ANALYSED" in flat["text"]
    assert "AI model: Hyperdense volume on CT head 1.0.0" in flat["text"]
    assert "NOT ANALYSED. A slice is missing" in report["text"]
    assert "This is NOT a negative result." in report["text"]


@pytest.mark.parametrize("name", ["two findings", "multi-frame"])
def test_the_report_opens_where_the_finding_is_in_images_of_other_kinds(
    name: str, phantom_study: Written, open_study: Open
) -> None:
    folder = phantom_study(name)
    document = dcmread(folder / "report-0.dcm")
    regions, first = drawn_regions(document), numbers(document)[0]
    label = f"{first.ConceptNameCodeSequence[0].CodeMeaning}: {float(first.MeasuredValueSequence[0].NumericValue):.2f}"
    seen = open_study(folder, [Look("1.0.0 report", label)])
    assert_nothing_went_wrong(seen)
    (report,) = seen["items"]
    assert label in report["text"]
    assert len(regions) == (2 if name == "two findings" else 1)
    drawn = [shape(np.array(contour)) for contour in report["contours"]]
    wanted = shape(points(regions[0]))
    assert any(len(line) == len(wanted) and np.abs(line - wanted).max() < 0.02 for line in drawn)
    if name == "multi-frame":
        frame = regions[0].ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber
        assert f"({frame}/{dcmread(folder / 'image-000.dcm').NumberOfFrames})" in report["text"]


def test_of_a_radiograph_the_capture_shows_what_the_viewer_does_not_draw(phantom_study: Written, open_study: Open) -> None:
    """OHIF 3.12 opens the report on the image and draws nothing there: it draws in frames of reference alone."""
    seen = open_study(phantom_study("radiograph"), [Look("summary"), Look("key slices"), Look("1.0.0 report")])
    assert_nothing_went_wrong(seen)
    summary, capture, report = seen["items"]
    assert summary["colours"]["positive"] > MANY
    assert capture["coloured"] > MANY
    assert "Chest PA" in report["text"]
    assert report["lit"] > MANY


def assert_nothing_went_wrong(seen: Seen) -> None:
    assert seen["faults"] == []
    for view in (seen["first"], *seen["items"]):
        assert "went wrong" not in view["text"]


def items(ds: Dataset) -> list[Dataset]:
    return [found for item in ds.get("ContentSequence") or [] for found in (item, *items(item))]


def drawn_regions(document: Dataset) -> list[Dataset]:
    return [item for item in items(document) if item.ValueType == "SCOORD"]


def points(region: Dataset) -> NDArray[np.float64]:
    return np.array(region.GraphicData, float).reshape(-1, 2)


def mask_pixels(segmentation: Dataset, region: Dataset) -> int:
    """Of the frame that was derived from the image of a region."""
    wanted = region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    for frame, pixels in zip(segmentation.PerFrameFunctionalGroupsSequence, segmentation.pixel_array, strict=True):
        if frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID == wanted:
            return int(pixels.sum())
    raise AssertionError("the segmentation has no frame of that image")


def hue(rgb: Sequence[float]) -> list[float]:
    """The colour without how light it is and how much grey shines through."""
    low, high = min(rgb), max(rgb)
    return [(part - low) / (high - low) for part in rgb]


def referenced_image(region: Dataset, images: Path) -> Dataset:
    wanted = region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    return next(ds for ds in map(dcmread, sorted(images.glob("*.dcm"))) if ds.SOPInstanceUID == wanted)


def numbers(document: Dataset) -> list[Dataset]:
    return [item for item in items(document) if item.ValueType == "NUM"]


def measured(document: Dataset) -> float:
    (number,) = numbers(document)
    return float(number.MeasuredValueSequence[0].NumericValue)


def shape(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points without where and how large they are drawn: the viewer only moves and enlarges."""
    centred = points - points.mean(axis=0)
    return np.asarray(centred / np.abs(centred).max())
