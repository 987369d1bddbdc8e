"""Where the middle of the body runs from head to feet, and how far it can be trusted.

The middle of what was scanned is no middle of the patient. So the body is outlined on sections across the patient, whatever the
orientation of the images, and the middle of a section is its centre of area: a body that is like its mirror image keeps it on
the plane of symmetry, however it is turned about its long axis. What moves the plane away from it is reckoned with: a body that
lies turned or tilted (by up to 20 degrees); what one side has and the other has not, such as an arm or a couch, which parts the
centre of area from the middle between left and right edge; a chest wall so thin that it counts for no body; and on MR, where a
bright organ may be all that is seen, whatever lies between its middle and that of the images. Where images cut the body (at its
side; in front or behind, which hides how it is turned), where two parts lie beside each other (legs), where MR shines faintly
beside what was taken for the body, or where there is no body, no middle is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.imaging.volume import Volume
from vigil.inference.morphology import Mask, largest_part, mean_of_sections, two_largest, within, without_holes

STEP_MM = 3.0
"""Between points of a section, and between sections."""
SPACING_MM = (STEP_MM, STEP_MM, STEP_MM)
MOST_TURNED = float(np.tan(np.radians(20.0)))
MOST_SECTIONS = 130
"""What is taller than the trunk is of both sides anyway, and would take the memory of a second volume."""
OVER_STEPS = 3
"""Of sections, to either side: over so many the body's width is compared."""
THIN_MM = 5.0
"""What is thinner than twice this is no body: couch, head rest, clothes."""
LEAST_AREA_MM2 = 2500.0
CUT_MM = 15.0
"""Along the border of the images: so much of the body there, and it may go on beyond."""
CUT_SHARE = 0.3
"""Of the body's width, in front or behind: what a chord so short cuts off is less than a hundredth of an ellipse."""
BESIDE_SHARE = 0.15
"""Of the largest part of a section: another one of this size may be the other half of the body."""
BODY_ABOVE_HU = -300.0
BODY_ABOVE_SHARE = 0.15
"""Of MR, between its darkest and its brightest values."""
FAINT_SHARE = 0.03
"""Of MR too: so much above air, and above twice what air shows, a mean over FAINT_MM may be tissue that hardly shines."""
FAINT_MM = 15.0
AXIAL_COSINE = 0.8
RIM_MM = 4.0


@dataclass(frozen=True, eq=False)
class Midline:
    """Of sections across the patient, [section], from ``first_mm`` (its z) upwards by STEP_MM; all in mm of the patient.

    ``middle_mm``: x, NaN where it is not known. ``doubt_mm``: how far the plane of symmetry may lie from it at ``height_mm`` (y);
    elsewhere MOST_TURNED times the distance in y more.
    """

    first_mm: float
    middle_mm: NDArray[np.float64]
    height_mm: NDArray[np.float64]
    doubt_mm: NDArray[np.float64]

    def left_of(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far points [point, (x, y, z)] surely lie on the patient's left: negative on the right, 0 where that is in doubt,
        NaN where nothing is known."""
        section = np.rint((points_mm[:, 2] - self.first_mm) / STEP_MM).astype(np.intp).clip(0, len(self.middle_mm) - 1)
        beside = points_mm[:, 0] - self.middle_mm[section]
        doubt = self.doubt_mm[section] + MOST_TURNED * np.abs(points_mm[:, 1] - self.height_mm[section])
        surely: NDArray[np.float64] = np.sign(beside) * np.maximum(np.abs(beside) - doubt, 0.0)
        return surely


def midline(volume: Volume, low_mm: float, high_mm: float, *, is_ct: bool) -> Midline | None:
    """Between two heights (z) of the patient; None where these are too far apart."""
    if high_mm - low_mm > MOST_SECTIONS * STEP_MM:
        return None
    first = low_mm - OVER_STEPS * STEP_MM
    heights: NDArray[np.float64] = first + STEP_MM * np.arange(round((high_mm - first) / STEP_MM) + OVER_STEPS + 1.0)
    across, along, values, seen = _sections(volume, heights, is_ct)
    body = (values > _body_above(volume, is_ct)) & seen
    thick, filled = _thick(body), _thick(np.stack([without_holes(section) for section in body]))
    largest = largest_part(thick)
    sections = [_alone(*pair) for pair in zip(largest, thick, strict=True)]
    faint = None if is_ct else _faint(values, seen, volume, sections)
    count = len(heights)
    middle, height, doubt, half = (np.full(count, np.nan) for _ in range(4))
    for index, section in enumerate(sections):
        if section is None or _is_cut(section, seen[index]):
            continue
        if faint is not None and np.count_nonzero(faint[index]) > BESIDE_SHARE * np.count_nonzero(section):
            continue
        rows, columns = np.nonzero(section)
        xs, ys = across[columns], along[rows]
        height[index], half[index] = ys.mean(), (xs.max() - xs.min()) / 2
        # A lung behind a thin wall is a hole only as long as the wall is there; a hollow couch is one that should stay open.
        rows, columns = np.nonzero(largest_part(filled[index]))
        middles = [xs.mean(), across[columns].mean()]
        if not is_ct:
            imaged = across[seen[index].any(axis=0)]
            middles.append((imaged.max() + imaged.min()) / 2)
        middle[index] = (min(middles) + max(middles)) / 2
        doubt[index] = (max(middles) - min(middles)) / 2 + abs(xs.mean() - (xs.max() + xs.min()) / 2) + STEP_MM
        doubt[index] += MOST_TURNED * abs(along[rows].mean() - height[index])
    return Midline(first, middle, height, doubt + MOST_TURNED * _lever_mm(half))


def _thick(body: Mask) -> Mask:
    return within(~within(~body, THIN_MM, SPACING_MM), THIN_MM, SPACING_MM) & body


def _lever_mm(half_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a tilt of the body, times this, moves the middle of a section: none of a cylinder; of a ball as far as the section
    lies from its middle. From the change of half the width, w dw/dz."""
    square = half_mm**2
    lever = np.full(len(half_mm), np.nan)
    for index in range(len(half_mm)):
        near = [other for other in (index - OVER_STEPS, index + OVER_STEPS)
                if 0 <= other < len(half_mm) and np.isfinite(square[other])]
        if near and np.isfinite(square[index]):
            lever[index] = max(abs(square[index] - square[other]) for other in near) / (2 * OVER_STEPS * STEP_MM)
    return lever


def _sections(
    volume: Volume, heights: NDArray[np.float64], is_ct: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32], Mask]:
    """x and y of the points, then of each [section, y, x] the value, and whether the images are there."""
    shape = np.array(volume.voxels.shape)
    ends = np.array(np.meshgrid(*((-0.5, side - 0.5) for side in shape))).reshape(3, -1)
    corners = volume.affine[:3, :3] @ ends + volume.affine[:3, 3:]
    (left, front, _), (right, back, _) = corners.min(axis=1), corners.max(axis=1)
    across, along = np.arange(left, right + STEP_MM, STEP_MM), np.arange(front, back + STEP_MM, STEP_MM)
    back_to_voxels = np.linalg.inv(volume.affine)
    seen = np.ones((len(heights), len(along), len(across)), np.bool_)
    indices = []
    for axis in range(3):
        turn, shift = back_to_voxels[axis, :3], back_to_voxels[axis, 3]
        places = (turn[0] * across[None, None, :] + turn[1] * along[None, :, None] + turn[2] * heights[:, None, None] + shift)
        near = np.rint(places).astype(np.int32)
        seen &= (near >= 0) & (near < shape[axis])
        indices.append(near.clip(0, shape[axis] - 1))
    values = volume.voxels[tuple(indices)]
    if is_ct and abs(volume.affine[2, 0]) >= AXIAL_COSINE * volume.spacing_mm[0]:
        _, row_mm, column_mm = volume.spacing_mm
        beyond = np.hypot((indices[1] - (shape[1] - 1) / 2) * row_mm, (indices[2] - (shape[2] - 1) / 2) * column_mm)
        seen &= beyond < min(shape[1] * row_mm, shape[2] * column_mm) / 2 - RIM_MM  # outside of that circle CT knows nothing
    return across, along, values, seen


def _body_above(volume: Volume, is_ct: bool) -> float:
    if is_ct:
        return BODY_ABOVE_HU
    dark, bright = _darkest_and_brightest(volume)
    return dark + BODY_ABOVE_SHARE * (bright - dark)


def _darkest_and_brightest(volume: Volume) -> tuple[float, float]:
    dark, bright = np.percentile(volume.voxels[::2, ::2, ::2], (1, 99))
    return float(dark), float(bright)


def _faint(values: NDArray[np.float32], seen: Mask, volume: Volume, sections: list[Mask | None]) -> Mask:
    """Where MR shines beside the sections of the body: the rest of it may be there, as abdomen beside a bright spleen."""
    dark, bright = _darkest_and_brightest(volume)
    means = mean_of_sections(values, round(FAINT_MM / STEP_MM) // 2)
    air = float(np.percentile(means[seen], 2)) if seen.any() else dark
    body = np.stack([np.zeros_like(there) if section is None else section for section, there in zip(sections, seen, strict=True)])
    shines = means > air + max(air - dark, FAINT_SHARE * (bright - dark))
    return np.asarray(shines & seen & ~within(body, FAINT_MM, SPACING_MM), np.bool_)


def _alone(body: Mask, all_of_it: Mask) -> Mask | None:
    """The section of the body, its holes closed; None where there is none, or something of its size beside it."""
    size, _ = two_largest(body)
    _, beside = two_largest(all_of_it)
    if size * STEP_MM**2 < LEAST_AREA_MM2 or beside > BESIDE_SHARE * size:
        return None
    return without_holes(largest_part(body))


def _is_cut(section: Mask, seen: Mask) -> bool:
    """Whether the images end beside the body, to its left or its right, in front of it or behind it."""
    outside = np.pad(~seen, 1, constant_values=True)
    beside, across = outside[1:-1, :-2] | outside[1:-1, 2:], outside[:-2, 1:-1] | outside[2:, 1:-1]
    at_side, at_front = np.count_nonzero((section & beside).any(axis=1)), np.count_nonzero((section & across).any(axis=0))
    wide = np.count_nonzero(section.any(axis=0))
    return float(at_side) * STEP_MM > CUT_MM or float(at_front) * STEP_MM > max(CUT_MM, CUT_SHARE * STEP_MM * wide)
