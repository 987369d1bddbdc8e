"""What is refused before a network sees it, and what of this an author accepts."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from pydicom import Dataset
from quality_cases import changed, synthetic_head

from vigil.domain.errors import Category, VigilError
from vigil.domain.manifest import SeriesInput
from vigil.imaging.unfit import refuse_unfit
from vigil.imaging.volume import Volume


def wanted(**quality: object) -> SeriesInput:
    return SeriesInput.model_validate(
        {"name": "any", "minimum_slices": 1, "minimum_coverage_mm": 1, "quality": quality})


def source(modality: str = "CT", **attributes: object) -> Dataset:
    """As it is read from a file: raw."""
    from io import BytesIO

    from pydicom import dcmread

    ds = Dataset()
    ds.Modality = modality
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    buffer = BytesIO()
    ds.save_as(buffer, implicit_vr=False, little_endian=True)
    return dcmread(buffer, force=True)


def category(volume: Volume, asked: SeriesInput, *sources: Dataset) -> Category | None:
    try:
        refuse_unfit(volume, sources or (source(),), asked)
    except VigilError as error:
        return error.category
    return None


HEAD = synthetic_head()
WHITE = HEAD.voxels.copy()
WHITE[3, :40] = 3071
FAULTS = {
    "values": (HEAD.voxels + 1024, Category.IMPLAUSIBLE_VALUES),
    "saturation": (WHITE, Category.SATURATED_VALUES),
    "truncation": (HEAD.voxels[:, :, 64:], Category.TRUNCATED_ANATOMY),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_refused_unless_the_author_accepts_it(name: str) -> None:
    voxels, expected = FAULTS[name]
    assert category(HEAD, wanted()) is None
    assert category(changed(HEAD, voxels), wanted()) is expected
    others_accepted = {other: "accept" for other in FAULTS if other != name}
    assert category(changed(HEAD, voxels), wanted(**others_accepted)) is expected
    if name != "values":  # of values that are none nothing else can be said
        assert category(changed(HEAD, voxels), wanted(**{name: "accept"})) is None
    else:
        assert category(changed(HEAD, voxels), wanted(values="accept", truncation="accept")) is None


def test_units_and_field_of_view_are_asked_of_ct_alone_and_saturation_of_every_volume() -> None:
    for name, (voxels, expected) in FAULTS.items():
        assert category(changed(HEAD, voxels), wanted(), source("MR")) is (expected if name == "saturation" else None)


def test_a_blank_slice_is_always_refused() -> None:
    voxels = HEAD.voxels.copy()
    voxels[20] = 0
    accepted = wanted(**dict.fromkeys(FAULTS, "accept"))
    assert category(changed(HEAD, voxels), accepted) is Category.UNREADABLE_INSTANCE


def test_of_a_projection_image_the_highest_value_is_no_fault() -> None:
    flat = SeriesInput.model_validate({"name": "chest", "dimensions": 2, "minimum_slices": 1})
    film = np.full((1, 40, 40), 4095.0, np.float32)
    film[0, :10] = 100
    assert category(Volume(film, np.eye(4)), flat, source("DX")) is None


def test_what_a_model_needs_of_the_header_is_asked_of_every_image_and_named() -> None:
    asked = wanted(required_attributes=["KVP", "ExposureTime"])
    whole = source(KVP="120", ExposureTime="500")
    assert category(HEAD, asked, whole, whole) is None
    for lacking in (source(KVP="120"), source(KVP="120", ExposureTime=None), source(KVP="120", ExposureTime="")):
        with pytest.raises(VigilError, match="the header lacks ExposureTime, which this model needs") as caught:
            refuse_unfit(HEAD, (whole, lacking), asked)
        assert caught.value.category is Category.MISSING_ATTRIBUTE
    with pytest.raises(VigilError, match="lacks KVP, ExposureTime,"):
        refuse_unfit(HEAD, (source(),), asked)


@pytest.mark.parametrize("keyword", ["EchoTme", "", "0018,0081"])
def test_a_manifest_that_asks_for_what_dicom_does_not_know_is_refused(keyword: str) -> None:
    with pytest.raises(ValidationError, match="is no keyword of DICOM"):
        wanted(required_attributes=[keyword])
