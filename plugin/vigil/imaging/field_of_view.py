"""Whether the field of view cuts the body: at the border of the image, or at the circle that was reconstructed.

What lies outside is not seen, and a negative would be said of it all the same. Asked of axial CT alone: in other planes, and in
MR, the body leaves the image by its nature. A few millimetres are no fault (a nose, an ear), nor is a couch or a head rest, which
is thin.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vigil.imaging.errors import FieldOfViewTruncated
from vigil.imaging.volume import Volume

BODY_ABOVE_HU = -300.0
DEPTH_MM = 10.0
"""What goes on inwards from the edge for so far is the body, and no couch."""
LONGEST_CUT_MM = 60.0
"""Of the edge, in one slice: a head that reaches 5 mm beyond it, or a nose."""
MOST_SLICES_SHARE = 0.1
AXIAL_COSINE = 0.8
DIRECTIONS = 360
MARGIN_PIXELS = 2.0
"""To either side of the circle, for its rim is not sharp."""


def refuse_cut_body(volume: Volume) -> None:
    """Raises: FieldOfViewTruncated where more than a tenth of the slices show the body cut over more than 60 mm."""
    if abs(volume.affine[2, 0]) < AXIAL_COSINE * volume.spacing_mm[0]:
        return
    cut_mm = _cut_at_the_border_mm(volume) + _cut_at_the_circle_mm(volume)
    cut = int(np.count_nonzero(cut_mm > LONGEST_CUT_MM))
    if cut > MOST_SLICES_SHARE * len(cut_mm):
        raise FieldOfViewTruncated(cut, len(cut_mm), float(cut_mm.max()))


def _cut_at_the_border_mm(volume: Volume) -> NDArray[np.float64]:
    """Of each slice, over its four sides."""
    _, row_mm, column_mm = volume.spacing_mm
    total = np.zeros(len(volume.voxels))
    for axis, across_mm, along_mm in ((1, row_mm, column_mm), (2, column_mm, row_mm)):
        depth = _depth(across_mm, volume.voxels.shape[axis])
        for side in (slice(None, depth), slice(-depth, None)):
            bordering = volume.voxels[:, side] if axis == 1 else volume.voxels[:, :, side]
            total += along_mm * np.count_nonzero(bordering.min(axis=axis) > BODY_ABOVE_HU, axis=1)
    return total


def _cut_at_the_circle_mm(volume: Volume) -> NDArray[np.float64]:
    """Of each slice, along the circle that touches the sides of the image: where the body goes on up to it, and beyond lies the
    very value of the image's corner, as it does outside of what was reconstructed."""
    _, row_mm, column_mm = volume.spacing_mm
    _, rows, columns = volume.voxels.shape
    radius_mm, step_mm = min(rows * row_mm, columns * column_mm) / 2, max(row_mm, column_mm)
    angles = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    inwards_mm = radius_mm - step_mm * (MARGIN_PIXELS + np.arange(_depth(step_mm, min(rows, columns))))
    row, column = _places((radius_mm + step_mm * MARGIN_PIXELS,), angles, volume)
    in_the_image = ((row >= 0) & (row < rows) & (column >= 0) & (column < columns)).ravel()
    beyond = np.zeros((len(volume.voxels), DIRECTIONS), np.bool_)
    beyond[:, in_the_image] = volume.voxels[:, row[0, in_the_image], column[0, in_the_image]] == volume.voxels[:, :1, 0]
    row, column = _places(inwards_mm, angles, volume)
    goes_on = volume.voxels[:, row.clip(0, rows - 1), column.clip(0, columns - 1)].min(axis=1) > BODY_ABOVE_HU
    return np.asarray(np.count_nonzero(goes_on & beyond, axis=1) * (2 * np.pi * radius_mm / DIRECTIONS), np.float64)


def _places(
    radii_mm: Iterable[float], angles: NDArray[np.floating], volume: Volume
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns, int [radius, angle]."""
    _, row_mm, column_mm = volume.spacing_mm
    _, rows, columns = volume.voxels.shape
    radii = np.asarray(tuple(radii_mm))
    return (np.rint(np.outer(radii, np.sin(angles)) / row_mm + (rows - 1) / 2).astype(np.intp),
            np.rint(np.outer(radii, np.cos(angles)) / column_mm + (columns - 1) / 2).astype(np.intp))


def _depth(pixel_mm: float, most: int) -> int:
    return min(max(1, round(DEPTH_MM / pixel_mm)), most)
