"""A volume brought to the axes, the voxels and the field of view that a network expects, and the way back to the source.

Each axis is treated by itself, along the volume's own axes: nothing is rotated. So where a voxel of the grid lies in the source
is one line for each axis, and masks and boxes come back by the same line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vigil.imaging.geometry import Reorientation, to_orientation
from vigil.imaging.resample import Taps, blended_back, sampled, taps_at
from vigil.imaging.volume import Volume

Interpolation = Literal["linear", "linear-averaged", "nearest", "nearest-exact"]
Box = tuple[slice, slice, slice]
"""Of the volume in the axes of the grid."""


@dataclass(frozen=True)
class Line:
    """Voxel i of ``new_count`` lies at ``first`` + i x ``step`` of the source's ``count`` voxels (of its part that is used,
    counted in the direction of the grid)."""

    count: int
    new_count: int
    first: float
    step: float

    @classmethod
    def of(cls, count: int, had_mm: float, spacing_mm: float | None, side: int | None, *, centres: bool = False) -> Line:
        """An axis of ``count`` voxels of ``had_mm``, brought to a spacing, a number of voxels, both or neither."""
        if spacing_mm is None and side is None:
            return cls(count, count, 0.0, 1.0)
        if centres and side is not None:
            return cls(count, side, 0.0, (count - 1) / (side - 1) if side > 1 else 0.0)
        if spacing_mm is None:
            new_count = side or count
            step = count / new_count
        else:
            step = spacing_mm / had_mm
            new_count = side or max(1, round(count / step))
        return cls(count, new_count, count / 2 - 0.5 - (new_count / 2 - 0.5) * step, step)

    @property
    def positions(self) -> NDArray[np.floating]:
        return self.first + np.arange(self.new_count) * self.step

    @property
    def outside(self) -> NDArray[np.bool_]:
        """Voxels of the grid whose centre lies beyond the outer edges of the source."""
        return (self.positions < -0.5 - 1e-6) | (self.positions > self.count - 0.5 + 1e-6)

    def taps(self, interpolation: Interpolation) -> Taps:
        if interpolation == "linear":
            return taps_at(self.positions, self.count)
        if interpolation == "linear-averaged":
            return taps_at(self.positions, self.count, max(1.0, self.step))
        return _one_each(np.clip(self._nearest(interpolation == "nearest-exact"), 0, self.count - 1))

    def _nearest(self, exact: bool) -> NDArray[np.intp]:
        shift = 0.5 if exact else 0.0
        places = np.arange(self.new_count)
        if self._whole:
            return _as_pytorch(self.count, self.new_count, shift)
        return np.asarray(np.floor(self.first + 0.5 - self.step / 2 + (places + shift) * self.step), np.intp)

    @property
    def _whole(self) -> bool:
        """Whether both have the same field of view."""
        return abs(self.step * self.new_count - self.count) < 1e-9

    def taps_back(self, how: Literal["linear", "nearest"]) -> Taps:
        """For each voxel of the source, those of the grid."""
        positions = (np.arange(self.count) - self.first) / self.step if self.step else np.zeros(self.count)
        if how == "nearest":
            found = _as_pytorch(self.new_count, self.count, 0.5) if self._whole else np.floor(positions + 0.5).astype(np.intp)
            taps = _one_each(np.clip(found, 0, self.new_count - 1))
        else:
            taps = taps_at(positions, self.new_count, max(1.0, 1.0 / self.step if self.step else 1.0))
        beyond = (positions < -0.5 - 1e-6) | (positions > self.new_count - 0.5 + 1e-6)
        return Taps(taps.indices, np.where(beyond[:, None], np.float32(0), taps.weights))

    def span_back(self, low: float, high: float) -> slice:
        """Voxels of the source whose centres lie between two places of the grid, counted from the outer edge of its first voxel;
        the nearest one where there is none."""
        start, end = self.first + (low - 0.5) * self.step, self.first + (high - 0.5) * self.step
        first, last = ceil(start - 1e-6), floor(end - 1e-6)
        if last < first:
            first = last = round((start + end) / 2)
        return slice(min(max(0, first), self.count - 1), max(1, min(self.count, last + 1)))


@dataclass(frozen=True, eq=False)
class PlacedGrid:
    """``voxels``: float32, in the axes asked for. ``lines``: where they lie in the part ``box`` of the turned source."""

    voxels: NDArray[np.float32]
    lines: tuple[Line, Line, Line]
    box: Box
    turned: Reorientation
    source_shape: tuple[int, int, int]
    source_spacing_mm: tuple[float, float, float]
    """Of the axes of the grid."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.lines[0].new_count, self.lines[1].new_count, self.lines[2].new_count

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        one, two, three = (had * line.step for had, line in zip(self.source_spacing_mm, self.lines, strict=True))
        return one, two, three

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000.0

    def back(self, mask: NDArray[np.bool_], how: Literal["linear", "nearest"]) -> NDArray[np.bool_]:
        """A mask of this grid on the source's own voxels, [slice, row, column]."""
        found = blended_back(mask, tuple(line.taps_back(how) for line in self.lines))
        result = np.zeros(self.source_shape, np.bool_)
        np.asarray(self.turned.apply(result))[self.box] = found
        return result

    def spans_back(self, low: tuple[float, float, float], high: tuple[float, float, float]) -> Box:
        """A box of this grid (from the outer edge of its first voxel) as voxels of the source, [slice, row, column]."""
        spans = [slice(0)] * 3
        for place, line in enumerate(self.lines):
            axis = self.turned.axes[place]
            span = line.span_back(low[place], high[place])
            first, last = self.box[place].start + span.start, self.box[place].start + span.stop - 1
            if self.turned.flipped[place]:
                count = self.source_shape[axis]
                first, last = count - 1 - last, count - 1 - first
            spans[axis] = slice(first, last + 1)
        return spans[0], spans[1], spans[2]


@dataclass(frozen=True)
class Wanted:
    """What a grid shall be: see :class:`~vigil.domain.manifest.TensorPreprocessing`."""

    orientation: str
    spacing_mm: tuple[float | None, float | None, float | None]
    shape: tuple[int | None, int | None, int | None]
    interpolation: Interpolation
    centres: bool = False
    outside: float = 0.0

    def on(self, shape: tuple[int, int, int]) -> Wanted:
        """The same on a shape, whatever the spacing."""
        return replace(self, shape=shape, spacing_mm=(None, None, None))


def plan(volume: Volume, wanted: Wanted, box: Box | None = None) -> tuple[Reorientation, Box, tuple[Line, Line, Line]]:
    """Where each voxel will lie; nothing is sampled yet. ``box``: of the volume in the axes of the grid; the whole where None."""
    turned = to_orientation(volume.affine, wanted.orientation)
    counts = [volume.voxels.shape[axis] for axis in turned.axes]
    whole = box or (slice(0, counts[0]), slice(0, counts[1]), slice(0, counts[2]))
    lines = [
        Line.of(part.stop - part.start, volume.spacing_mm[axis], spacing, side, centres=wanted.centres)
        for part, axis, spacing, side in zip(whole, turned.axes, wanted.spacing_mm, wanted.shape, strict=True)
    ]
    return turned, whole, (lines[0], lines[1], lines[2])


def place(volume: Volume, wanted: Wanted, box: Box | None = None) -> PlacedGrid:
    """The volume, or a box of it, on its new voxels."""
    turned, whole, lines = plan(volume, wanted, box)
    by_axis: list[Taps] = [_one_each(np.zeros(1, np.intp))] * 3
    for axis, part, line, flipped in zip(turned.axes, whole, lines, turned.flipped, strict=True):
        taps = line.taps(wanted.interpolation)
        indices = taps.indices + part.start
        by_axis[axis] = Taps(volume.voxels.shape[axis] - 1 - indices if flipped else indices, taps.weights)
    if all(taps.indices.shape[1] == 1 for taps in by_axis) or all(line.step == 1 and line.first == 0 for line in lines):
        nearest = (taps.indices[np.arange(len(taps.indices)), taps.weights.argmax(axis=1)] for taps in by_axis)
        values = volume.voxels[np.ix_(*nearest)]
    else:
        values = sampled(volume.voxels, (by_axis[0], by_axis[1], by_axis[2]))
    voxels = np.ascontiguousarray(values.transpose(turned.axes), dtype=np.float32)
    for axis, line in enumerate(lines):
        if (beyond := line.outside).any():
            np.moveaxis(voxels, axis, 0)[beyond] = wanted.outside
    source = volume.voxels.shape
    spacing = tuple(volume.spacing_mm[axis] for axis in turned.axes)
    return PlacedGrid(voxels, lines, whole, turned, (source[0], source[1], source[2]), (spacing[0], spacing[1], spacing[2]))


def _as_pytorch(count: int, new_count: int, shift: float) -> NDArray[np.intp]:
    """Which of ``count`` voxels each of the new ones is, in PyTorch's own arithmetic (float32), so that a place between two
    voxels falls as it falls there."""
    scale = np.float32(count) / np.float32(new_count)
    return np.asarray(np.floor((np.arange(new_count, dtype=np.float32) + np.float32(shift)) * scale), np.intp)


def _one_each(indices: NDArray[np.intp]) -> Taps:
    return Taps(indices[:, None], np.ones((len(indices), 1), np.float32))
