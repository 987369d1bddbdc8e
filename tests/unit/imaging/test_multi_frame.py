"""Enhanced multi-frame images become the same volume as the slices that they were made of, and as other software reads them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import SimpleITK
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from imaging_cases import (
    AXIAL,
    CORONAL,
    FEET_UP,
    SAGITTAL,
    affine_of_image,
    lopsided,
    oblique,
    read_by_dcm2niix,
    series,
    stack_of,
)
from pydicom import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from test_decode import _rle as rle

from hospital.ct_series import Acquisition, dicom_bytes
from hospital.enhanced import enhanced_ct
from vigil.domain.errors import Category, VigilError
from vigil.imaging.arrived import ArrivedImages, read_arrived
from vigil.imaging.errors import UnreadablePixels
from vigil.imaging.load import LoadedStack, load_stack, load_volume
from vigil.intake.errors import TruncatedInstance
from vigil.intake.frames import images_of
from vigil.intake.header import read_header
from vigil.intake.stack import SliceStack, build_stack

SPACING = (2.5, 0.7, 0.9)
ORIENTATIONS = {"axial": AXIAL, "sagittal": SAGITTAL, "coronal": CORONAL, "feet up": FEET_UP, "oblique": oblique()}


def slices(orientation: tuple[float, ...] = AXIAL) -> list[Dataset]:
    return series(lopsided(), Acquisition(
        seed="multi-frame", spacing_mm=SPACING, origin_mm=(-31.25, 12.5, -140.75), orientation=orientation  # type: ignore[arg-type]
    ))


def loaded(image: Dataset) -> LoadedStack:
    dicom = dicom_bytes(image)
    return load_stack(stack(dicom), {"image": dicom}.get)


def stack(dicom: bytes) -> SliceStack:
    return build_stack(images_of(read_header("image", dicom)))


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_it_is_the_volume_of_its_slices_and_of_simpleitk(orientation: tuple[float, ...], tmp_path: Path) -> None:
    shuffled = [slices(orientation)[place] for place in (4, 0, 8, 2, 6, 1, 7, 3, 5)]
    whole = loaded(enhanced_ct(shuffled))
    apart, files = stack_of(slices(orientation))
    volume = load_volume(apart, files.get)
    np.testing.assert_array_equal(whole.volume.voxels, volume.voxels)
    np.testing.assert_allclose(whole.volume.affine, volume.affine, atol=1e-9)
    assert whole.frames == (2, 6, 4, 8, 1, 9, 5, 7, 3)
    (tmp_path / "ordered.dcm").write_bytes(dicom_bytes(enhanced_ct(slices(orientation))))
    image = SimpleITK.ReadImage(str(tmp_path / "ordered.dcm"))
    np.testing.assert_array_equal(whole.volume.voxels, SimpleITK.GetArrayFromImage(image))
    np.testing.assert_allclose(whole.volume.affine, affine_of_image(image), atol=1e-4)


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_its_voxels_lie_where_dcm2niix_puts_them(orientation: tuple[float, ...], tmp_path: Path) -> None:
    image = enhanced_ct(slices(orientation))
    volume = loaded(image).volume
    theirs, affine = read_by_dcm2niix([image], tmp_path)
    to_ours = np.linalg.inv(volume.affine) @ affine
    indices = np.stack(np.meshgrid(*(np.arange(count) for count in theirs.shape), indexing="ij"), -1).reshape(-1, 3)
    at = np.rint(indices @ to_ours[:3, :3].T + to_ours[:3, 3]).astype(int)
    assert theirs.size == volume.voxels.size
    np.testing.assert_array_equal(volume.voxels[at[:, 0], at[:, 1], at[:, 2]], theirs.ravel())


def test_one_that_highdicom_made_is_read_as_its_slices() -> None:
    made = LegacyConvertedEnhancedCTImage(slices(), generate_uid(), 5, generate_uid(), 1)
    whole = loaded(made)
    apart, files = stack_of(slices())
    np.testing.assert_array_equal(whole.volume.voxels, load_volume(apart, files.get).voxels)


def test_each_frame_has_its_own_rescale() -> None:
    image = enhanced_ct(slices())
    shared = image.SharedFunctionalGroupsSequence[0]
    del shared.PixelValueTransformationSequence
    for number, groups in enumerate(image.PerFrameFunctionalGroupsSequence):
        item = Dataset()
        item.RescaleIntercept, item.RescaleSlope, item.RescaleType = "-1024", str(1 + number), "HU"
        groups.PixelValueTransformationSequence = [item]
    stored = image.pixel_array.astype(np.float32)
    expected = stored * np.arange(1, 10, dtype=np.float32)[:, None, None] - 1024
    np.testing.assert_array_equal(loaded(image).volume.voxels, expected)


def test_a_ct_of_which_a_frame_says_no_rescale_is_refused() -> None:
    image = enhanced_ct(slices())
    del image.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    with pytest.raises(UnreadablePixels, match=r"slice 1 of 9: .*Rescale"):
        loaded(image)


ENCODERS: dict[UID, Callable[[np.ndarray], bytes]] = {  # type: ignore[type-arg]
    RLELossless: rle,
    JPEGLosslessSV1: imagecodecs.ljpeg_encode,
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: lambda values: imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", reversible=True),
    HTJ2KLossless: imagecodecs.htj2k_encode,
}


@pytest.mark.parametrize("table", ["basic", "none", "extended"])
@pytest.mark.parametrize("syntax", ENCODERS, ids=lambda syntax: str(UID(syntax).name))
def test_compressed_frames_are_found_with_and_without_an_offset_table(syntax: UID, table: str) -> None:
    image = enhanced_ct(slices())
    expected = loaded(image).volume.voxels
    frames = [ENCODERS[syntax](frame) for frame in image.pixel_array]
    image.file_meta.TransferSyntaxUID = syntax
    if table == "extended":
        image.PixelData, image.ExtendedOffsetTable, image.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    else:
        # In two fragments a frame where a table can tell; without one a fragment is a frame.
        image.PixelData = encapsulate(frames, fragments_per_frame=2 if table == "basic" else 1, has_bot=table == "basic")
    image["PixelData"].VR = "OB"
    np.testing.assert_array_equal(loaded(image).volume.voxels, expected)


def test_a_deflated_one_is_read() -> None:
    image = enhanced_ct(slices())
    expected = loaded(image).volume.voxels
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    np.testing.assert_array_equal(loaded(image).volume.voxels, expected)


def test_what_was_decoded_on_arrival_is_not_fetched_again_and_gives_the_same() -> None:
    dicom = dicom_bytes(enhanced_ct(slices()))
    arrived = read_arrived("image", dicom, lambda _: True)[1]
    assert arrived is not None and len(arrived.images) == 9
    held = ArrivedImages(10**7, 60.0)
    assert held.put(arrived)
    again = load_stack(stack(dicom), lambda _: None, held=lambda header: held.take(header.orthanc_id, header.content_sha256))
    first = load_stack(stack(dicom), {"image": dicom}.get)
    np.testing.assert_array_equal(again.volume.voxels, first.volume.voxels)
    assert (again.heads, again.frames) == (first.heads, first.frames)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_header_that_promises_ten_gigabytes_is_refused_before_anything_is_asked_for(compressed: bool) -> None:
    image = enhanced_ct(slices())
    if compressed:
        frames = [rle(frame) for frame in image.pixel_array]
        image.file_meta.TransferSyntaxUID, image.PixelData = RLELossless, encapsulate(frames)
        image["PixelData"].VR = "OB"
    image.NumberOfFrames, image.Rows, image.Columns = 20_000, 512, 512
    dicom = dicom_bytes(image)
    tracemalloc.start()
    with pytest.raises(TruncatedInstance):
        read_header("image", dicom)
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def test_one_that_would_not_fit_the_memory_of_a_volume_is_refused_unread() -> None:
    dicom = dicom_bytes(enhanced_ct(slices()))
    with pytest.raises(VigilError, match="9 slices of 20 x 14 need") as refused:
        load_stack(stack(dicom), lambda _: pytest.fail("read"), largest_bytes=9 * 20 * 14 * 4 - 1)
    assert refused.value.category is Category.STUDY_TOO_LARGE
