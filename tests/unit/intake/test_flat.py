"""Projection images as a model of two dimensions sees them: one, by itself, or why none."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing, generate_uid

from hospital.ct_series import Patient
from hospital.moving_pictures import moving_picture
from hospital.radiograph import radiograph
from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.domain.identity import PRODUCT
from vigil.domain.manifest import Manifest
from vigil.intake.appraise import Appraisal, Verdict, appraise

FILM = np.arange(600, dtype=np.float32).reshape(20, 30)
QUIET = dt.timedelta(hours=1)


def film(seed: str = "film", **changes: object) -> Dataset:
    ds = radiograph(FILM + len(seed), patient=Patient(), seed=seed)
    ds.StudyInstanceUID = "1.2.3"
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def seen(manifest, content_of, now):
    volume = manifest()
    scope = {"modality": ["DX"], "body_part": {"any_of": ["CHEST"]}, "views": {"any_of": ["PA"]}}
    flat = Manifest.model_construct(**{
        **{name: getattr(volume, name) for name in Manifest.model_fields},
        "scope": type(volume.scope).model_validate(scope),
        "inputs": (type(volume.inputs[0])(name="chest", dimensions=2, minimum_slices=1, give_up_after_s=60),),
    })

    def look(*images: Dataset, quiet: dt.timedelta = QUIET) -> Appraisal:
        return appraise(content_of(list(images)), flat, now=now, quiet_since=now - quiet, stable_age_s=60)

    return look


def reason_of(appraisal: Appraisal) -> Reason:
    assert appraisal.verdict is Verdict.REFUSED
    assert appraisal.reason is not None
    return appraisal.reason


def test_one_that_suits_is_taken_when_it_is_quiet(seen):
    assert seen(film(), quiet=dt.timedelta(0)).verdict is Verdict.WAITING
    found = seen(film())
    assert found.verdict is Verdict.WANTED
    assert found.stack.spacing_mm == (1.0, 0.14, 0.14)
    assert len(found.inputs) == 1


def test_a_calibrated_spacing_goes_before_that_of_the_detector(seen):
    assert seen(film(PixelSpacing=["0.1", "0.1"])).stack.spacing_mm == (1.0, 0.1, 0.1)


def test_another_view_is_left_out_and_says_so(seen):
    found = seen(film(), film("lateral", ViewPosition="LL"))
    assert (found.verdict, len(found.inputs)) == (Verdict.WANTED, 1)
    only = reason_of(seen(film(ViewPosition="LL")))
    assert (only.category, "the view is LL" in only.text) == (Category.OUT_OF_SCOPE, True)


def test_of_two_that_suit_none_is_taken(seen):
    reason = reason_of(seen(film(ImageLaterality="L"), film("other side", ImageLaterality="R")))
    assert reason.category is Category.NO_SUITABLE_SERIES
    assert reason.text.startswith("2 images of the study suit this model (L PA, R PA)")


def test_the_same_one_under_two_uids_is_one(seen):
    assert seen(film(), film(SOPInstanceUID=generate_uid())).verdict is Verdict.WANTED


def test_the_raw_image_of_the_detector_is_refused(seen):
    raw = film(SOPClassUID=DigitalXRayImageStorageForProcessing)
    raw.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForProcessing
    assert "For Presentation" in reason_of(seen(raw)).text


def test_several_frames_are_refused(seen):
    cine = film(NumberOfFrames=2)
    cine.PixelData = cine.PixelData * 2
    assert "multi-frame" in reason_of(seen(cine)).text


def loop(seed: str = "loop", frames: int = 5, **changes: object) -> Dataset:
    values = np.random.default_rng(list(seed.encode())).integers(0, 256, (frames, 20, 30), np.uint8)
    return moving_picture(values, "US", seed, **changes)


@pytest.fixture
def watched(manifest, content_of, now):
    volume = manifest()
    scope = {"modality": ["US", "OT"], "body_part": {"any_of": ["HEART"]}}

    def look(*images: Dataset, **changes: object) -> Appraisal:
        wanted = {"name": "echo", "dimensions": 2, "minimum_slices": 1, "give_up_after_s": 60, "frames": "each", **changes}
        flat = Manifest.model_construct(**{
            **{name: getattr(volume, name) for name in Manifest.model_fields},
            "scope": type(volume.scope).model_validate(scope), "inputs": (type(volume.inputs[0]).model_validate(wanted),)})
        return appraise(content_of(list(images)), flat, now=now, quiet_since=now - QUIET, stable_age_s=60)

    return look


def test_each_frame_of_a_loop_is_a_slice_where_the_model_asks_for_it(watched):
    found = watched(loop())
    assert found.verdict is Verdict.WANTED
    assert [header.frame for header in found.stack.headers] == [1, 2, 3, 4, 5]
    (taken,) = found.inputs
    assert taken.frames == (1, 2, 3, 4, 5)
    refused = reason_of(watched(loop(), frames="refuse"))
    assert "holds multi-frame images" in refused.text


def test_a_loop_of_more_frames_than_the_model_takes_is_refused(watched):
    reason = reason_of(watched(loop(), maximum_slices=4))
    assert (reason.category, reason.text) == (Category.STUDY_TOO_LARGE, "5 frames; this model takes at most 4")


def test_of_two_loops_none_is_taken(watched):
    assert reason_of(watched(loop(), loop("other", PatientID="VIGIL-loop"))).text.startswith("2 images of the study suit")


def capture(**changes: object) -> Dataset:
    return moving_picture(np.random.default_rng(1).integers(0, 256, (1, 20, 30), np.uint8), "OT", "capture", **changes)


def test_a_secondary_capture_is_looked_at_where_the_model_asks_for_it_and_never_one_of_ours(watched):
    assert "secondary" in reason_of(watched(capture())).text
    assert watched(capture(), excluded_image_types=()).verdict is Verdict.WANTED
    ours = Dataset()
    ours.Manufacturer = PRODUCT
    assert watched(capture(ContributingEquipmentSequence=[ours]), excluded_image_types=()).verdict is Verdict.NOT_APPLICABLE
