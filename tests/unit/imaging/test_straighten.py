"""A tilted gantry's volume made straight, against SimpleITK's resampling and dcm2niix's own correction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from imaging_cases import AXIAL, CORONAL, lopsided, oblique, read_by_dcm2niix, series

from hospital.ct_series import Acquisition, dicom_bytes
from vigil.domain.answer import Measurement
from vigil.domain.boxes import PatientBox, Rectangle
from vigil.domain.codes import PERCENT, PROBABILITY
from vigil.imaging.load import load_volume
from vigil.imaging.straighten import straighten
from vigil.imaging.volume import Volume
from vigil.intake.header import read_header
from vigil.intake.stack import build_stack

SPACING = (2.5, 0.7, 0.9)


def tilted(drift: tuple[float, float], orientation: tuple[float, ...] = AXIAL, hu: np.ndarray | None = None) -> Volume:
    acquisition = Acquisition(
        seed="tilt", spacing_mm=SPACING, origin_mm=(-31.25, 12.5, -140.75), orientation=orientation, drift=drift  # type: ignore[arg-type]
    )
    files = {str(index): dicom_bytes(ds) for index, ds in enumerate(series(lopsided() if hu is None else hu, acquisition))}
    stack = build_stack([read_header(name, data) for name, data in files.items()], largest_tilt_degrees=45)
    return load_volume(stack, files.__getitem__)


def in_simpleitk(volume: Volume) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(volume.voxels)
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    image.SetSpacing(spacing[::-1].tolist())
    image.SetDirection((volume.affine[:3, :3] / spacing)[:, ::-1].ravel().tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    return image


def test_a_straight_volume_is_left_as_it_is() -> None:
    volume = tilted((0.0, 0.0), oblique())
    straight = straighten(volume)
    assert straight.volume is volume
    mask = volume.voxels > 0
    assert straight.back(mask) is mask


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, oblique()], ids=["axial", "coronal", "oblique"])
@pytest.mark.parametrize("drift", [(0.0, 0.36), (0.0, -0.36), (0.27, 0.0), (-0.2, 0.3)], ids=str)
def test_each_voxel_of_the_straight_volume_is_what_lies_at_its_place(
    orientation: tuple[float, ...], drift: tuple[float, float]
) -> None:
    volume = tilted(drift, orientation)
    straight = straighten(volume).volume
    axes = straight.affine[:3, :3]
    np.testing.assert_allclose(axes.T @ axes, np.diag(np.square(SPACING)), atol=1e-4)
    image = in_simpleitk(straight)
    padded = SimpleITK.ConstantPad(in_simpleitk(volume), [2, 2, 0], [2, 2, 0], float(volume.voxels.min()))
    expected = SimpleITK.Resample(padded, image, SimpleITK.Transform(), SimpleITK.sitkLinear, float(volume.voxels.min()))
    np.testing.assert_allclose(straight.voxels, SimpleITK.GetArrayFromImage(expected), atol=0.5)


def test_a_volume_that_drifts_by_whole_pixels_comes_back_to_the_last_value() -> None:
    hu = lopsided()
    straight = straighten(tilted((0.9 / 2.5 * 2, -0.7 / 2.5), hu=hu))
    assert straight.volume.voxels.shape == (9, 20 + 8, 14 + 16)
    for index in range(9):
        np.testing.assert_allclose(straight.volume.voxels[index, 8 - index:28 - index, 2 * index:2 * index + 14], hu[index],
                                   atol=0.05)


@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.integers(0, 2**32))
def test_a_mask_goes_there_and_back_to_where_it_was(along_row: float, along_column: float, seed: int) -> None:
    affine = np.diag([2.5, 0.7, 0.9, 1.0])
    affine[:3, 0] = (2.5, 2.5 * along_column, 2.5 * along_row)
    mask = np.zeros((7, 24, 20), np.bool_)
    corner = np.random.default_rng(seed).integers(0, (3, 12, 10))
    mask[corner[0]:corner[0] + 4, corner[1]:corner[1] + 9, corner[2]:corner[2] + 8] = True
    straight = straighten(Volume(mask.astype(np.float32), affine))
    back = straight.back(straight.volume.voxels >= 0.5)
    assert back.shape == mask.shape
    assert np.count_nonzero(back != mask) <= 0.3 * np.count_nonzero(mask), "edges move by half a pixel at most"
    inner = np.zeros_like(mask)
    inner[corner[0]:corner[0] + 4, corner[1] + 1:corner[1] + 8, corner[2] + 1:corner[2] + 7] = True
    assert back[inner].all()
    assert not back[:corner[0]].any() and not back[corner[0] + 4:].any()


@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
def test_a_box_comes_back_to_where_its_voxels_do(along_row: float, along_column: float) -> None:
    affine = np.diag([2.5, 0.7, 0.9, 1.0])
    affine[:3, 0] = (2.5, 2.5 * along_column, 2.5 * along_row)
    straight = straighten(Volume(np.zeros((7, 24, 20), np.float32), affine))
    rows, columns = straight.volume.voxels.shape[1:]
    filled = np.zeros(straight.volume.voxels.shape, np.bool_)
    filled[1:6, rows // 3:rows // 3 + 7, columns // 4:columns // 4 + 6] = True
    box = PatientBox(Measurement(PROBABILITY, 50.0, PERCENT), tuple(
        Rectangle(index, rows // 3, rows // 3 + 7, columns // 4, columns // 4 + 6) for index in range(1, 6)))
    back, mask = straight.box_back(box), straight.back(filled)
    parts = {} if back is None else {part.index: part for part in back.rectangles}
    for index, plane in enumerate(mask):
        where = np.argwhere(plane)
        if not where.size:
            assert index not in parts or min(parts[index].bottom - parts[index].top, parts[index].right - parts[index].left) < 1
            continue
        edges = (*where.min(axis=0), *(where.max(axis=0) + 1))
        part = parts[index]
        assert (part.top, part.left, part.bottom, part.right) == pytest.approx(edges, abs=0.51)
        assert 0 <= part.top < part.bottom <= 24 and 0 <= part.left < part.right <= 20


def test_a_box_beside_every_image_is_none() -> None:
    affine = np.diag([2.5, 0.7, 0.9, 1.0])
    affine[1, 0] = 1.4  # each slice two rows further
    straight = straighten(Volume(np.zeros((7, 24, 20), np.float32), affine))
    outside = int(straight.moves[6, 0]) + 24
    box = PatientBox(Measurement(PROBABILITY, 50.0, PERCENT), (Rectangle(0, outside - 3, outside, 2, 5),))
    assert straight.box_back(box) is None


@pytest.mark.parametrize("drift", [0.36, -0.27])
def test_it_is_as_dcm2niix_corrects_it(drift: float, tmp_path: Path) -> None:
    """dcm2niix keeps the matrix's width and blends as we do: compared where both lie well inside the field of view."""
    shape = (24, 80, 40)
    z, y, x = np.meshgrid(*(np.arange(count) for count in shape), indexing="ij")
    hu = (400 + 8 * y + 5 * x - 6 * z).astype(np.float32)
    acquisition = Acquisition(seed="tilt", spacing_mm=(2.0, 1.0, 1.0), drift=(0.0, drift))
    datasets = series(hu, acquisition)
    for ds in datasets:
        ds.GantryDetectorTilt = f"{np.degrees(np.arctan(drift)):.4f}"
    files = {str(index): dicom_bytes(ds) for index, ds in enumerate(datasets)}
    stack = build_stack([read_header(name, data) for name, data in files.items()], largest_tilt_degrees=45)
    straight = straighten(load_volume(stack, files.__getitem__)).volume
    theirs, affine = read_by_dcm2niix(datasets, tmp_path, "*_Tilt*.nii")
    to_ours = np.linalg.inv(straight.affine) @ affine
    compared = 0
    for index in np.ndindex(*(count // 4 for count in theirs.shape)):
        voxel = np.array(index) * 4
        ours = to_ours @ (*voxel, 1)
        nearest = np.rint(ours[:3]).astype(int)
        moved = drift * 2.0 * (nearest[0] if drift > 0 else nearest[0] - 23)
        if 0 <= nearest[0] < 24 and 8 <= nearest[1] - moved < 72 and 8 <= nearest[2] < 32:
            compared += 1
            off = ours[:3] - nearest
            value = straight.voxels[tuple(nearest)] + 8 * off[1] + 5 * off[2]
            assert theirs[tuple(voxel)] == pytest.approx(value, abs=20), (voxel, ours)
    assert compared > 300
