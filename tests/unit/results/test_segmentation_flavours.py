"""Segmentations that a site asks for: label map, fractional, and one with a frame for every slice."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom import Dataset
from result_cases import CASES
from result_files import Write, read

from validators.dcmqi import segimage2itkimage
from validators.dicom3tools import dcentvfy, dciodvfy
from vigil.results.objects import Role
from vigil.results.options import ResultOptions, SegmentationKind
from vigil.results.request import ResultRequest

LABEL_MAP_IN_REPORT = "Shall not be present for Referenced SOP Class that is not segmentation"
"""dciodvfy does not count Label Map Segmentation Storage among the segmentations that a report may refer to by segment."""


def saved(ds: Dataset, folder: Path) -> Path:
    path = folder / "segmentation.dcm"
    ds.save_as(path)
    return path


def voxels(asked: ResultRequest, ds: Dataset) -> NDArray[np.uint8]:
    """[slice, row, column, segment] as highdicom reads it."""
    buffer = BytesIO()
    ds.save_as(buffer)
    buffer.seek(0)
    segmentation = highdicom.seg.segread(buffer)
    uids = [str(source.SOPInstanceUID) for source in asked.sources]
    return segmentation.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True, rescale_fractional=False)


@pytest.mark.parametrize("kind", [SegmentationKind.LABELMAP, SegmentationKind.FRACTIONAL])
def test_two_readers_read_every_voxel_of_every_segment(kind: SegmentationKind, tmp_path: Path) -> None:
    asked = CASES["two findings"]().asked
    (ds,) = read(asked, Role.SEGMENTATION, segmentation=kind)
    assert ds.SegmentationType == kind.value.upper()
    seen = voxels(asked, ds)
    images = [SimpleITK.GetArrayFromImage(image) for image in segimage2itkimage(saved(ds, tmp_path))]
    for number, mask in enumerate(asked.masks.values(), start=1):
        assert ((seen[..., number - 1] > 0) == mask).all()
        labelled = images[0] == number if kind is SegmentationKind.LABELMAP else images[number - 1] > 0
        assert np.count_nonzero(labelled) == mask.sum()


def test_a_label_map_has_one_frame_a_slice_and_the_report_refers_to_its_class(write: Write) -> None:
    case = CASES["two findings"]()
    asked = replace(case.asked, options=ResultOptions(segmentation=SegmentationKind.LABELMAP))
    (ds,) = read(asked, Role.SEGMENTATION)
    together = np.any([mask.any(axis=(1, 2)) for mask in asked.masks.values()], axis=0)
    assert ds.NumberOfFrames == together.sum()
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert (ds.SegmentsOverlap, ds.PixelPaddingValue) == ("NO", 0)
    assert [item.SegmentNumber for item in ds.SegmentSequence] == [1, 2]
    written = write("label map", asked, case.files)
    assert dciodvfy(written.segmentation).clean
    assert dcentvfy([*written.sources, *written.results]).clean
    assert all(LABEL_MAP_IN_REPORT in error for error in dciodvfy(written.report).errors)
    assert str(ds.SOPInstanceUID) in str(read(asked, Role.REPORT)[0])


def test_of_segments_that_overlap_a_binary_one_is_made_in_place_of_a_label_map() -> None:
    asked = CASES["two findings"]().asked
    first, second = asked.masks.values()
    overlapping = replace(asked, masks={"hyperdense": first | second, "second": second})
    (ds,) = read(overlapping, Role.SEGMENTATION, segmentation=SegmentationKind.LABELMAP)
    assert ds.SegmentationType == "BINARY"
    assert (voxels(overlapping, ds)[..., 0].astype(bool) == (first | second)).all()
    assert "66.7" not in str(read(overlapping, Role.REPORT, segmentation=SegmentationKind.LABELMAP)[0])


def test_a_fractional_one_says_how_much_of_a_pixel_is_taken(tmp_path: Path) -> None:
    (ds,) = read(CASES["positive"]().asked, Role.SEGMENTATION, segmentation=SegmentationKind.FRACTIONAL)
    assert (ds.SegmentationFractionalType, ds.MaximumFractionalValue) == ("OCCUPANCY", 255)
    assert set(np.unique(ds.pixel_array).tolist()) == {0, 255}
    assert dciodvfy(saved(ds, tmp_path)).clean


def test_a_full_one_has_a_frame_of_each_segment_for_every_slice_beside_the_short_one(tmp_path: Path) -> None:
    asked = CASES["two findings"]().asked
    (full,) = read(asked, Role.FULL_SEGMENTATION, full_frame=True)
    (short,) = read(asked, Role.SEGMENTATION, full_frame=True)
    assert full.NumberOfFrames == 2 * len(asked.sources) > short.NumberOfFrames
    assert full.SOPInstanceUID != short.SOPInstanceUID and full.SeriesInstanceUID != short.SeriesInstanceUID
    frames = full.pixel_array.reshape(2, len(asked.sources), full.Rows, full.Columns)
    for frame, mask in zip(frames, asked.masks.values(), strict=True):
        assert (frame.astype(bool) == mask).all()
    assert dciodvfy(saved(full, tmp_path)).clean
    assert not read(asked, Role.FULL_SEGMENTATION)


def test_frames_of_a_multi_frame_source_are_named_by_their_numbers() -> None:
    asked = CASES["multi-frame"]().asked
    (ds,) = read(asked, Role.SEGMENTATION)
    numbers = [
        groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for groups in ds.PerFrameFunctionalGroupsSequence
    ]
    (mask,) = asked.masks.values()
    assert numbers == [index + 1 for index in np.flatnonzero(mask.any(axis=(1, 2)))]
    (series,) = ds.ReferencedSeriesSequence
    assert len(series.ReferencedInstanceSequence) == 1


def test_a_radiograph_without_a_frame_of_reference_has_none() -> None:
    for role in (Role.SEGMENTATION, Role.FULL_SEGMENTATION):
        assert not read(CASES["radiograph inverted"]().asked, role, full_frame=True)
