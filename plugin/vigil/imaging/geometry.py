"""Where voxels lie: from a stack of slices to an affine, and from any affine to the axes of the patient."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from vigil.intake.stack import SliceStack


def affine_of(stack: SliceStack) -> NDArray[np.float64]:
    """4 x 4: maps (slice, row, column, 1) to patient coordinates (LPS) in mm (PS3.3 C.7.6.2.1.1).

    Position and orientation of the first image place the volume; the step from slice to slice is the stack's, sideways
    too where the gantry was tilted.
    """
    if stack.headers[0].orientation is None:  # a projection has no place: slice, row and column along axes of its own
        return np.diag([*stack.spacing_mm, 1.0])[[2, 1, 0, 3]]
    normal = np.array(stack.normal)
    along_row = np.array([header.orientation[:3] for header in stack.headers if header.orientation]).mean(axis=0)
    along_row -= (along_row @ normal) * normal
    along_row /= np.linalg.norm(along_row)
    slice_mm, row_mm, column_mm = stack.spacing_mm
    affine = np.eye(4)
    along_column = np.cross(normal, along_row)
    affine[:3, 0] = (normal + stack.drift[0] * along_row + stack.drift[1] * along_column) * slice_mm
    affine[:3, 1] = along_column * row_mm  # the row index grows down a column
    affine[:3, 2] = along_row * column_mm
    affine[:3, 3] = stack.headers[0].position_mm or (0.0, 0.0, 0.0)
    return affine


@dataclass(frozen=True)
class Reorientation:
    """Axes of an array permuted and flipped, nothing more.

    ``axes[i]``: the axis of the source that becomes axis ``i``; ``flipped[i]``: whether it then runs backwards.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def apply(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """A view."""
        return array.transpose(self.axes)[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]

    def undo(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """A view, in the source's axes."""
        unflipped = array[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]
        back = (self.axes.index(0), self.axes.index(1), self.axes.index(2))
        return unflipped.transpose(back)


PATIENT_AXES = {"L": (0, False), "R": (0, True), "P": (1, False), "A": (1, True), "S": (2, False), "I": (2, True)}
"""Axis of DICOM's patient coordinates, and whether the letter's direction runs against it."""


def to_patient_axes(affine: NDArray[np.float64]) -> Reorientation:
    """The reorientation after which slices run most nearly to the head, rows to the back, columns to the left (LPS)."""
    return to_orientation(affine, "SPL")


def to_orientation(affine: NDArray[np.float64], orientation: str) -> Reorientation:
    """The reorientation after which the axes of the array run most nearly as the letters say, first axis first.

    Nothing is rotated, so that no voxel is interpolated for it: an oblique volume stays oblique.
    """
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    wanted = tuple(PATIENT_AXES[letter] for letter in orientation)

    def agreement(axes: tuple[int, ...]) -> float:
        return sum(abs(float(cosines[patient, axis])) for (patient, _), axis in zip(wanted, axes, strict=True))

    best = max(permutations(range(3)), key=agreement)
    axes = (best[0], best[1], best[2])
    flipped = tuple(bool((cosines[patient, axis] < 0) != against) for (patient, against), axis in zip(wanted, axes, strict=True))
    return Reorientation(axes, (flipped[0], flipped[1], flipped[2]))
