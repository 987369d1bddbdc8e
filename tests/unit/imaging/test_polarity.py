"""MONOCHROME1 turned over, within the range of the stored bits."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset

from hospital.ct_series import Patient, dicom_bytes
from hospital.radiograph import radiograph
from vigil.imaging.load import load_volume
from vigil.imaging.polarity import low_is_dark
from vigil.imaging.volume import Volume
from vigil.intake.flat import flat_stack
from vigil.intake.header import read_header
from vigil.intake.part10 import read_dataset

FILM = np.arange(600, dtype=np.float32).reshape(20, 30)


def read(image: Dataset) -> tuple[Volume, Volume]:
    """As it is stored, and as a network sees it."""
    dicom = dicom_bytes(image)
    volume = load_volume(flat_stack([read_header("image", dicom)]), {"image": dicom}.get)
    return volume, low_is_dark(volume, read_dataset(dicom))


def test_one_image_stored_in_both_ways_is_the_same_to_a_network() -> None:
    plain, inverted = (
        radiograph(4095 - FILM if flag else FILM, patient=Patient(), inverted=flag) for flag in (False, True)
    )
    np.testing.assert_array_equal(read(plain)[1].voxels[0], FILM)
    np.testing.assert_array_equal(read(inverted)[1].voxels[0], FILM)
    np.testing.assert_array_equal(read(inverted)[0].voxels[0], 4095 - FILM)


@pytest.mark.parametrize(("signed", "expected"), [(0, (0 + 4095) * 2 - 20), (1, -1 * 2 - 20)])
def test_it_is_turned_over_after_the_rescale(signed: int, expected: float) -> None:
    image = radiograph(FILM, patient=Patient(), inverted=True)
    image.PixelRepresentation, image.RescaleSlope, image.RescaleIntercept = signed, "2", "-10"
    stored, seen = read(image)
    np.testing.assert_array_equal(stored.voxels + seen.voxels, np.full_like(stored.voxels, expected))


def test_rows_and_columns_stay_where_they_are() -> None:
    volume = read(radiograph(FILM, patient=Patient()))[0]
    np.testing.assert_allclose(volume.affine, [[0, 0, 0.14, 0], [0, 0.14, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
