"""A box that a detector found, as it lies on the images of the study."""

from __future__ import annotations

from dataclasses import dataclass

from vigil.domain.answer import Measurement


@dataclass(frozen=True)
class Rectangle:
    """The part of a box in one slice. ``index``: of the slice. Edges in pixels, counted from the outer edge of the first one, as
    the coordinates of a DICOM image are (PS3.3 C.18.6.1.1): the middle of that pixel is at 0.5."""

    index: int
    top: float
    bottom: float
    left: float
    right: float

    def corners(self) -> tuple[tuple[float, float], ...]:
        """(column, row), the first again at the end."""
        return ((self.left, self.top), (self.right, self.top), (self.right, self.bottom), (self.left, self.bottom),
                (self.left, self.top))


@dataclass(frozen=True)
class PatientBox:
    """``score``: how certain the model is of it, in percent. ``rectangles``: one for each slice that it is in, ascending; never
    none."""

    score: Measurement
    rectangles: tuple[Rectangle, ...]

    @property
    def middle(self) -> Rectangle:
        return self.rectangles[len(self.rectangles) // 2]

    def on(self, index: int) -> Rectangle | None:
        """Its part in a slice."""
        return next((part for part in self.rectangles if part.index == index), None)
