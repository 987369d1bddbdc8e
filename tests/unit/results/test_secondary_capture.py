"""The captures: in the place of their source, marked as what they are, and legible."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from result_cases import request, study

from vigil.domain.answer import AnswerKind
from vigil.results.contour import grown
from vigil.results.overlay import MARGIN
from vigil.results.picture import CONTOUR_COLOURS
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


def test_at_most_twelve_slices_are_shown_and_the_key_slice_is_among_them() -> None:
    files, hu = study(slices=30)
    asked_of = request(files=files, hu=hu)
    tall = np.zeros_like(asked_of.masks["hyperdense"])
    tall[3:27, 60:64, 60:64] = True
    finding = replace(asked_of.answer.findings[0], key_slices=(20, 5))
    made = replace(asked_of, masks={"hyperdense": tall}, answer=replace(asked_of.answer, findings=(finding,)))
    shown = [source_of(ds, made)[0] for ds in captures(made)[1:]]
    assert len(shown) == 12
    assert {5, 20} <= set(shown)
    assert shown == sorted(shown)


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
