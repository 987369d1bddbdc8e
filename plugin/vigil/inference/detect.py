"""From a detector's boxes and scores to those that count: by score, thinned out where they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest.outputs import Detection
from vigil.inference.activation import activated
from vigil.inference.errors import InferenceFailed
from vigil.inference.strategy.tiles import Tile

Values = NDArray[np.float32]
Place = tuple[float, float, float]


@dataclass(frozen=True)
class Detected:
    """A box of the grid, from the outer edge of its first voxel; ``low`` and ``high`` along its axes."""

    low: Place
    high: Place
    score: float


def detected(
    boxes: list[Values], scores: list[Values], rule: Detection, shape: tuple[int, int, int], tiles: Sequence[Tile] = ()
) -> list[Detected]:
    """Of each slice of a grid of ``shape``, or of the whole where there is one entry of six coordinates; the highest score first.
    ``tiles``: of which part of a slice each entry is; those of one slice are thinned out together.

    Raises: InferenceFailed.
    """
    by_slice: dict[int, list[tuple[Values, Values]]] = {}
    for index, (places, marks) in enumerate(zip(boxes, scores, strict=True)):
        chances = _chances(places, marks, rule)
        if tiles:
            by_slice.setdefault(tiles[index].index, []).append((_of_tile(places, rule, tiles[index], shape), chances))
        else:
            by_slice[index] = [(_corners(places, rule, shape), chances)]
    found: list[Detected] = []
    for index, parts in by_slice.items():
        corners, chances = (np.concatenate(values) for values in zip(*parts, strict=True))
        kept = suppressed(corners, chances, rule)
        for corner, score in zip(corners[kept].tolist(), chances[kept].tolist(), strict=True):
            half = len(corner) // 2
            low, high = corner[:half], corner[half:]
            if half == 2:
                low, high = [float(index), *low], [index + 1.0, *high]
            found.append(Detected((low[0], low[1], low[2]), (high[0], high[1], high[2]), score))
    return sorted(found, key=lambda box: -box.score)


def _chances(places: Values, marks: Values, rule: Detection) -> Values:
    """[boxes], of the class that counts."""
    if places.ndim != 2 or places.shape[1] not in (4, 6) or marks.ndim not in (1, 2) or len(marks) != len(places):
        raise InferenceFailed(f"the outputs '{rule.boxes}' and '{rule.scores}' have shapes {places.shape} and {marks.shape} for "
                              "an image; they must be [boxes, 4 or 6] and [boxes] or [boxes, classes]")
    chances = activated(marks, rule.activation, axis=-1)
    if chances.ndim == 2:
        if rule.class_index >= chances.shape[1]:
            raise InferenceFailed(f"the output '{rule.scores}' has {chances.shape[1]} classes, and no class_index "
                                  f"{rule.class_index}")
        chances = chances[:, rule.class_index]
    return chances


def _of_tile(places: Values, rule: Detection, tile: Tile, shape: tuple[int, int, int]) -> Values:
    """[boxes, 4]: in voxels of the slice, and within it."""
    if places.shape[1] != 4:
        raise InferenceFailed(f"the output '{rule.boxes}' has boxes of {places.shape[1]} numbers; of a tile there are 4")
    moved = _corners(places, rule, tile.sides) + np.array([*tile.corner, *tile.corner], np.float32)
    return np.clip(moved, np.float32(0), np.array([*shape[1:], *shape[1:]], np.float32))


def _corners(places: Values, rule: Detection, shape: tuple[int, ...]) -> Values:
    """[boxes, 2 x axes]: low corners, then high, along the axes of the grid, in voxels and within it."""
    half = places.shape[1] // 2
    one, two = places[:, :half], places[:, half:]
    if rule.box_format.endswith("-xy"):
        one, two = one[:, ::-1], two[:, ::-1]
    if rule.box_format.startswith("centre-size"):
        one, two = one - two * np.float32(0.5), one + two * np.float32(0.5)
    sides = np.array(shape[-half:], np.float32)
    scale = sides if rule.coordinates == "shares" else np.ones(half, np.float32)
    cut = np.concatenate([np.clip(one * scale, 0, sides), np.clip(two * scale, 0, sides)], axis=1)
    return np.asarray(cut, np.float32)


def suppressed(corners: Values, scores: Values, rule: Detection) -> NDArray[np.intp]:
    """Indices of the boxes that stay, the highest score first: each drops those that overlap it by more than is allowed."""
    half = corners.shape[1] // 2
    low, high = corners[:, :half], corners[:, half:]
    sizes = np.prod(np.maximum(high - low, 0), axis=1)
    left = np.argsort(-scores, kind="stable")
    left = left[(scores[left] >= rule.least_score) & (sizes[left] > 0)]
    kept: list[int] = []
    while left.size and len(kept) < rule.most_boxes:
        best, left = left[0], left[1:]
        kept.append(int(best))
        shared = np.prod(np.maximum(np.minimum(high[left], high[best]) - np.maximum(low[left], low[best]), 0), axis=1)
        left = left[shared <= rule.largest_overlap * (sizes[left] + sizes[best] - shared)]
    return np.array(kept, np.intp)
