"""The boxes of a detector drawn into a picture: a frame around each, dark on both sides, so that it is seen over bone and over
air, with its number and score beside it."""

from __future__ import annotations

import numpy as np

from vigil.domain.boxes import Rectangle
from vigil.results.boxes import ToldBox, label, told_boxes
from vigil.results.contour import Mask
from vigil.results.inscription import Line, Rgb, Scribe
from vigil.results.lettering import Colour, Hand
from vigil.results.picture import OUTLINE_COLOUR, colour_of
from vigil.results.request import ResultRequest

Span = tuple[int, int, int, int]
"""Top, bottom, left, right in pixels; the ends not within."""


class BoxFrames:
    """``line_width``: of a frame, in pixels."""

    def __init__(self, request: ResultRequest, shape: tuple[int, int], line_width: int, scribe: Scribe) -> None:
        self._request, self._shape, self._scribe = request, shape, scribe
        self._width, self._dark = line_width, max(1, round(line_width / 3))
        self._margin = self._width + 2 * self._dark
        self._boxes = told_boxes(request)
        self._by_slice: dict[int, list[tuple[ToldBox, Rectangle]]] = {}
        for told in self._boxes:
            for part in told.box.rectangles:
                self._by_slice.setdefault(part.index, []).append((told, part))
        self._size = max(11.0, min(shape) / 30)
        self._written: list[tuple[slice, slice]] = []

    def findings_on(self, index: int) -> set[int]:
        """Numbers of the findings of which a box is in a slice."""
        return {told.item.number for told, _ in self._by_slice.get(index, ())}

    def occupy(self, busy: Mask, index: int) -> None:
        """Marks in ``busy`` what is framed on a slice."""
        for _, part in self._by_slice.get(index, ()):
            top, bottom, left, right = self._outer(part)
            busy[top:bottom, left:right] = True

    def keep_off(self, area: tuple[slice, slice]) -> None:
        """There is writing already."""
        self._written.append(area)

    def draw(self, rgb: Rgb, index: int) -> None:
        boxes = self._by_slice.get(index, [])
        for _, part in boxes:
            _frame(rgb, self._outer(part), self._margin, OUTLINE_COLOUR)
        for told, part in reversed(boxes):  # the most certain one lies above the others
            top, bottom, left, right = self._outer(part)
            inner = (top + self._dark, bottom - self._dark, left + self._dark, right - self._dark)
            _frame(rgb, inner, self._width, colour_of(told.item.number))
        for line, top, left in self._labels(index):
            self._scribe.write(rgb, left, top, line)

    def _outer(self, part: Rectangle) -> Span:
        """The frame stands around what the box holds, and within the picture: a side that lies at its edge is seen too."""
        margin, (rows, columns) = self._margin, self._shape
        return (
            max(0, round(part.top) - margin), min(rows, round(part.bottom) + margin),
            max(0, round(part.left) - margin), min(columns, round(part.right) + margin),
        )  # fmt: skip

    def _labels(self, index: int) -> list[tuple[Line, int, int]]:
        """Each with its top and left, where it hides least of the frames and of what is written already."""
        boxes = self._by_slice.get(index, [])
        taken: Mask = np.zeros(self._shape, bool)
        for area in self._written:
            taken[area] = True
        for _, part in boxes:
            _frame(taken, self._outer(part), self._margin, True)
        made = []
        for told, part in boxes:
            if text := label(self._request, told, self._boxes):
                line = Line(text, Hand(self._size, colour_of(told.item.number)))
                places = self._places(line, self._outer(part))
                top, left = min(places, key=lambda at: int(np.count_nonzero(taken[self._area(line, *at)])))
                taken[self._area(line, top, left)] = True
                made.append((line, top, left))
        return made

    def _places(self, line: Line, outer: Span) -> list[tuple[int, int]]:
        """Beside the frame, above or below it, and within it where there is no room around; all in the picture."""
        (rows, columns), (top, bottom, left, right) = self._shape, outer
        height = line.height + line.outline
        aligned = min(max(0, left), columns - line.width)
        wanted = [
            (top + line.outline, right), (top + line.outline, left - line.width), (top - height, aligned), (bottom, aligned),
            (bottom - height, right), (bottom - height, left - line.width),
        ]  # fmt: skip
        fitting = [(at, x) for at, x in wanted if line.outline <= at <= rows - height and 0 <= x <= columns - line.width]
        return fitting or [(min(top + self._margin + line.outline, rows - height), max(0, aligned + self._margin))]

    @staticmethod
    def _area(line: Line, top: int, left: int) -> tuple[slice, slice]:
        return slice(max(0, top - line.outline), top + line.height + line.outline), slice(max(0, left), left + line.width)


def _frame(picture: Rgb | Mask, span: Span, width: int, value: bool | Colour) -> None:
    top, bottom, left, right = span
    whole = picture[top:bottom, left:right]
    for side in (whole[:width], whole[-width:], whole[:, :width], whole[:, -width:]):
        side[...] = value
