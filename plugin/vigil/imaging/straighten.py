"""A volume of a tilted gantry made straight: each slice is moved within its plane until all lie above one another.

What a model sees is a box; what is shown and stored are the images as they came, so a mask is moved back again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from vigil.domain.boxes import PatientBox, Rectangle
from vigil.imaging.volume import Volume

DIGITS = 4
"""Of a move, in pixels: what lies beyond is the header's rounding."""


@dataclass(frozen=True, eq=False)
class Straight:
    """``volume``: with a rectangular affine, larger than the source where that drifts. ``moves``: by how many rows and columns
    each slice of the source was moved into it, float64 [slice, 2], none negative."""

    volume: Volume
    source_shape: tuple[int, int, int]
    moves: NDArray[np.float64]

    def back(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask of the straight volume on the source's voxels: linear, inside from one half."""
        if not self.moves.any():
            return mask
        _, rows, columns = self.source_shape
        result = np.zeros(self.source_shape, np.bool_)
        for index, (down, along) in enumerate(self.moves.tolist()):
            if mask[index].any():
                inside = _taken_back(mask[index].astype(np.float32), rows, down)
                result[index] = _taken_back(inside.T, columns, along).T >= 0.5
        return result

    def box_back(self, box: PatientBox) -> PatientBox | None:
        """A box of the straight volume on the source's slices, each part as far as its image goes; None where it lies in none."""
        if not self.moves.any():
            return box
        parts = tuple(part for part in map(self._part_back, box.rectangles) if part.top < part.bottom and part.left < part.right)
        return replace(box, rectangles=parts) if parts else None

    def _part_back(self, part: Rectangle) -> Rectangle:
        _, rows, columns = self.source_shape
        down, along = self.moves[part.index].tolist()
        top, bottom = (min(max(0.0, edge - down), rows) for edge in (part.top, part.bottom))
        left, right = (min(max(0.0, edge - along), columns) for edge in (part.left, part.right))
        return Rectangle(part.index, top, bottom, left, right)


def straighten(volume: Volume) -> Straight:
    """The volume itself where it is straight. Beyond the field of view lies its lowest value: air, or no signal."""
    affine = volume.affine
    shape = (volume.voxels.shape[0], volume.voxels.shape[1], volume.voxels.shape[2])
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    across = np.array([affine[:3, 0] @ affine[:3, axis] / spacing[axis] ** 2 for axis in (1, 2)])
    moves = np.outer(np.arange(shape[0]), across).round(DIGITS)
    if not moves.any():
        return Straight(volume, shape, np.zeros((shape[0], 2)))
    first = np.floor(moves.min(axis=0))
    moves = moves - first
    outside = float(volume.voxels.min())
    rows, columns = (shape[axis] + ceil(float(moves[:, axis - 1].max())) for axis in (1, 2))
    voxels = np.empty((shape[0], rows, columns), np.float32)
    for index, (down, along) in enumerate(moves.tolist()):
        plane = _moved(volume.voxels[index], rows, down, outside)
        voxels[index] = _moved(plane.T, columns, along, outside).T
    straight = affine.copy()
    straight[:3, 0] -= affine[:3, 1] * across[0] + affine[:3, 2] * across[1]
    straight[:3, 3] += affine[:3, 1] * first[0] + affine[:3, 2] * first[1]
    return Straight(Volume(voxels, straight), shape, moves)


def _moved(plane: NDArray[np.float32], size: int, by: float, outside: float) -> NDArray[np.float32]:
    """``plane`` moved ``by`` rows down into ``size`` rows."""
    whole = floor(by)
    share = np.float32(by - whole)
    wide = np.full((size + 1, plane.shape[1]), outside, np.float32)  # one row before, for the second tap of the first
    wide[1 + whole:1 + whole + plane.shape[0]] = plane
    result: NDArray[np.float32] = wide[1:]
    return (1 - share) * result + share * wide[:-1] if share else result


def _taken_back(plane: NDArray[np.float32], size: int, by: float) -> NDArray[np.float32]:
    """``size`` rows of ``plane`` from row ``by`` on."""
    whole = floor(by)
    share = np.float32(by - whole)
    result: NDArray[np.float32] = plane[whole:whole + size]
    if share:
        following = np.zeros_like(result)
        rest = plane[whole + 1:whole + 1 + size]
        following[:rest.shape[0]] = rest
        result = (1 - share) * result + share * following
    return result
