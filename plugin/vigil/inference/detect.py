"""From a detector's boxes and scores to those that count: by score, thinned out where they overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest.outputs import Detection
from vigil.inference.activation import activated
from vigil.inference.errors import InferenceFailed

Values = NDArray[np.float32]
Place = tuple[float, float, float]


@dataclass(frozen=True)
class Detected:
    """A box of the grid, from the outer edge of its first voxel; ``low`` and ``high`` along its axes."""

    low: Place
    high: Place
    score: float


def detected(boxes: list[Values], scores: list[Values], rule: Detection, shape: tuple[int, int, int]) -> list[Detected]:
    """Of each slice of a grid of ``shape``, or of the whole where there is one entry of six coordinates; the highest score first.

    Raises: InferenceFailed.
    """
    found: list[Detected] = []
    for index, (places, marks) in enumerate(zip(boxes, scores, strict=True)):
        corners, kept = _of_one(places, marks, rule, shape)
        for corner, score in zip(corners[kept[0]].tolist(), kept[1].tolist(), strict=True):
            half = len(corner) // 2
            low, high = corner[:half], corner[half:]
            if half == 2:
                low, high = [float(index), *low], [index + 1.0, *high]
            found.append(Detected((low[0], low[1], low[2]), (high[0], high[1], high[2]), score))
    return sorted(found, key=lambda box: -box.score)


def _of_one(
    places: Values, marks: Values, rule: Detection, shape: tuple[int, int, int]
) -> tuple[Values, tuple[NDArray[np.intp], Values]]:
    if places.ndim != 2 or places.shape[1] not in (4, 6) or marks.ndim not in (1, 2) or len(marks) != len(places):
        raise InferenceFailed(f"the outputs '{rule.boxes}' and '{rule.scores}' have shapes {places.shape} and {marks.shape} for "
                              "an image; they must be [boxes, 4 or 6] and [boxes] or [boxes, classes]")
    chances = activated(marks, rule.activation, axis=-1)
    if chances.ndim == 2:
        if rule.class_index >= chances.shape[1]:
            raise InferenceFailed(f"the output '{rule.scores}' has {chances.shape[1]} classes, and no class_index "
                                  f"{rule.class_index}")
        chances = chances[:, rule.class_index]
    corners = _corners(places, rule, shape)
    kept = suppressed(corners, chances, rule)
    return corners, (kept, chances[kept])


def _corners(places: Values, rule: Detection, shape: tuple[int, int, int]) -> Values:
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
