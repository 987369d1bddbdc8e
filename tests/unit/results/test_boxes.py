"""A detector's boxes, as the radiologist sees them: rectangles with their scores, the same in picture, graphics and report; and
none of it where the clearance does not let it out."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from result_cases import Case, boxes_of_ct, boxes_of_radiograph, several

from validators.own_checks import concept, groups, template, tree
from vigil.domain.answer import AnswerKind, Measurement
from vigil.domain.boxes import PatientBox, Rectangle
from vigil.domain.codes import CERTAINTY_OF_FINDING, PERCENT
from vigil.domain.manifest import PermittedOutput
from vigil.results.box_frames import BoxFrames
from vigil.results.boxes import MOST_TOLD, lines, told_boxes
from vigil.results.card import draw_card
from vigil.results.errors import RequestContradicts
from vigil.results.inscription import Scribe
from vigil.results.legend import legend
from vigil.results.make import make_results
from vigil.results.objects import Role
from vigil.results.options import Captures, ResultOptions
from vigil.results.picture import CONTOUR_COLOURS, OUTLINE_COLOUR
from vigil.results.request import ResultRequest

LOCATION, SCORE = PermittedOutput.LOCATION, PermittedOutput.SCORE
CONTOUR, NOTIFICATION, MEASUREMENT = PermittedOutput.CONTOUR, PermittedOutput.NOTIFICATION, PermittedOutput.MEASUREMENT
TEXT = ResultOptions(text_report=True, multiframe=True)


def made(asked: ResultRequest, role: Role) -> list[Dataset]:
    return [dcmread(BytesIO(item.dicom)) for item in make_results(asked) if item.role == role]


def only(asked: ResultRequest, role: Role) -> Dataset:
    found, = made(asked, role)
    return found


def texts(report: Dataset) -> list[str]:
    return [str(item.TextValue) for item in tree(report) if item.ValueType == "TEXT"]


def scores(report: Dataset) -> list[float]:
    return [float(item.MeasuredValueSequence[0].NumericValue) for item in tree(report)
            if item.ValueType == "NUM" and concept(item) == CERTAINTY_OF_FINDING.value]


def coloured(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a box is drawn in the first finding's colour."""
    return np.asarray((rgb == CONTOUR_COLOURS[0]).all(axis=-1))


@pytest.mark.parametrize("case", [boxes_of_ct, boxes_of_radiograph], ids=["512", "radiograph"])
def test_each_box_is_framed_on_each_of_its_slices_and_the_image_inside_is_left(case: object) -> None:
    asked = case().asked  # type: ignore[operator]
    (boxes,) = asked.boxes.values()
    for index in {part.index for box in boxes for part in box.rectangles}:
        rgb = drawn(asked, index)
        frame = coloured(rgb)
        dark = (rgb == OUTLINE_COLOUR).all(axis=-1)
        width = 2 if rgb.shape[0] == 512 else 5
        dark_width = round(width / 3)
        for part in (part for box in boxes if (part := box.on(index)) is not None):
            top, bottom, left, right = (round(edge) for edge in (part.top, part.bottom, part.left, part.right))
            row, column = top + 3 * (bottom - top) // 4, left + 3 * (right - left) // 4  # where no other box crosses
            out = width + 2 * dark_width
            if top >= out and bottom + out <= rgb.shape[0]:
                # From outside inwards: dark, colour, dark, and then the image.
                assert dark[top - out:top + 3, column].tolist() == [
                    True] * dark_width + [False] * width + [True] * dark_width + [False] * 3
                assert frame[top - out:top + 3, column].tolist() == [
                    False] * dark_width + [True] * width + [False] * (dark_width + 3)
            assert frame[row, left - out:left].any()
            assert frame[row, right - out:right + out].any(), "also at the edge of the image"


def drawn(asked: ResultRequest, index: int) -> NDArray[np.uint8]:
    """The frames alone, over black: without the words of the overlay."""
    assert asked.voxels is not None
    shape = asked.voxels.shape[1], asked.voxels.shape[2]
    rgb = np.zeros((*shape, 3), np.uint8)
    BoxFrames(asked, shape, 2 if min(shape) == 512 else max(2, round(min(shape) / 420)), Scribe()).draw(rgb, index)
    return rgb


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_frame_is_seen_over_black_grey_and_white(grey: int) -> None:
    """A line of the colour and a line beside it that differ from each other, and one of them from what is around: by W3C's
    contrast of 3 and more for graphics."""
    asked = boxes_of_ct().asked
    rgb = np.full((512, 512, 3), grey, np.uint8)
    BoxFrames(asked, (512, 512), 2, Scribe()).draw(rgb, 5)
    across = rgb[:, 186][85:96]
    changes = [contrast(one, other) for one, other in pairwise(across)]
    assert max(changes) > 3
    assert sum(change > 3 for change in changes) >= 2, "on both sides of the line"


def contrast(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    light = sorted(float(np.dot((np.asarray(colour, float) / 255) ** 2.2, (0.2126, 0.7152, 0.0722))) for colour in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def test_a_detection_is_not_outlined_as_well() -> None:
    """Neither in the captures nor in graphics and report: a region elsewhere than its boxes is seen nowhere."""
    asked = boxes_of_ct().asked
    without = replace(asked, boxes={})
    elsewhere = replace(asked, boxes={"hyperdense": tuple(
        replace(box, rectangles=tuple(replace(part, top=400, bottom=410, left=20, right=40) for part in box.rectangles))
        for box in asked.boxes["hyperdense"])})
    for capture in made(elsewhere, Role.KEY_SLICE):
        assert not coloured(capture.pixel_array)[200:300, 230:330].any(), "the region's outline would lie here"
    assert coloured(made(without, Role.KEY_SLICE)[4].pixel_array)[190:300, 220:340].any()
    state, outlined = only(asked, Role.PRESENTATION_STATE), only(without, Role.PRESENTATION_STATE)
    assert {len(graphic.GraphicData) for graphic in graphics(state)} == {10}
    assert {len(graphic.GraphicData) for graphic in graphics(outlined)} != {10}
    drawn_groups = [group for group in groups(only(asked, Role.REPORT)) if template(group) == "1410"]
    assert len(drawn_groups) == 4


def graphics(state: Dataset) -> list[Dataset]:
    return [graphic for item in state.GraphicAnnotationSequence for graphic in item.get("GraphicObjectSequence", ())]


def test_numbers_and_scores_are_those_of_the_report_s_groups_in_picture_graphics_and_words() -> None:
    asked = replace(boxes_of_ct().asked, options=TEXT)
    report = only(asked, Role.REPORT)
    planar = [group for group in groups(report) if template(group) == "1410"]
    told = {
        str(held(group, "112039").TextValue).rpartition(" ")[2]: (scores(group), region(group)) for group in planar}
    assert {number: values for number, (values, _) in told.items()} == {"1": [91.3], "2": [62.4], "3": [58.8], "4": [55.0]}
    labels: dict[str, set[tuple[float, ...]]] = {}
    for item in only(asked, Role.PRESENTATION_STATE).GraphicAnnotationSequence[1:]:
        for graphic, text in zip(item.GraphicObjectSequence, item.TextObjectSequence, strict=True):
            labels.setdefault(str(text.UnformattedTextValue), set()).add(tuple(float(value) for value in graphic.GraphicData))
    assert labels == {f"{number}  {values[0]} %": {points} for number, (values, points) in told.items()}
    by_number = {number: points for number, (_, points) in told.items()}
    assert by_number["1"] == (150.25, 90.5, 221.25, 90.5, 221.25, 160.5, 150.25, 160.5, 150.25, 90.5)
    words = [text for text in texts(report) if text.startswith("Box ")]
    assert words == lines(asked)
    assert words[1] == ("Box 2: Hyperdense intracranial region, Certainty of Finding 62.4 %, image 7 (from image 5 to image 8)")
    assert words[0].endswith(", image 6")
    assert all(line in "\n".join(texts(only(asked, Role.TEXT_REPORT))) for line in words)
    assert "boxes" in str(only(asked, Role.MULTIFRAME).DerivationDescription)
    assert legend(asked)[0].text == "Hyperdense intracranial region, 4 boxes, up to 91.3 %, image 6"


def held(group: Dataset, code: str) -> Dataset:
    return next(item for item in group.ContentSequence if concept(item) == code)


def region(group: Dataset) -> tuple[float, ...]:
    item, = (item for item in group.ContentSequence if item.ValueType == "SCOORD")
    return tuple(float(value) for value in item.GraphicData)


def test_each_box_is_followed_by_itself_and_the_first_stands_for_the_finding() -> None:
    asked = boxes_of_ct().asked
    report = only(asked, Role.REPORT)
    tracked = [(template(group), str(held(group, "112040").UID)) for group in groups(report)]
    planar = [uid for name, uid in tracked if name == "1410"]
    assert len(set(planar)) == 4
    segment, = only(asked, Role.SEGMENTATION).SegmentSequence
    assert [uid for name, uid in tracked if name == "1411"] == [segment.TrackingUID] == planar[:1]
    assert str(report.ConceptNameCodeSequence[0].CodeValue) == "126000", "every group is drawn, so viewers draw the report"


def test_a_certainty_of_the_finding_is_told_beside_its_box_unless_it_is_the_box_s() -> None:
    asked = boxes_of_ct(outputs=frozenset({LOCATION, SCORE})).asked  # without a segment, whose group would tell it
    finding, = asked.answer.findings
    for value, told in ((91.34, [91.3]), (40.0, [91.3, 40.0])):
        certain = replace(finding, measurements=(Measurement(CERTAINTY_OF_FINDING, value, PERCENT),))
        report = only(replace(asked, answer=replace(asked.answer, findings=(certain,))), Role.REPORT)
        assert scores(groups(report)[0]) == told


def test_of_many_boxes_the_most_certain_are_told_and_the_others_counted_and_drawn() -> None:
    asked = boxes_of_ct().asked
    many = tuple(
        PatientBox(Measurement(CERTAINTY_OF_FINDING, 50.0 + number, PERCENT), (Rectangle(5, 8 * number, 8 * number + 5, 20, 30),))
        for number in range(MOST_TOLD + 7))
    asked = replace(asked, boxes={"hyperdense": many}, masks={"hyperdense": np.ones_like(asked.masks["hyperdense"])})
    told = told_boxes(asked)
    assert [item.box.score.value for item in told[:2]] == [76.0, 75.0]
    assert sum(item.number is not None for item in told) == MOST_TOLD
    report = only(asked, Role.REPORT)
    assert len([group for group in groups(report) if template(group) == "1410"]) == MOST_TOLD
    assert min(scores(report)) == 57.0
    assert "and 7 more boxes, drawn without a number" in texts(report)
    assert "20 of the boxes are told one by one, in the report" in [entry.text for entry in legend(asked)]
    assert len(graphics(only(asked, Role.PRESENTATION_STATE))) == MOST_TOLD + 7
    regulatory = asked.manifest.regulatory.model_copy(update={"permitted_outputs": frozenset({LOCATION})})  # without the labels
    frame = coloured(drawn(replace(asked, manifest=asked.manifest.model_copy(update={"regulatory": regulatory})), 5))
    assert all(frame[8 * number + 2, 12:20].any() for number in range(MOST_TOLD + 7))


def test_no_label_lies_under_the_words_of_the_picture() -> None:
    """A box whose label would stand where the notice is: it stands beside."""
    asked = boxes_of_ct().asked
    area = slice(41, 89), slice(40, 380)
    box = PatientBox(Measurement(CERTAINTY_OF_FINDING, 62.0, PERCENT), (Rectangle(5, 95, 120, 100, 160),))
    frames = BoxFrames(replace(asked, boxes={"hyperdense": (box,)}), (512, 512), 2, Scribe())
    free, kept = (np.zeros((512, 512, 3), np.uint8) for _ in range(2))
    frames.keep_off((slice(95, 130), slice(160, 300)))
    frames.draw(free, 5)
    assert not free[95:130, 170:300].any(), "not to the right, where it would stand"
    frames.keep_off(area)
    frames.draw(kept, 5)
    assert kept.any() and not kept[area].any()


def everything(asked: ResultRequest) -> tuple[list[Dataset], list[NDArray[np.uint8]]]:
    objects = [dcmread(BytesIO(item.dicom)) for item in make_results(replace(asked, options=TEXT))]
    return objects, [ds.pixel_array for ds in objects if ds.Modality == "OT"]


@pytest.mark.parametrize("case", [boxes_of_ct, boxes_of_radiograph], ids=["512", "radiograph"])
def test_without_location_and_score_nothing_of_boxes_leaves(case: object) -> None:
    said(case, frozenset({NOTIFICATION}))


@pytest.mark.parametrize("outputs", [{SCORE}, {SCORE, CONTOUR, MEASUREMENT, NOTIFICATION}], ids=["alone", "with contour"])
@pytest.mark.parametrize("case", [boxes_of_ct, boxes_of_radiograph], ids=["512", "radiograph"])
def test_without_location_no_rectangle_leaves_whatever_else_may(case: object, outputs: set[PermittedOutput]) -> None:
    said(case, frozenset(outputs))


def said(case: object, outputs: frozenset[PermittedOutput]) -> None:
    """Whatever is made is what is made of the same request without its boxes and their region."""
    asked = case(outputs=outputs).asked  # type: ignore[operator]
    without = replace(asked, boxes={}, masks={})
    with_boxes, bare = ([item.dicom for item in make_results(replace(one, options=TEXT))] for one in (asked, without))
    assert with_boxes == bare
    report, = (ds for ds in everything(asked)[0] if ds.SeriesDescription.endswith(" report") and "text" not in
               ds.SeriesDescription)
    assert not [item for item in tree(report) if item.ValueType == "SCOORD"]
    assert "ox 1" not in " ".join(texts(report))


@pytest.mark.parametrize("case", [boxes_of_ct, boxes_of_radiograph], ids=["512", "radiograph"])
def test_a_location_without_score_is_a_rectangle_without_a_number(case: object) -> None:
    with_score, bare = (case(outputs=frozenset(outputs)).asked  # type: ignore[operator]
                        for outputs in ({LOCATION, SCORE}, {LOCATION}))
    shown = told_boxes(bare)[0].box.middle.index
    frames = drawn(bare, shown)
    assert coloured(frames).any()
    assert np.isin(frames[..., 0], (0, OUTLINE_COLOUR[0], CONTOUR_COLOURS[0][0])).all(), "no letter, whose edges are smooth"
    assert np.count_nonzero(drawn(with_score, shown) != frames) > 100, "the letters, where a score may leave"
    state = only(bare, Role.PRESENTATION_STATE)
    assert graphics(state)
    assert not [item for item in state.GraphicAnnotationSequence[1:] if "TextObjectSequence" in item]
    report = only(bare, Role.REPORT)
    assert not [item for item in tree(report) if item.ValueType == "NUM"]
    assert not [text for text in texts(report) if "%" in text]
    assert len([item for item in tree(report) if item.ValueType == "SCOORD"]) == len(told_boxes(bare))
    assert len(scores(only(with_score, Role.REPORT))) == len(told_boxes(bare))
    assert not made(bare, Role.SEGMENTATION), "a contour may not leave"
    places = [(item.box.middle.index, item.box.middle.top) for item in told_boxes(bare) if item.number is not None]
    assert places == sorted(places), "a rank would tell of the score"
    assert "up to" not in legend(bare)[0].text


def test_an_answer_without_a_place_shows_no_box() -> None:
    asked = boxes_of_ct().asked
    answer = replace(asked.answer, kind=AnswerKind.INDETERMINATE)
    assert told_boxes(replace(asked, answer=answer)) == ()


def test_of_several_findings_one_may_be_shown_by_its_boxes() -> None:
    """The positive one is; the indeterminate one of the same region is not."""
    asked = several().asked
    region_name, = asked.masks
    box = PatientBox(Measurement(CERTAINTY_OF_FINDING, 72.0, PERCENT), tuple(
        Rectangle(index, 60, 80, 50, 70) for index in np.flatnonzero(asked.masks[region_name].any(axis=(1, 2)))[:3].tolist()))
    asked = replace(asked, boxes={region_name: (box,)})
    told, = told_boxes(asked)
    assert asked.answer.kind_of(told.item.finding) is AnswerKind.POSITIVE
    assert legend(asked)[0].text.startswith(f"{told.item.finding.concept.meaning}, 1 box, up to 72.0 %")


def test_of_key_slices_alone_each_box_has_its_own() -> None:
    asked = replace(boxes_of_ct().asked, options=ResultOptions(captures=Captures.KEY))
    assert sorted(int(ds.InstanceNumber) for ds in made(asked, Role.KEY_SLICE)) == [6, 7]


def test_the_summary_frames_the_boxes_of_its_slice() -> None:
    asked = boxes_of_ct().asked
    bare = replace(asked, boxes={}, masks={})
    assert np.count_nonzero(draw_card(asked) != draw_card(bare)) > 1000


@pytest.mark.parametrize("part", [Rectangle(12, 1, 2, 1, 2), Rectangle(0, 5, 5, 1, 2), Rectangle(0, 1, 2, -1, 2),
                                  Rectangle(0, 1, 513, 1, 2)], ids=str)
def test_a_box_beyond_the_images_is_refused(part: Rectangle) -> None:
    asked: ResultRequest = Case(boxes_of_ct().asked, []).asked
    box = PatientBox(Measurement(CERTAINTY_OF_FINDING, 72.0, PERCENT), (part,))
    with pytest.raises(RequestContradicts, match="box"):
        replace(asked, boxes={"hyperdense": (box,)}).check()


def test_a_score_beyond_a_hundred_per_cent_is_refused() -> None:
    asked = boxes_of_ct().asked
    box = PatientBox(Measurement(CERTAINTY_OF_FINDING, 172.0, PERCENT), (Rectangle(0, 1, 2, 1, 2),))
    with pytest.raises(RequestContradicts, match="172"):
        replace(asked, boxes={"hyperdense": (box,)}).check()
