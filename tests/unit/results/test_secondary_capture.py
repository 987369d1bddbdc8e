"""The captures: in the place of their source, marked as what they are, and legible."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset, dcmread
from pydicom.uid import UID
from result_cases import CASES, Case, request, study
from result_files import read

from vigil.domain.answer import AnswerKind
from vigil.domain.manifest import RegulatoryStatus
from vigil.results.contour import grown
from vigil.results.heat_map import MOST_OPAQUE
from vigil.results.inscription import Line, free_place, size_of
from vigil.results.key_slices import MOST_CAPTURED
from vigil.results.lettering import Hand
from vigil.results.objects import Role
from vigil.results.options import Captures, CaptureSyntax, ResultOptions
from vigil.results.overlay import MARGIN
from vigil.results.picture import CONTOUR_COLOURS, Window, grey, window_of
from vigil.results.request import ResultRequest
from vigil.results.secondary_capture import key_slices, summary

YELLOW = np.array(CONTOUR_COLOURS[0])


def captures(asked: ResultRequest) -> list[Dataset]:
    return [dcmread(BytesIO(made.dicom)) for made in (summary(asked), *key_slices(asked))]


def source_of(ds: Dataset, asked: ResultRequest) -> tuple[int, Dataset]:
    uid = ds.SourceImageSequence[0].ReferencedSOPInstanceUID
    return next((index, source) for index, source in enumerate(asked.sources) if source.SOPInstanceUID == uid)


@pytest.fixture(scope="module", params=[(128, False), (256, False), (512, True)], ids=["128", "256", "512 oblique"])
def asked(request_: None, request: pytest.FixtureRequest) -> ResultRequest:
    matrix, oblique = request.param
    files, hu = study(matrix=matrix, slices=12, oblique=oblique)
    return _request(files, hu)


@pytest.fixture(scope="module")
def request_() -> None:
    """Keeps pytest's own ``request`` apart from ours."""


def _request(files: list[Dataset], hu: NDArray[np.float32]) -> ResultRequest:
    return request(files=files, hu=hu)


def test_a_capture_says_that_it_is_one(each_kind: dict[AnswerKind, ResultRequest]) -> None:
    for asked_of_kind in each_kind.values():
        for ds in captures(asked_of_kind):
            assert ds.ConversionType == "WSD"
            assert (ds.BurnedInAnnotation, ds.RecognizableVisualFeatures, ds.Modality) == ("YES", "NO", "OT")
            assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
            assert (ds.PhotometricInterpretation, ds.PlanarConfiguration, ds.BitsAllocated) == ("RGB", 0, 8)
            assert ds.LossyImageCompression == "00"
            assert ds.IssuerOfPatientID == "VIGIL-TEST"
            assert ds.SeriesDescription.startswith("AI ")
            assert "NOT FOR PRIMARY DIAGNOSIS" in ds.ImageComments


def test_the_summary_is_large_and_has_no_place_in_the_patient(each_kind: dict[AnswerKind, ResultRequest]) -> None:
    for asked_of_kind in each_kind.values():
        ds = captures(asked_of_kind)[0]
        assert min(ds.Rows, ds.Columns) >= 768
        assert ds.InstanceNumber == 1
        assert "ImagePositionPatient" not in ds
        assert "FrameOfReferenceUID" not in ds


def test_a_key_slice_lies_where_its_source_lies(asked: ResultRequest) -> None:
    slices = captures(asked)[1:]
    assert slices
    for ds in slices:
        _, source = source_of(ds, asked)
        for keyword in (
            "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "PixelSpacing", "SliceThickness",
            "Rows", "Columns", "InstanceNumber",
        ):  # fmt: skip
            assert ds[keyword].value == source[keyword].value, keyword
        item = ds.SourceImageSequence[0]
        assert item.SpatialLocationsPreserved == "YES"
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_everything_of_a_series_is_the_same_in_each_of_its_images(asked: ResultRequest) -> None:
    for keyword in ("SeriesDate", "SeriesTime", "SeriesNumber", "SeriesDescription", "SeriesInstanceUID", "Manufacturer"):
        assert len({str(ds[keyword].value) for ds in captures(asked)[1:]}) == 1


def test_the_contour_runs_around_the_finding_and_nowhere_else(asked: ResultRequest) -> None:
    for ds in captures(asked)[1:]:
        index, _ = source_of(ds, asked)
        mask = asked.masks["hyperdense"][index]
        drawn = (ds.pixel_array == YELLOW).all(axis=2)
        band = grown(mask, 3) & ~mask
        rows = np.arange(ds.Rows)
        text_zone = (rows < ds.Rows * (MARGIN + 0.2)) | (rows > ds.Rows * (1 - MARGIN - 0.2))
        assert not (drawn & ~band)[~text_zone].any()
        assert (drawn & band).sum() >= (grown(mask, 1) & ~mask).sum()


def test_the_anatomy_inside_the_contour_is_left_as_it_is(asked: ResultRequest) -> None:
    for ds in captures(asked)[1:]:
        index, _ = source_of(ds, asked)
        inside = ds.pixel_array[asked.masks["hyperdense"][index]]
        assert (inside[:, 0] == inside[:, 1]).all()
        assert (inside[:, 1] == inside[:, 2]).all()


def test_slices_without_the_finding_are_shown_beside_it_but_bear_no_score(asked: ResultRequest) -> None:
    bearing = {int(index) for index in np.flatnonzero(asked.masks["hyperdense"].any(axis=(1, 2)))}
    shown = {source_of(ds, asked)[0] for ds in captures(asked)[1:]}
    assert shown & bearing
    assert shown - bearing
    for ds in captures(asked)[1:]:
        index, _ = source_of(ds, asked)
        if index not in bearing and ds.Rows >= 512:
            bottom = ds.pixel_array[round(ds.Rows * 0.8) :, : round(ds.Columns * 0.5)]
            assert not (bottom == YELLOW).all(axis=2).any()


def tall(asked: ResultRequest, first: int, last: int, keys: tuple[int, ...]) -> ResultRequest:
    """The same with a finding from slice ``first`` to before ``last``."""
    mask = np.zeros_like(asked.masks["hyperdense"])
    mask[first:last, 60:64, 60:64] = True
    finding = replace(asked.answer.findings[0], key_slices=keys)
    return replace(asked, masks={"hyperdense": mask}, answer=replace(asked.answer, findings=(finding,)))


def shown(asked: ResultRequest) -> list[int]:
    return [source_of(ds, asked)[0] for ds in captures(asked)[1:]]


def test_the_options_say_which_slices_are_captured() -> None:
    files, hu = study(slices=30)
    asked_of = tall(request(files=files, hu=hu), 5, 9, (7, 5))
    expected = {
        Captures.NONE: [], Captures.KEY: [5, 7], Captures.FINDINGS: [*range(3, 11)], Captures.ALL: [*range(30)],
    }  # fmt: skip
    for wanted, indices in expected.items():
        assert shown(replace(asked_of, options=ResultOptions(captures=wanted))) == indices


def test_of_a_finding_in_very_many_slices_those_nearest_to_its_key_slices_are_captured() -> None:
    files, hu = study(matrix=64, slices=90)
    asked_of = tall(request(files=files, hu=hu), 2, 88, (70, 20))
    indices = shown(asked_of)
    assert len(indices) == MOST_CAPTURED == 60
    assert {20, 70} <= set(indices)
    assert indices == sorted(indices)
    assert 2 not in indices and 45 not in indices


def test_a_report_refers_to_as_many_images_whatever_is_captured() -> None:
    files, hu = study(slices=30)
    asked_of = tall(request(files=files, hu=hu), 5, 20, (7,))
    reports = [read(asked_of, Role.REPORT, captures=wanted)[0] for wanted in Captures]
    assert len({str(report.ContentSequence) for report in reports}) == 1
    assert "Image Library" in str(reports[0].ContentSequence)


def test_what_was_lost_in_the_source_stays_lost() -> None:
    files, hu = study(slices=12)
    for ds in files:
        ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", "7.5"
        ds.LossyImageCompressionMethod = "ISO_15444_1"
    for ds in captures(request(files=files, hu=hu)):
        assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 7.5)


def test_instance_numbers_that_do_not_serve_are_counted_anew() -> None:
    files, hu = study(slices=12)
    for ds in files:
        ds.InstanceNumber = 1
    numbers = [ds.InstanceNumber for ds in captures(request(files=files, hu=hu))[1:]]
    assert len(set(numbers)) == len(numbers) > 1


def likeness(picture: NDArray[np.uint8], text: str, size: float, shrunk: int = 1) -> float:
    """How much the yellow parts of a picture look like ``text``, written by Pillow alone: the largest correlation at any
    place of the upper third, from 0 to 1. ``shrunk``: how many times the picture was made smaller, and with it the letters."""
    font = ImageFont.load_default(size)
    mask = Image.new("L", (int(font.getlength(text)) + 2, round(size * 1.3)))
    ImageDraw.Draw(mask).text((0, 0), text, font=font, fill=255)
    mask = mask.resize((mask.width // shrunk, mask.height // shrunk), Image.Resampling.LANCZOS)
    pattern = np.asarray(mask, float) / 255
    yellow = np.clip(picture[..., :2].min(axis=2).astype(float) - picture[..., 2], 0, 255) / 172  # of (255, 222, 50)
    field = yellow[: picture.shape[0] // 3]
    spectrum = np.fft.rfft2(field) * np.conj(np.fft.rfft2(pattern, field.shape))
    best = float(np.fft.irfft2(spectrum, field.shape).max())
    return best / float((pattern**2).sum())


@pytest.mark.parametrize("name", ["oblique latin-1 512", "radiograph 2500", "radiograph inverted", "mammogram"])
def test_what_it_is_can_be_read_on_every_capture_at_full_and_at_half_size(name: str) -> None:
    for ds in captures(CASES[name]().asked)[1:]:
        size = max(14, round(min(ds.Rows, ds.Columns) / 32))
        assert size >= 16 * min(ds.Rows, ds.Columns) / 512
        half = np.asarray(Image.fromarray(ds.pixel_array).resize((ds.Columns // 2, ds.Rows // 2), Image.Resampling.LANCZOS))
        for text in ("NOT FOR PRIMARY DIAGNOSIS", "RESEARCH: not cleared"):
            assert likeness(ds.pixel_array, text, size) > 0.9
            assert likeness(half, text, size, shrunk=2) > 0.6
        assert likeness(ds.pixel_array, "WHOLLY UNRELATED WORDS TO READ", size) < 0.7


def test_a_cleared_model_is_not_marked_as_research(small_study: tuple[list[Dataset], NDArray[np.float32]]) -> None:
    files, hu = study(matrix=512, slices=8)
    for status, least, most in ((RegulatoryStatus.RESEARCH, 0.9, 2.0), (RegulatoryStatus.CLEARED, 0.0, 0.7)):
        for ds in captures(request(files=files, hu=hu, status=status))[1:]:
            assert least <= likeness(ds.pixel_array, "RESEARCH: not cleared", 16) <= most


def test_several_findings_have_a_colour_and_a_number_each() -> None:
    asked_of = CASES["two findings"]().asked
    masks = asked_of.masks
    assert (masks["hyperdense"].any(axis=(1, 2)) & masks["second"].any(axis=(1, 2))).any(), "no slice bears both"
    for ds in captures(asked_of)[1:]:
        index, _ = source_of(ds, asked_of)
        for name, colour in (("hyperdense", CONTOUR_COLOURS[0]), ("second", CONTOUR_COLOURS[1])):
            mask = masks[name][index]
            ring = (grown(mask, 1) & ~mask) & (ds.pixel_array == colour).all(axis=2)
            assert bool(ring.any()) == bool(mask.any())


def test_words_stand_where_no_finding_is_in_any_slice() -> None:
    lines = [Line("AI RESULT - NOT FOR PRIMARY DIAGNOSIS", Hand(16, (255, 222, 50)))]
    width, height = size_of(lines)
    busy = np.zeros((512, 512), bool)
    assert (free_place(lines, MARGIN, busy, at_top=True).left, free_place(lines, MARGIN, busy, at_top=True).top) == (41, 41)
    places = []
    for _ in range(5):
        place = free_place(lines, MARGIN, busy, at_top=True)
        assert not busy[place.area].any()
        assert 41 <= place.left <= 512 - 41 - width and 41 <= place.top <= 512 - 41 - height
        places.append((place.top, place.flush_right))
        busy[place.top + height // 2, place.left + (width - 8 if place.flush_right else 8)] = True
    lowest = 512 - 41 - height
    assert places[:4] == [(41, False), (41, True), (lowest, False), (lowest, True)]
    assert 41 < places[4][0] < lowest, "further inside, where all edges are taken"


def test_no_word_covers_a_finding_that_lies_where_words_use_to_stand() -> None:
    files, hu = study(matrix=512, slices=8)
    asked_of = request(files=files, hu=hu)
    mask = np.zeros_like(asked_of.masks["hyperdense"])
    mask[3:5, 40:70, 60:120] = True
    mask[3:5, 430:470, 60:120] = True
    asked_of = replace(asked_of, masks={"hyperdense": mask})
    for ds in captures(asked_of)[1:]:
        index, source = source_of(ds, asked_of)
        assert asked_of.voxels is not None
        plain = grey(asked_of.voxels[index], window_of(source, asked_of.voxels[index]))
        assert (ds.pixel_array[mask[3]] == plain[mask[3]][:, None]).all()


def placed(case: Case) -> list[Dataset]:
    return read(case.asked, Role.KEY_SLICE)


def test_a_radiograph_is_captured_whole_without_a_place_and_with_its_view() -> None:
    (ds,) = placed(CASES["mammogram"]())
    assert (ds.Rows, ds.Columns) == (1792, 1280)
    assert "FrameOfReferenceUID" not in ds and "ImagePositionPatient" not in ds
    assert list(ds.PatientOrientation) == ["P", "FL"]
    assert ds.SourceImageSequence[0].SpatialLocationsPreserved == "YES"


def test_an_inverted_radiograph_is_shown_as_a_viewer_shows_it() -> None:
    case = CASES["radiograph inverted"]()
    (ds,) = placed(case)
    stored = case.files[0].pixel_array
    assert case.files[0].PhotometricInterpretation == "MONOCHROME1"
    shown_grey, middle = ds.pixel_array[..., 0], (slice(450, 700), slice(400, 800))
    assert np.corrcoef(stored[middle].ravel(), shown_grey[middle].ravel())[0, 1] < -0.8


def test_a_sigmoid_window_is_applied_as_one() -> None:
    values = np.array([[0, 50, 100]], np.float32)
    expected = [round(255 / (1 + np.exp(-4 * (value - 50) / 40))) for value in (0, 50, 100)]
    assert grey(values, Window(50, 40, sigmoid=True))[0].tolist() == pytest.approx(expected, abs=1)
    assert grey(values, Window(50, 40)).tolist() == [[0, 128, 255]]
    assert grey(values, Window(50, 40, inverted=True)).tolist() == [[255, 127, 0]]


def test_a_frame_is_captured_in_the_place_that_its_functional_groups_name() -> None:
    case = CASES["multi-frame"]()
    (whole,) = case.files
    made = placed(case)
    assert len(made) > 3
    for ds in made:
        (item,) = ds.SourceImageSequence
        assert item.ReferencedSOPInstanceUID == whole.SOPInstanceUID
        groups = whole.PerFrameFunctionalGroupsSequence[item.ReferencedFrameNumber - 1]
        assert ds.ImagePositionPatient == groups.PlanePositionSequence[0].ImagePositionPatient
        shared = whole.SharedFunctionalGroupsSequence[0]
        assert ds.ImageOrientationPatient == shared.PlaneOrientationSequence[0].ImageOrientationPatient
        assert ds.PixelSpacing == shared.PixelMeasuresSequence[0].PixelSpacing
        assert ds.InstanceNumber == item.ReferencedFrameNumber
        assert "window 40/80" in ds.DerivationDescription


def test_a_heat_map_leaves_the_anatomy_readable_and_bears_its_scale() -> None:
    case = CASES["heat map"]()
    heat = case.asked.heat_map
    assert heat is not None
    warm, cold = placed(case), read(replace(case.asked, heat_map=None), Role.KEY_SLICE)
    for with_heat, without in zip(warm, cold, strict=True):
        index, _ = source_of(with_heat, case.asked)
        one, other = with_heat.pixel_array.astype(int), without.pixel_array.astype(int)
        middle = np.zeros(one.shape[:2], bool)
        middle[100:400, 60:360] = True
        inside = middle & (heat.values[index] >= heat.low)
        assert (one[middle & ~inside] == other[middle & ~inside]).all()
        assert np.abs(one - other)[inside].max(initial=0) <= MOST_OPAQUE * 255 + 1
        scale = one[round(512 * 0.4) : round(512 * 0.64), 512 - 41 - 6]
        assert (np.diff(scale.sum(axis=1)) <= 0).all(), "from high, which is light, down to low"
        assert scale[0].sum() > 600 > 250 > scale[-1].sum()


@pytest.mark.parametrize("syntax", [syntax for syntax in CaptureSyntax if syntax is not CaptureSyntax.UNCOMPRESSED])
def test_compressed_captures_bear_the_same_pixels(syntax: CaptureSyntax) -> None:
    asked_of = CASES["positive"]().asked
    plain, packed = (read(asked_of, Role.KEY_SLICE, capture_syntax=item) for item in (CaptureSyntax.UNCOMPRESSED, syntax))
    for one, other in zip(plain, packed, strict=True):
        assert other.file_meta.TransferSyntaxUID == UID(syntax)
        assert len(other.PixelData) < len(one.PixelData)
        assert (one.pixel_array == other.pixel_array).all()
        assert (other.LossyImageCompression, other.PlanarConfiguration) == ("00", 0)
