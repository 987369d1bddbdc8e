"""A series becomes the same volume, at the same place, as other software reads of it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from imaging_cases import (
    AXIAL,
    CORONAL,
    FEET_UP,
    SAGITTAL,
    affine_of_image,
    lopsided,
    oblique,
    read_by_dcm2niix,
    read_by_simpleitk,
    series,
    stack_of,
)
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import RLELossless

from hospital.ct_series import Acquisition, dicom_bytes
from hospital.moving_pictures import moving_picture
from vigil.domain.errors import Category, Stopping
from vigil.imaging.arrived import ArrivedImages, read_arrived
from vigil.imaging.errors import ImageGone, ImageReplaced, UnreadablePixels, UnsupportedPixels, VolumeTooLarge
from vigil.imaging.load import load_stack, load_volume
from vigil.intake.flat import flat_stack
from vigil.intake.frames import images_of
from vigil.intake.header import read_header
from vigil.intake.part10 import read_dataset

SPACING = (2.5, 0.7, 0.9)


@pytest.mark.parametrize(
    "orientation", [AXIAL, SAGITTAL, CORONAL, FEET_UP, oblique()], ids=["axial", "sagittal", "coronal", "feet up", "oblique"]
)
def test_voxels_and_affine_are_those_of_simpleitk(orientation: tuple[float, ...], tmp_path: Path) -> None:
    acquisition = Acquisition(
        seed="load", spacing_mm=SPACING, origin_mm=(-31.25, 12.5, -140.75), orientation=orientation  # type: ignore[arg-type]
    )
    datasets = series(lopsided(), acquisition)
    stack, files = stack_of(datasets)
    volume = load_volume(stack, files.get)
    image = read_by_simpleitk(datasets, tmp_path)
    np.testing.assert_array_equal(volume.voxels, SimpleITK.GetArrayFromImage(image))
    np.testing.assert_allclose(volume.affine, affine_of_image(image), atol=1e-4)
    assert volume.voxels.dtype == np.float32
    assert volume.spacing_mm == pytest.approx(SPACING, abs=1e-5)


@pytest.mark.parametrize(
    "orientation", [AXIAL, SAGITTAL, CORONAL, FEET_UP, oblique()], ids=["axial", "sagittal", "coronal", "feet up", "oblique"]
)
def test_voxels_and_their_places_are_those_of_dcm2niix(orientation: tuple[float, ...], tmp_path: Path) -> None:
    """It turns rows, and slices where it likes: so places are compared, not arrays."""
    acquisition = Acquisition(
        seed="nii", spacing_mm=SPACING, origin_mm=(-31.25, 12.5, -140.75), orientation=orientation  # type: ignore[arg-type]
    )
    datasets = series(lopsided(), acquisition)
    stack, files = stack_of(datasets)
    volume = load_volume(stack, files.get)
    theirs, affine = read_by_dcm2niix(datasets, tmp_path)
    to_ours = np.linalg.inv(volume.affine) @ affine
    indices = np.stack(np.meshgrid(*(np.arange(count) for count in theirs.shape), indexing="ij"), -1).reshape(-1, 3)
    ours = indices @ to_ours[:3, :3].T + to_ours[:3, 3]
    np.testing.assert_allclose(ours, np.rint(ours), atol=2e-3)
    at = np.rint(ours).astype(int)
    assert theirs.size == volume.voxels.size
    np.testing.assert_array_equal(volume.voxels[at[:, 0], at[:, 1], at[:, 2]], theirs.ravel())


def test_slices_lie_in_the_stack_s_order_and_hold_what_was_sent() -> None:
    hu = lopsided()
    stack, files = stack_of(series(hu, Acquisition(seed="order", spacing_mm=SPACING)))
    np.testing.assert_array_equal(load_volume(stack, files.get).voxels, hu)


def test_more_than_the_limit_is_refused_before_anything_is_read() -> None:
    stack, _ = stack_of(series(lopsided(), Acquisition(seed="large", spacing_mm=SPACING)))
    asked: list[str] = []

    def fetch(name: str) -> bytes | None:
        asked.append(name)
        return None

    with pytest.raises(VolumeTooLarge) as caught:
        load_volume(stack, fetch, largest_bytes=9 * 20 * 14 * 4 - 1)
    assert caught.value.category is Category.STUDY_TOO_LARGE
    assert asked == []


def test_an_image_deleted_meanwhile_is_named_as_such() -> None:
    stack, files = stack_of(series(lopsided(), Acquisition(seed="gone", spacing_mm=SPACING)))
    del files["image-4"]
    with pytest.raises(ImageGone) as caught:
        load_volume(stack, files.get)
    assert caught.value.category is Category.INCOMPLETE


def test_a_stop_ends_the_reading() -> None:
    stack, files = stack_of(series(lopsided(), Acquisition(seed="stop", spacing_mm=SPACING)))
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopping):
        load_volume(stack, files.get, stop=stop)


def test_a_slice_that_cannot_be_decoded_is_named() -> None:
    datasets = series(lopsided(), Acquisition(seed="short", spacing_mm=SPACING))
    for dataset in datasets:
        dataset.compress(RLELossless)
    broken = generate_frames(datasets[2].PixelData, number_of_frames=1)
    datasets[2].PixelData = encapsulate([next(broken)[:-200]])
    stack, files = stack_of(datasets)
    with pytest.raises(UnreadablePixels) as caught:
        load_volume(stack, files.get)
    assert caught.value.message.startswith("slice 3 of 9: ")


def test_another_image_under_the_id_of_a_chosen_one_is_refused() -> None:
    stack, files = stack_of(series(lopsided(), Acquisition(seed="replaced", spacing_mm=SPACING)))
    _, other = stack_of(series(lopsided(seed=4), Acquisition(seed="replaced", spacing_mm=SPACING)))
    with pytest.raises(ImageReplaced) as caught:
        load_volume(stack, lambda name: other[name] if name == "image-2" else files[name])
    assert caught.value.category is Category.INCOMPLETE


@pytest.mark.parametrize("held_every", [1, 2, 100])
def test_what_was_read_on_arrival_makes_the_same_volume_and_is_not_fetched_again(held_every: int) -> None:
    stack, files = stack_of(series(lopsided(), Acquisition(seed="held", spacing_mm=SPACING)))
    images = ArrivedImages(1 << 20, 60)
    early = [f"image-{number}" for number in range(0, 9, held_every)]
    for name in early:
        arrived = read_arrived(name, files[name], lambda _: True)[1]
        assert arrived is not None
        assert images.put(arrived)
    fetched: list[str] = []

    def fetch(name: str) -> bytes | None:
        fetched.append(name)
        return files[name]

    loaded = load_stack(stack, fetch, held=lambda header: images.take(header.orthanc_id, header.content_sha256))
    whole = load_stack(stack, files.get)
    np.testing.assert_array_equal(loaded.volume.voxels, whole.volume.voxels)
    assert loaded.heads == whole.heads
    assert [read_dataset(head).SOPInstanceUID for head in loaded.heads] == [item.sop_instance_uid for item in stack.headers]
    assert sorted(fetched) == sorted(set(files) - set(early))


@pytest.mark.parametrize("colour", ["luminance", "rgb"])
def test_colours_are_told_as_bright_as_they_look_and_apart_where_they_are_asked_for(colour: Any) -> None:
    values = np.random.default_rng(3).integers(0, 256, (4, 20, 30, 3), np.uint8)
    dicom = dicom_bytes(moving_picture(values, "US", "colours"))
    header = read_header("loop", dicom)
    loaded = load_stack(flat_stack(images_of(header)), {"loop": dicom}.get, colour=colour)
    assert np.abs(loaded.volume.voxels - values @ np.array([0.299, 0.587, 0.114])).max() < 1e-3
    assert loaded.frames == (1, 2, 3, 4)
    apart = {name: plane.voxels for name, plane in loaded.colours.items()}
    assert set(apart) == (set() if colour == "luminance" else {"red", "green", "blue"})
    for index, name in enumerate(apart):
        assert (apart[name] == values[..., index]).all()


def test_of_a_grey_image_all_colours_are_the_same_and_colours_nobody_asked_for_are_refused() -> None:
    grey = np.random.default_rng(4).integers(0, 256, (3, 20, 30), np.uint8)
    dicom = dicom_bytes(moving_picture(grey, "XA", "grey"))
    loaded = load_stack(flat_stack(images_of(read_header("loop", dicom))), {"loop": dicom}.get, colour="rgb")
    assert all((plane.voxels == grey).all() for plane in loaded.colours.values())
    dicom = dicom_bytes(moving_picture(np.zeros((1, 20, 30, 3), np.uint8), "US", "colours"))
    with pytest.raises(UnsupportedPixels, match="no grey values"):
        load_stack(flat_stack(images_of(read_header("one", dicom))), {"one": dicom}.get)


def test_the_colours_of_a_long_loop_count_against_what_a_volume_may_take() -> None:
    dicom = dicom_bytes(moving_picture(np.zeros((4, 20, 30, 3), np.uint8), "US", "colours"))
    stack = flat_stack(images_of(read_header("loop", dicom)))
    with pytest.raises(VolumeTooLarge):
        load_stack(stack, {"loop": dicom}.get, colour="rgb", largest_bytes=4 * 4 * 20 * 30)
