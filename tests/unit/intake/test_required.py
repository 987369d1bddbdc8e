"""An attribute is found where the kind of image has it: at the top of a slice, or in a group of all frames or of the first."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.enhanced import enhanced_ct
from vigil.intake.part10 import read_dataset
from vigil.intake.required import missing_attributes

ASKED = ("ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope", "KVP", "Manufacturer")


@pytest.fixture(scope="module")
def slices() -> list[Dataset]:
    return list(ct_series(np.zeros((3, 8, 8)), Acquisition("required", spacing_mm=(2.0, 1.0, 1.0))))


def test_a_slice_has_them_at_its_top(slices: list[Dataset]) -> None:
    assert missing_attributes([read_dataset(dicom_bytes(ds)) for ds in slices], ASKED) == ()


def test_a_multi_frame_image_has_them_in_its_groups(slices: list[Dataset]) -> None:
    image = enhanced_ct(slices)
    assert missing_attributes([read_dataset(dicom_bytes(image))], ASKED) == ("KVP",)
    details, exposure = Dataset(), Dataset()
    exposure.KVP = "120"
    details.CTXRayDetailsSequence = [exposure]
    diffusion, directions, direction = Dataset(), Dataset(), Dataset()
    direction.DiffusionGradientOrientation = [1.0, 0.0, 0.0]
    directions.DiffusionGradientDirectionSequence = [direction]
    diffusion.MRDiffusionSequence = [directions]
    image.SharedFunctionalGroupsSequence[0].update(details)
    image.PerFrameFunctionalGroupsSequence[0].update(diffusion)
    for syntax in (image.file_meta.TransferSyntaxUID, ImplicitVRLittleEndian):
        again = dcmread(BytesIO(dicom_bytes(image)))
        buffer = BytesIO()
        again.file_meta.TransferSyntaxUID = syntax
        again.save_as(buffer, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
        asked = (*ASKED, "DiffusionGradientOrientation", "DiffusionBValue")
        assert missing_attributes([read_dataset(buffer.getvalue())], asked) == ("DiffusionBValue",)


def test_one_image_that_lacks_it_is_enough(slices: list[Dataset]) -> None:
    lacking = dcmread(BytesIO(dicom_bytes(slices[1])))
    del lacking.KVP
    lacking.Manufacturer = ""
    headers = [read_dataset(dicom_bytes(ds)) for ds in (slices[0], lacking, slices[2])]
    assert missing_attributes(headers, ASKED) == ("KVP", "Manufacturer")
    assert missing_attributes(headers, ()) == ()
