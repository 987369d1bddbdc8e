"""One volume on the voxels of another: by their places in the patient, whatever way either was scanned."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product

import numpy as np
import pytest
from imaging_cases import AXIAL, CORONAL, FEET_UP, SAGITTAL, lopsided, oblique, series, stack_of
from numpy.typing import NDArray

from hospital.ct_series import Acquisition
from vigil.imaging.geometry import affine_of
from vigil.imaging.onto import onto, uncovered_share
from vigil.imaging.volume import Volume

OUTSIDE = -77.0


def grid(orientation: tuple[float, ...], spacing_mm: tuple[float, float, float], shape: tuple[int, int, int],
         at_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> NDArray[np.float64]:  # fmt: skip
    """An affine, written down without the product: its middle voxel lies at ``at_mm``."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([np.cross(row, column), column, row], axis=1) * spacing_mm
    affine[:3, 3] = np.array(at_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def at(affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Patient coordinates of every voxel, [slice, row, column, 3]."""
    index = np.stack(np.meshgrid(*(np.arange(side) for side in shape), indexing="ij"), axis=-1)
    return np.asarray(index @ affine[:3, :3].T + affine[:3, 3])


def slope(places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Of no symmetry, and linear: a linear interpolation gives exactly it."""
    return np.asarray(places @ [3.0, -7.0, 11.0] + 50, np.float32)


def field(orientation: tuple[float, ...], spacing_mm: tuple[float, float, float], shape: tuple[int, int, int],
          what: Callable[[NDArray[np.float64]], NDArray[np.float32]] = slope, **more: tuple[float, float, float]) -> Volume:
    affine = grid(orientation, spacing_mm, shape, **more)
    return Volume(what(at(affine, shape)), affine)


WAYS = {"axial": AXIAL, "sagittal": SAGITTAL, "coronal": CORONAL, "feet up": FEET_UP, "oblique": oblique()}


@pytest.mark.parametrize("of", WAYS)
@pytest.mark.parametrize("to", WAYS)
def test_every_voxel_of_the_reference_is_given_what_lies_at_its_place(of: str, to: str) -> None:
    volume = field(WAYS[of], (4.0, 1.5, 2.0), (40, 90, 70))
    reference = field(WAYS[to], (3.0, 2.5, 2.0), (12, 18, 15), at_mm=(3.0, -5.0, 8.0))
    assert uncovered_share(volume, reference) == 0
    brought = onto(volume, reference, OUTSIDE)
    np.testing.assert_array_equal(brought.affine, reference.affine)
    np.testing.assert_allclose(brought.voxels, slope(at(reference.affine, reference.voxels.shape)), atol=0.01)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_the_phantom_in_every_orientation_is_the_phantom(axes: tuple[int, ...]) -> None:
    """All 48 ways in which the same scan can be stored, each exactly on the first."""
    reference = Volume(lopsided(), grid(AXIAL, (3.0, 1.0, 2.0), (9, 20, 14)))
    for flips in product((False, True), repeat=3):
        turn = np.zeros((4, 4))
        turn[3, 3] = 1.0
        for place, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
            turn[axis, place] = -1.0 if flip else 1.0
            turn[axis, 3] = reference.voxels.shape[axis] - 1 if flip else 0.0
        turned = reference.voxels.transpose(axes)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
        stored = Volume(np.ascontiguousarray(turned), reference.affine @ turn)
        np.testing.assert_allclose(onto(stored, reference, OUTSIDE).voxels, reference.voxels, atol=1e-3)
        assert uncovered_share(stored, reference) == 0


def test_two_scans_of_one_phantom_read_from_their_headers_lie_on_one_another() -> None:
    """A block of the phantom, in a sagittal and an oblique series: brought onto the axial one it lies where it lay."""
    def block(places: NDArray[np.float64]) -> NDArray[np.float32]:
        x, y, z = np.moveaxis(places, -1, 0)
        inside = (x > 4.2) & (x < 20.2) & (y > -17.8) & (y < 2.2) & (z > 3.8) & (z < 15.8)
        return np.asarray(np.where(inside, 800, 100), np.float32)

    reference = field(AXIAL, (2.0, 2.0, 2.0), (20, 30, 28), block)
    for orientation in (SAGITTAL, oblique()):
        scanned = field(orientation, (1.5, 1.5, 1.5), (50, 50, 50), block)
        origin = tuple(scanned.affine[:3, 3].tolist())
        stack, _ = stack_of(series(scanned.voxels, Acquisition("scan", (1.5, 1.5, 1.5), (origin[0], origin[1], origin[2]),
                                                               orientation)))  # fmt: skip
        brought = onto(Volume(scanned.voxels, affine_of(stack)), reference, OUTSIDE).voxels > 450
        wanted = reference.voxels > 450
        assert 2 * (brought & wanted).sum() / (brought.sum() + wanted.sum()) > 0.9
        assert 2 * (brought[:, :, ::-1] & wanted).sum() / (brought.sum() + wanted.sum()) < 0.5


def test_what_lies_beyond_the_field_of_view_is_given_the_outside_value_and_counted() -> None:
    reference = field(AXIAL, (2.0, 2.0, 2.0), (10, 10, 10))
    half = Volume(reference.voxels[:4], reference.affine)
    brought = onto(half, reference, OUTSIDE).voxels
    np.testing.assert_allclose(brought[:4], reference.voxels[:4], atol=1e-3)
    assert (brought[4:] == OUTSIDE).all()
    assert uncovered_share(half, reference) == pytest.approx(0.6)
    far = Volume(reference.voxels, grid(AXIAL, (2.0, 2.0, 2.0), (10, 10, 10), (500.0, 0.0, 0.0)))
    assert uncovered_share(far, reference) == 1
    assert (onto(far, reference, OUTSIDE).voxels == OUTSIDE).all()


def test_a_volume_on_the_same_voxels_is_not_touched() -> None:
    reference = field(oblique(), (3.0, 1.0, 2.0), (9, 20, 14))
    other = Volume(reference.voxels + 1, reference.affine.copy())
    assert onto(other, reference, OUTSIDE) is other
    moved = Volume(other.voxels, grid(oblique(), (3.0, 1.0, 2.0), (9, 20, 14), (0.1, 0.0, 0.0)))
    assert onto(moved, reference, OUTSIDE) is not moved
