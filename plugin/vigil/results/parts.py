"""The several findings of a model on the summary image: a line for each, the gravest first, none left out."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

from vigil.domain.answer import AnswerKind, Part, gravest_parts_first
from vigil.results import wording
from vigil.results.lettering import Hand
from vigil.results.marks import KIND_COLOURS, MUTED, TEXT, sign
from vigil.results.request import ResultRequest

SIZES = (28, 26, 24, 22, 20, 18, 16, 15, 14, 13, 12, 11, 10)
"""From what reads well; below 18 only where a model has more findings than there is room for."""
BETWEEN, BETWEEN_MANY, MANY = 0.35, 0.1, 8
"""Of a line's height, between two findings; and of so many."""
RULE = "Positive at or above its threshold; a negative does not exclude it."


@dataclass(frozen=True)
class _Layout:
    hand: Hand
    indent: int
    between: int
    height: int


def draw_parts(
    request: ResultRequest, image: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int], room: tuple[int, int]
) -> None:
    """``room``: width and height."""
    (left, y), width = at, room[0]
    parts = gravest_parts_first(request.answer.parts)
    layout = layout_of(request, parts, room)
    hand = layout.hand
    for part in parts:
        side = round(hand.size)
        sign(image, left, y + round((hand.line_height() - side) / 2), side, part.kind)
        coloured = Hand(hand.size, KIND_COLOURS[part.kind] if part.kind is not AnswerKind.NEGATIVE else TEXT)
        y = coloured.write_block(draw, (left + layout.indent, y), wording.part_words(request, part), width - layout.indent)
        y += layout.between
    Hand(hand.size, MUTED).write_block(draw, (left, y), _foot(request), width)


def layout_of(request: ResultRequest, parts: tuple[Part, ...], room: tuple[int, int]) -> _Layout:
    """The largest hand in which every finding stands whole."""
    for size in SIZES:
        layout = _layout(request, parts, Hand(size, TEXT), room[0])
        if layout.height <= room[1]:
            break
    return layout


def _layout(request: ResultRequest, parts: tuple[Part, ...], hand: Hand, width: int) -> _Layout:
    indent = round(hand.size * 1.5)
    lines = sum(hand.lines(wording.part_words(request, part), width - indent) for part in parts)
    between = round(hand.line_height() * (BETWEEN if len(parts) < MANY else BETWEEN_MANY))
    height = (lines + hand.lines(_foot(request), width)) * hand.line_height() + len(parts) * between
    return _Layout(hand, indent, between, height)


def _foot(request: ResultRequest) -> str:
    return f"{RULE} Operating point '{request.analysis.operating_point}'."
