"""Text in pictures, with the one font that Pillow carries: no font file to install, the same pixels everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from PIL import ImageDraw, ImageFont

from vigil.results.patient_study import ascii_text

Colour = tuple[int, int, int]

_BEYOND_ASCII = frozenset("·±°“”‘’…")
"""What the built-in font draws beside ASCII."""


def drawable(text: str) -> str:
    """``text`` as the font can draw it."""
    if text.isascii():
        return text
    return "".join(character if character in _BEYOND_ASCII else ascii_text(character) for character in text)


def legible(text: str) -> bool:
    """Whether ``text`` survives :func:`drawable`: a Japanese description would come out as question marks."""
    return drawable(text).count("?") == text.count("?")


@dataclass(frozen=True)
class Hand:
    """A way to write: size in pixels, colour, and how bold (the stroke's extra width in pixels)."""

    size: float
    colour: Colour
    bold: float = 0

    @cached_property
    def font(self) -> ImageFont.FreeTypeFont:
        font = ImageFont.load_default(self.size)
        assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 - what Pillow returns for a given size
        return font

    def width(self, text: str) -> float:
        return self.font.getlength(text) + 2 * self.bold

    def line_height(self) -> int:
        return round(self.size * 1.28)

    def write(self, draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, anchor: str = "la") -> None:
        draw.text(
            at, drawable(text), font=self.font, fill=self.colour, anchor=anchor, stroke_width=self.bold,
            stroke_fill=self.colour,
        )  # fmt: skip

    def write_outlined(self, draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, outline: int) -> None:
        """Over anatomy: with a black line around each letter."""
        draw.text(at, drawable(text), font=self.font, fill=self.colour, stroke_width=outline, stroke_fill=(0, 0, 0))

    def write_block(
        self, draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, width: int, most_lines: int = 99
    ) -> int:
        """Wrapped into ``width``; returns the y below the last line."""
        y = at[1]
        for line in wrapped(drawable(text), width, self.width, most_lines):
            self.write(draw, (at[0], y), line)
            y += self.line_height()
        return y

    def lines(self, text: str, width: int) -> int:
        return len(wrapped(drawable(text), width, self.width))


def wrapped(text: str, width: int, measure: Callable[[str], float], most_lines: int = 99) -> list[str]:
    """``text`` in lines of at most ``width``, broken between words, within one only where it is wider than a line. What
    does not fit into ``most_lines`` ends in an ellipsis."""
    lines: list[str] = []
    line = ""
    for word in _words(text, width, measure):
        longer = f"{line} {word}" if line else word
        if measure(longer) <= width:
            line = longer
        else:
            lines.append(line)
            line = word
    if line:
        lines.append(line)
    if len(lines) <= most_lines:
        return lines
    last = lines[most_lines - 1]
    while last and measure(last + "…") > width:
        last = last[:-1]
    return [*lines[: most_lines - 1], last.rstrip() + "…"]


def _words(text: str, width: int, measure: Callable[[str], float]) -> list[str]:
    pieces: list[str] = []
    for word in text.split():
        rest = word
        while measure(rest) > width and len(rest) > 1:
            fitting = len(rest) - 1
            while fitting > 1 and measure(rest[:fitting]) > width:
                fitting -= 1
            pieces.append(rest[:fitting])
            rest = rest[fitting:]
        pieces.append(rest)
    return pieces
