"""Words over anatomy: outlined, written the same on every slice of a series, and never over a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vigil.results.contour import Mask
from vigil.results.lettering import Hand, drawable

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Line:
    text: str
    hand: Hand

    @property
    def outline(self) -> int:
        """Wide enough to part letters from bone, in pixels."""
        return max(2, round(self.hand.size / 8))

    @cached_property
    def width(self) -> int:
        return ceil(self.hand.width(drawable(self.text))) + 2 * self.outline

    @property
    def height(self) -> int:
        return self.hand.line_height()


@dataclass(frozen=True)
class Block:
    """A place for lines below each other. ``flush_right``: they end at its right edge; ``at_foot``: fewer lines than it
    has room for stand at its lower edge."""

    left: int
    top: int
    width: int
    height: int
    flush_right: bool = False
    at_foot: bool = False

    @property
    def area(self) -> tuple[slice, slice]:
        """As an index into a picture."""
        return slice(max(0, self.top), self.top + self.height), slice(max(0, self.left), self.left + self.width)


@dataclass(frozen=True, eq=False)
class _Stamp:
    """A line as it is laid over a picture: what remains of it, [row, column, 1], and what is added, [row, column, 3]."""

    remains: NDArray[np.float32]
    added: NDArray[np.float32]


class Scribe:
    """Writes lines into pictures. A line that was written before is copied: drawing letters is what takes the time."""

    def __init__(self) -> None:
        self._stamps: dict[Line, _Stamp] = {}

    def write(self, rgb: Rgb, left: int, top: int, line: Line) -> None:
        """``line`` into ``rgb`` [row, column, 3], in place; what would run out of the picture is cut off."""
        stamp = self._stamps.get(line)
        if stamp is None:
            stamp = self._stamps[line] = _stamp(line)
        top = top - line.outline
        rows, columns = rgb.shape[:2]
        height, width = stamp.remains.shape[:2]
        seen = np.s_[max(0, top) : min(rows, top + height), max(0, left) : min(columns, left + width)]
        there = np.s_[max(0, -top) : rows - top, max(0, -left) : columns - left]
        patch = rgb[seen]
        rgb[seen] = (patch * stamp.remains[there] + stamp.added[there] + 0.5).astype(np.uint8)

    def write_block(self, rgb: Rgb, block: Block, lines: Sequence[Line]) -> None:
        top = block.top + (block.height - size_of(lines)[1] if block.at_foot else 0)
        for line in lines:
            self.write(rgb, block.left + (block.width - line.width if block.flush_right else 0), top, line)
            top += line.height


def _stamp(line: Line) -> _Stamp:
    size = (line.width, line.height + 2 * line.outline)
    shares = []
    for stroke in (line.outline, line.hand.bold):
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).text(
            (line.outline, line.outline), drawable(line.text), font=line.hand.font, fill=255, stroke_width=stroke
        )
        shares.append(np.asarray(mask, dtype=np.float32)[:, :, None] / np.float32(255))
    around, letters = shares
    colour = np.array(line.hand.colour, np.float32)
    return _Stamp(np.asarray((1 - around) * (1 - letters), np.float32), np.asarray(letters * colour, np.float32))


def size_of(lines: Sequence[Line]) -> tuple[int, int]:
    """Width and height."""
    return max((line.width for line in lines), default=0), sum(line.height for line in lines)


def free_place(lines: Sequence[Line], margin: float, busy: Mask, *, at_top: bool) -> Block:
    """Where ``lines`` hide least of ``busy`` [row, column]: left or right, at the top or else at the bottom (or the other
    way round), ``margin`` of the picture's size away from its edges, for the corners belong to the viewer."""
    rows, columns = busy.shape
    width, height = size_of(lines)
    inset = round(columns * margin)
    upper, lower = round(rows * margin), round(rows * (1 - margin)) - height
    places = [
        Block(left, top, width, height, flush_right, at_foot=top == lower)
        for top in ((upper, lower) if at_top else (lower, upper))
        for left, flush_right in ((inset, False), (columns - inset - width, True))
    ]
    return min(places, key=lambda place: int(np.count_nonzero(busy[place.area])))  # of several alike, the first
