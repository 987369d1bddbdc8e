"""The presentation state: the contours of the captures as graphics over the source, in the same colours."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom import Dataset
from result_cases import CASES, headers, request, study
from result_files import read

from hospital.ct_series import Patient
from validators.dicom3tools import dciodvfy
from validators.tools import from_system
from vigil.results.key_slices import bearing_slices
from vigil.results.objects import Role
from vigil.results.picture import colour_of
from vigil.results.request import ResultRequest


def state(asked: ResultRequest) -> Dataset:
    (ds,) = read(asked, Role.PRESENTATION_STATE)
    return ds


def filled(annotation: Dataset, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """What the polylines of an annotation enclose, painted by Pillow at four times the size."""
    picture = Image.new("1", (shape[1] * 4, shape[0] * 4))
    for graphic in annotation.GraphicObjectSequence:
        points = np.array(graphic.GraphicData, float).reshape(-1, 2)
        assert (points[0] == points[-1]).all()
        ImageDraw.Draw(picture).polygon([(x * 4, y * 4) for x, y in points.tolist()], fill=1)
    return np.asarray(picture, bool)[2::4, 2::4]


@pytest.mark.parametrize("name", ["two findings", "oblique latin-1 512", "multi-frame", "radiograph inverted"])
def test_each_outline_encloses_the_mask_on_the_image_that_it_is_drawn_on(name: str) -> None:
    asked = CASES[name]().asked
    by_layer = {f"AI FINDING {number}": mask for number, mask in enumerate(asked.masks.values(), start=1)}
    places = {(str(source.SOPInstanceUID), asked.frame(index)): index for index, source in enumerate(asked.sources)}
    seen: dict[str, set[int]] = {layer: set() for layer in by_layer}
    for annotation in state(asked).GraphicAnnotationSequence[1:]:
        (image,) = annotation.ReferencedImageSequence
        index = places[str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber")]
        mask = by_layer[annotation.GraphicLayer][index]
        assert np.count_nonzero(filled(annotation, mask.shape) ^ mask) <= 0.06 * mask.sum() + 3
        seen[annotation.GraphicLayer].add(index)
    assert seen == {layer: set(np.flatnonzero(mask.any(axis=(1, 2))).tolist()) for layer, mask in by_layer.items()}


def test_layers_and_tracking_are_those_of_segment_and_report() -> None:
    asked = CASES["two findings"]().asked
    ds = state(asked)
    (outlined,) = read(asked, Role.SEGMENTATION)
    tracking = {segment.TrackingUID for segment in outlined.SegmentSequence}
    graphics = [graphic for item in ds.GraphicAnnotationSequence[1:] for graphic in item.GraphicObjectSequence]
    assert {graphic.TrackingUID for graphic in graphics} == tracking
    for number, layer in enumerate(ds.GraphicLayerSequence[1:], start=1):
        colour = CIELabColor.from_dicom_value(layer.GraphicLayerRecommendedDisplayCIELabValue).to_rgb()
        assert colour == pytest.approx(colour_of(number), abs=1)
    assert ds.GraphicAnnotationSequence[0].GraphicLayer == ds.GraphicLayerSequence[0].GraphicLayer
    notice = ds.GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue
    assert "NOT FOR PRIMARY DIAGNOSIS" in notice and "RESEARCH" in notice


def test_an_image_is_shown_through_its_own_window_and_rescaling() -> None:
    ds = state(CASES["positive"]().asked)
    (window,) = ds.SoftcopyVOILUTSequence
    assert (float(window.WindowCenter), float(window.WindowWidth)) == (40, 80)
    assert (float(ds.RescaleIntercept), float(ds.RescaleSlope), ds.RescaleType) == (-1024, 1, "HU")
    assert ds.PresentationLUTShape == "IDENTITY"
    (inverted,) = (state(CASES["radiograph inverted"]().asked),)
    assert inverted.PresentationLUTShape == "INVERSE"
    assert inverted.DisplayedAreaSelectionSequence[0].DisplayedAreaBottomRightHandCorner == [1250, 1024]


def test_windows_that_differ_are_told_apart_and_slices_rescaled_otherwise_are_left_out() -> None:
    files, hu = study(slices=16)
    asked = request(files=files, hu=hu)
    bearing = sorted(bearing_slices(asked))
    sources = headers(list(asked.sources))
    sources[bearing[1]].WindowCenter = "55"
    sources[bearing[-1]].RescaleIntercept = "0"
    ds = state(replace(asked, sources=sources))
    named = {float(item.WindowCenter): [image.ReferencedSOPInstanceUID for image in item.ReferencedImageSequence]
             for item in ds.SoftcopyVOILUTSequence}  # fmt: skip
    assert named[55] == [sources[bearing[1]].SOPInstanceUID]
    assert len(named[40]) == len(bearing) - 2
    assert sources[bearing[-1]].SOPInstanceUID not in str(ds)


@pytest.mark.parametrize("name", ["negative", "indeterminate", "not-analysed", "failed", "triage only"])
def test_nothing_is_drawn_where_nothing_may_be(name: str) -> None:
    assert not read(CASES[name]().asked, Role.PRESENTATION_STATE)


def test_validators_find_no_error_and_the_fault_in_a_broken_one(tmp_path: Path) -> None:
    path = tmp_path / "state.dcm"
    for name in ("two findings", "multi-frame", "mammogram", "oblique latin-1 512"):
        state(CASES[name]().asked).save_as(path)
        assert dciodvfy(path).clean
    files, hu = study(patient=Patient(), slices=8)  # dcmpschk takes every name in UTF-8 for an error
    ds = state(request(files=files, hu=hu))
    ds.save_as(path)
    assert _missing(path) == []
    del ds.ReferencedSeriesSequence
    ds.save_as(path)
    assert dciodvfy(path).errors
    assert _missing(path) == ["W: referenced series SQ is empty in presentation state"]


def _missing(path: Path) -> list[str]:
    """What DCMTK's checker of presentation states finds absent. (It cannot match a DT with an offset, and says so.)"""
    done = subprocess.run([from_system("dcmpschk", "dcmtk"), str(path)], capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert "Test failed" in output or "Test passed" in output
    return [line for line in output.splitlines() if "empty" in line]
