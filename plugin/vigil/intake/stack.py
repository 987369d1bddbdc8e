"""Images of one series in the order of space, not of arrival (PS3.3 C.7.6.2.1.1: position and orientation of an image).

Instance numbers and arrival order play no part: slices are ordered by their position along the slice normal, and the
spacing is what the positions say, not what Slice Thickness or Spacing Between Slices claims.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.intake.errors import IrregularGeometry, SliceConflict, SliceMissing, TooFewSlices
from vigil.intake.header import ImageHeader

SAME_POSITION_MM = 0.01
UNIT_TOLERANCE = 1e-3
"""Departure of a direction cosine: headers round them to as few as four digits."""
FURTHEST_MM = 100_000.0
"""A position beyond it is a fault of the header, and would cost the others their precision."""
LARGEST_NAMED = 5
"""Holes or conflicts that a message names; the rest is counted."""


@dataclass(frozen=True)
class SliceStack:
    """Parallel slices, ordered by their position along the normal (row direction x column direction), ascending.

    ``spacing_mm``: slice (along the normal), row, column. ``gaps_mm``: the n - 1 distances between neighbours.
    ``coverage_mm``: n times the slice spacing, from the outer face of the first slice to that of the last.
    ``duplicates``: images left out because another one shows the same pixels at the same place. ``drift``: of a tilted
    gantry, by how many mm a slice lies further along the row and the column direction for each mm along the normal.
    """

    headers: tuple[ImageHeader, ...]
    normal: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    gaps_mm: tuple[float, ...]
    coverage_mm: float
    duplicates: tuple[ImageHeader, ...] = ()
    drift: tuple[float, float] = (0.0, 0.0)

    @property
    def tilt_degrees(self) -> float:
        return math.degrees(math.atan(math.hypot(*self.drift)))


def build_stack(
    headers: Iterable[ImageHeader], spacing_tolerance: float = 0.05, largest_tilt_degrees: float = 0.0
) -> SliceStack:
    """Orders images of one grid. ``spacing_tolerance``: largest relative departure of a gap from the median gap.
    ``largest_tilt_degrees``: of the gantry, up to which the stack is said to drift instead of refused.

    Raises: TooFewSlices; IrregularGeometry (mixed orientation, matrix or pixel spacing, gantry tilt, uneven spacing);
    SliceConflict (two different images at one position); SliceMissing.
    """
    images = sorted(headers, key=_stable_order)
    if len(images) < 2:
        raise TooFewSlices(f"{len(images)} slice: a volume needs at least two")
    row, column = _one_grid(images)
    normal = np.cross(row, column)
    positions = np.array([image.position_mm for image in images], dtype=np.float64)
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    kept, dropped = _without_duplicates([images[i] for i in order], along[order])
    depths = np.array([depth for _, depth in kept])
    if len(kept) < 2:
        raise TooFewSlices("all images lie at one position: a volume needs at least two")
    drift = _drift([image for image, _ in kept], row, column, depths - depths[0], largest_tilt_degrees)
    gaps = np.diff(depths)
    _refuse_uneven(depths, gaps, spacing_tolerance)
    spacing = float(depths[-1] - depths[0]) / (len(kept) - 1)
    row_mm, column_mm = images[0].pixel_spacing_mm or (0.0, 0.0)
    return SliceStack(
        headers=tuple(image for image, _ in kept),
        normal=(float(normal[0]), float(normal[1]), float(normal[2])),
        spacing_mm=(spacing, row_mm, column_mm),
        gaps_mm=tuple(float(gap) for gap in gaps),
        coverage_mm=spacing * len(kept),
        duplicates=tuple(dropped),
        drift=drift,
    )


def same_grid(one: ImageHeader, other: ImageHeader) -> bool:
    """Whether two images can be slices of one volume: orientation, matrix, pixel spacing, frame of reference, and both frames of
    multi-frame images or neither."""
    if (one.frame is None) != (other.frame is None):
        return False
    if (one.rows, one.columns, one.frame_of_reference_uid) != (other.rows, other.columns, other.frame_of_reference_uid):
        return False
    return _close(one.orientation, other.orientation) and _close(one.pixel_spacing_mm, other.pixel_spacing_mm)


def _stable_order(header: ImageHeader) -> tuple[bool, int, str, str]:
    number = header.instance_number
    return number is None, number or 0, header.sop_instance_uid, header.orthanc_id


def _close(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= UNIT_TOLERANCE for a, b in zip(one, other, strict=True))


def _one_grid(images: Sequence[ImageHeader]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column direction, as unit vectors.

    Headers round the cosines, so the mean over the images is taken and made orthonormal."""
    first = images[0]
    for image in images:
        if image.position_mm is None or image.orientation is None or image.pixel_spacing_mm is None:
            raise IrregularGeometry(
                f"image {_name(image)} lacks Image Position, Image Orientation or Pixel Spacing, which a volume needs"
            )
        if max(abs(value) for value in image.position_mm) > FURTHEST_MM:
            raise IrregularGeometry(f"image {_name(image)} has a position more than {FURTHEST_MM / 1000:.0f} m away")
        if image.rows <= 0 or image.columns <= 0 or min(image.pixel_spacing_mm) <= 0:
            raise IrregularGeometry(f"image {_name(image)} has a matrix or a pixel spacing of zero")
        if not same_grid(first, image):
            raise IrregularGeometry(
                f"images {_name(first)} and {_name(image)} differ in orientation, matrix, pixel spacing or frame of reference"
            )
    directions = np.array([image.orientation for image in images], dtype=np.float64).mean(axis=0)
    row, column = directions[:3], directions[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1.0) for length in lengths) > 10 * UNIT_TOLERANCE or abs(row @ column) > 10 * UNIT_TOLERANCE:
        raise IrregularGeometry(f"the row and column directions of image {_name(first)} are not at right angles")
    row = row / lengths[0]
    column = column - (column @ row) * row
    return row, column / np.linalg.norm(column)


def _without_duplicates(
    images: Sequence[ImageHeader], along: NDArray[np.float64]
) -> tuple[list[tuple[ImageHeader, float]], list[ImageHeader]]:
    kept: list[tuple[ImageHeader, float]] = []
    dropped: list[ImageHeader] = []
    conflicts: list[float] = []
    for image, depth in zip(images, along.tolist(), strict=True):
        if not kept or depth - kept[-1][1] > SAME_POSITION_MM:
            kept.append((image, depth))
        elif image.pixel_sha256 and image.pixel_sha256 == kept[-1][0].pixel_sha256:
            # Of two equal images the same one stays whichever came first: the analysis id hangs on it.
            first, second = sorted((kept[-1][0], image), key=_stable_order)
            kept[-1] = (first, kept[-1][1])
            dropped.append(second)
        else:
            conflicts.append(depth)
    if conflicts:
        named = ", ".join(f"{depth:.1f} mm" for depth in conflicts[:LARGEST_NAMED])
        more = f" and {len(conflicts) - LARGEST_NAMED} more" if len(conflicts) > LARGEST_NAMED else ""
        raise SliceConflict(
            f"two different images lie at the same position along the slice normal, at {named}{more}",
            at_mm=tuple(conflicts),
        )
    return kept, dropped


def _drift(
    images: Sequence[ImageHeader], row: NDArray[np.float64], column: NDArray[np.float64], depths: NDArray[np.float64],
    largest_tilt_degrees: float,
) -> tuple[float, float]:
    """How slices move sideways from one to the next: a sheared volume, which a plain affine stack would bend.

    Nothing where they stay within half a pixel. What is no straight line is no gantry's tilt.
    """
    positions = np.array([image.position_mm for image in images], dtype=np.float64)
    sideways = (positions - positions[0]) @ np.stack([row, column], axis=1)
    limit = 0.5 * min(images[0].pixel_spacing_mm or (0.0, 0.0))
    if float(np.linalg.norm(sideways, axis=1).max()) <= limit:
        return 0.0, 0.0
    drift = (depths @ sideways) / float(depths @ depths)
    off_the_line = np.linalg.norm(sideways - np.outer(depths, drift), axis=1)
    if float(off_the_line.max()) > limit:
        worst = int(np.argmax(off_the_line))
        raise IrregularGeometry(
            f"the slices do not lie on one line: image {_name(images[worst])} is {off_the_line[worst]:.1f} mm off it"
        )
    tilt = math.degrees(math.atan(float(np.linalg.norm(drift))))
    if tilt > largest_tilt_degrees:
        allowed = f"at most {largest_tilt_degrees:g} degrees" if largest_tilt_degrees else "none"
        raise IrregularGeometry(
            f"the slices do not lie straight above one another (gantry tilt?): they drift sideways by {tilt:.1f} degrees; this "
            f"model takes {allowed}"
        )
    return float(drift[0]), float(drift[1])


def _refuse_uneven(depths: NDArray[np.float64], gaps: NDArray[np.float64], tolerance: float) -> None:
    median = float(np.median(gaps))
    if np.all(np.abs(gaps - median) <= tolerance * median):
        return
    step = float(np.median(gaps[gaps <= 1.5 * gaps.min()]))
    multiples = np.maximum(np.rint(gaps / step), 1)
    if np.any(np.abs(gaps - multiples * step) > np.minimum(tolerance * multiples, 0.25) * step) or not np.any(multiples > 1):
        worst = int(np.argmax(np.abs(gaps - median)))
        raise IrregularGeometry(
            f"the slices are unevenly spaced: {gaps[worst]:.2f} mm between {depths[worst]:.1f} and "
            f"{depths[worst + 1]:.1f} mm along the slice normal, {median:.2f} mm elsewhere"
        )
    holes = [index for index in range(len(gaps)) if multiples[index] > 1]
    missing = int(sum(multiples[index] - 1 for index in holes))
    between = tuple((float(depths[index]), float(depths[index + 1])) for index in holes)
    named = ", ".join(f"{below:.1f} and {above:.1f} mm" for below, above in between[:LARGEST_NAMED])
    more = f" and in {len(between) - LARGEST_NAMED} more places" if len(between) > LARGEST_NAMED else ""
    counted = "1 slice is missing" if missing == 1 else f"{missing} slices are missing"
    raise SliceMissing(
        f"{counted} between {named}{more} along the slice normal (slices are {step:.2f} mm apart)",
        between_mm=between, missing=missing,
    )


def _name(image: ImageHeader) -> str:
    return "without a number" if image.instance_number is None else str(image.instance_number)
