"""The captures as one object: the same pixels, each frame in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from result_cases import CASES
from result_files import read

from validators.dicom3tools import dciodvfy
from vigil.results.objects import Role
from vigil.results.options import CaptureSyntax


@pytest.mark.parametrize("name", ["positive", "multi-frame", "radiograph inverted"])
def test_its_frames_are_the_single_captures_and_each_names_its_source(name: str, tmp_path: Path) -> None:
    asked = CASES[name]().asked
    singles = read(asked, Role.KEY_SLICE)
    (whole,) = read(asked, Role.MULTIFRAME, multiframe=True)
    frames = whole.pixel_array.reshape(-1, whole.Rows, whole.Columns, 3)
    assert whole.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7.4"
    assert whole.NumberOfFrames == len(singles) == len(frames)
    for single, frame, groups in zip(singles, frames, whole.PerFrameFunctionalGroupsSequence, strict=True):
        assert (single.pixel_array == frame).all()
        (source,) = groups.DerivationImageSequence[0].SourceImageSequence
        (expected,) = single.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == expected.ReferencedSOPInstanceUID
        assert source.get("ReferencedFrameNumber") == expected.get("ReferencedFrameNumber")
        if "ImagePositionPatient" in single:
            assert groups.PlanePositionSequence[0].ImagePositionPatient == single.ImagePositionPatient
    path = tmp_path / "whole.dcm"
    whole.save_as(path)
    assert dciodvfy(path).clean
    whole.NumberOfFrames = None
    whole.save_as(path)
    assert dciodvfy(path).errors


def test_it_is_made_only_on_request_and_where_there_is_a_slice_to_show() -> None:
    assert not read(CASES["positive"]().asked, Role.MULTIFRAME)
    assert not read(CASES["negative"]().asked, Role.MULTIFRAME, multiframe=True)


def test_compressed_frames_bear_the_same_pixels() -> None:
    asked = CASES["positive"]().asked
    (plain,) = read(asked, Role.MULTIFRAME, multiframe=True)
    (packed,) = read(asked, Role.MULTIFRAME, multiframe=True, capture_syntax=CaptureSyntax.JPEG_LS)
    assert np.array_equal(plain.pixel_array, packed.pixel_array)
