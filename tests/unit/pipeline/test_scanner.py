"""The operating point of a scanner: the first rule that all images fit, of those that the manifest has."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from hospital.ct_series import Acquisition, Patient, ct_series, dicom_bytes
from vigil.intake.header import ImageHeader, read_header
from vigil.pipeline.scanner import at_scanner
from vigil.settings import ModelSettings

SITE = ModelSettings.model_validate_json(json.dumps({"Stage": "live", "OperatingPoint": "default", "Scanners": [
    {"Manufacturer": "siemens", "Model": "force", "OperatingPoint": "sharp"},
    {"Manufacturer": "siemens", "OperatingPoint": "sensitive"}, {"Manufacturer": "GE", "OperatingPoint": "specific"}]}))


@pytest.fixture(scope="module")
def header() -> ImageHeader:
    image = next(ct_series(np.zeros((1, 8, 8)), Acquisition("scanner", (4.0, 1.0, 1.0)), Patient()))
    return read_header("one", dicom_bytes(image))


@pytest.mark.parametrize(("maker", "model", "point"), [
    ("SIEMENS", "SOMATOM Force", "sharp"), ("Siemens Healthineers", "Definition AS", "sensitive"), ("siemens", "", "sensitive"),
    ("GE MEDICAL SYSTEMS", "Revolution", "specific"), ("GENERAL", "", "default"), ("", "Force", "default"),
])
def test_the_first_rule_that_fits_counts_and_none_leaves_the_model_s_own(
    header: ImageHeader, maker: str, model: str, point: str,
) -> None:
    image = replace(header, manufacturer=maker, manufacturer_model=model)
    assert at_scanner(SITE, [image, image]).operating_point == point


def test_images_of_two_scanners_and_no_images_have_the_model_s_own(header: ImageHeader) -> None:
    two = [replace(header, manufacturer=maker) for maker in ("SIEMENS", "GE")]
    assert at_scanner(SITE, two).operating_point == at_scanner(SITE, []).operating_point == "default"
