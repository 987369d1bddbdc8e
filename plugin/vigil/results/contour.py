"""The outline of a mask: as polygons for a report, and as a one-pixel band for an overlay."""

from __future__ import annotations

import numpy as np
import SimpleITK
from numpy.typing import NDArray

MOST_POINTS = 4000
"""Graphic Data is one value of at most 65 534 bytes in an explicit transfer syntax."""

Mask = NDArray[np.bool_]
Polygon = NDArray[np.float64]


def outlines(mask: Mask) -> list[Polygon]:
    """The outer and inner boundaries of a plane mask, largest first.

    Each is closed (first point again at the end), [point, (column, row)], in DICOM's image coordinates: the corner of
    the first pixel is (0, 0), its centre (0.5, 0.5) (PS3.3 C.18.6.1.2). The points are the middles of the pixel edges
    between inside and outside, so the outline never leaves the image.
    """
    box = surroundings(mask, 0)
    if box is None:
        return []
    rows, columns = box
    corner = np.array([columns.start, rows.start], dtype=float)
    following = _edges(mask[box])  # a finding takes up little of a plane
    polygons = []
    while following:
        start = min(following)
        corners = [start]
        step = following[start].pop()
        while True:
            if not following[corners[-1]]:
                del following[corners[-1]]
            corners.append(step)
            if step == start:
                break
            step = _turn(corners[-2], step, following[step])
        closed = np.array(corners, dtype=float)
        middles = (closed[:-1] + closed[1:]) / 2 + corner
        polygons.append(np.vstack([middles, middles[:1]]))
    return sorted(polygons, key=lambda polygon: -abs(signed_area(polygon)))


def thinned(outline: Polygon) -> Polygon:
    """``outline`` with every so manieth point, still closed, as far as one attribute of DICOM can hold it."""
    kept = outline[:-1][:: 1 + len(outline) // MOST_POINTS]
    return np.vstack([kept, kept[:1]])


def outline_of_largest(mask: Mask) -> Polygon | None:
    """The outer boundary of the largest connected part of a plane mask, None of an empty one."""
    box = surroundings(mask, 0)
    if box is None:
        return None
    rows, columns = box
    return np.asarray(outlines(largest_part(mask[box]))[0] + (columns.start, rows.start))


def largest_part(mask: Mask) -> Mask:
    """The largest part of a plane mask whose pixels touch by their edges; the mask itself where it is empty."""
    plane = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    labels = SimpleITK.GetArrayFromImage(SimpleITK.ConnectedComponent(plane))  # type: ignore[no-untyped-call]
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(labels == sizes.argmax() + 1) if sizes.size else mask


def signed_area(polygon: Polygon) -> float:
    """Area in pixels, positive where the outline runs clockwise on the screen."""
    x, y = polygon[:-1].T
    following_x, following_y = polygon[1:].T
    return float((x * following_y - following_x * y).sum() / 2)


def rings(mask: Mask, width: int) -> tuple[Mask, Mask]:
    """The contour just outside a plane mask, ``width`` pixels wide, and the dark line around it. The anatomy inside
    stays as it is."""
    outer = grown(mask, width)
    return outer & ~mask, grown(outer, 1) & ~outer


def surroundings(mask: Mask, margin: int) -> tuple[slice, slice] | None:
    """The part of a plane, rows and columns, that holds its mask with ``margin`` pixels around; None of an empty one."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def grown(mask: Mask, by: int) -> Mask:
    """Grown by ``by`` pixels to all eight sides."""
    for _ in range(by):
        padded = np.pad(mask, 1)
        rows = padded[:-2] | padded[1:-1] | padded[2:]
        mask = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return mask


Corner = tuple[int, int]


def _edges(mask: Mask) -> dict[Corner, list[Corner]]:
    """Directed pixel edges between inside and outside, with the inside on the right hand, by the corner they leave."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    following: dict[Corner, list[Corner]] = {}

    def add(at: NDArray[np.int64], start: Corner, end: Corner) -> None:
        for row, column in at.tolist():
            leaving = (column + start[0], row + start[1])
            following.setdefault(leaving, []).append((column + end[0], row + end[1]))

    add(np.argwhere(inside & ~padded[:-2, 1:-1]), (0, 0), (1, 0))
    add(np.argwhere(inside & ~padded[1:-1, 2:]), (1, 0), (1, 1))
    add(np.argwhere(inside & ~padded[2:, 1:-1]), (1, 1), (0, 1))
    add(np.argwhere(inside & ~padded[1:-1, :-2]), (0, 1), (0, 0))
    return following


def _turn(before: Corner, at: Corner, choices: list[Corner]) -> Corner:
    """The next corner. Where two pixels touch at a corner only, the outline turns right and stays with its own pixel."""
    if len(choices) == 1:
        return choices.pop()
    right = (at[0] - (at[1] - before[1]), at[1] + (at[0] - before[0]))
    choices.remove(right)
    return right
