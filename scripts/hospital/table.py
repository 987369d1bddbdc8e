"""A table for a terminal: columns aligned, long cells wrapped, numbers to the right."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence

GAP = "  "


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int = 140) -> str:
    """The rows under their heads. Where they are wider than ``width``, the widest columns are wrapped."""
    columns = len(head)
    if any(len(row) != columns for row in rows):
        raise ValueError(f"every row needs {columns} cells")
    widths = [max(_longest(row[column]) for row in (head, *rows)) for column in range(columns)]
    available = width - len(GAP) * (columns - 1)
    words = [max(_longest_word(row[column]) for row in (head, *rows)) for column in range(columns)]
    for least in (words, [1] * columns):  # at spaces and hyphens; where that is not enough, anywhere
        while sum(widths) > available and any(width > low for width, low in zip(widths, least, strict=True)):
            widest = max(
                (column for column in range(columns) if widths[column] > least[column]), key=widths.__getitem__
            )
            widths[widest] -= 1
    to_the_right = [_are_numbers([row[column] for row in rows]) for column in range(columns)]
    lines = [*_wrapped(head, widths, to_the_right), GAP.join("─" * width for width in widths)]
    for row in rows:
        lines += _wrapped(row, widths, to_the_right)
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(cells: Sequence[str], widths: Sequence[int], to_the_right: Sequence[bool]) -> list[str]:
    columns = [
        [part for line in cell.split("\n") for part in (textwrap.wrap(line, width) or [""])]
        for cell, width in zip(cells, widths, strict=True)
    ]
    height = max(len(column) for column in columns)
    return [
        GAP.join(
            _padded(column[line] if line < len(column) else "", width, right)
            for column, width, right in zip(columns, widths, to_the_right, strict=True)
        )
        for line in range(height)
    ]


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * max(0, width - _cells(text))
    return space + text if right else text + space


def _longest(text: str) -> int:
    return max(_cells(line) for line in text.split("\n"))


def _longest_word(text: str) -> int:
    return max((_cells(word) for word in re.split(r"\s|(?<=-)", text)), default=1) or 1


def _cells(text: str) -> int:
    """How many places of a terminal the text takes: East Asian wide characters take two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) != 0 for character in text)


def _are_numbers(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell not in ("", "–")]
    return bool(filled) and all(cell.split(" ", maxsplit=1)[0].replace(".", "", 1).isdigit() for cell in filled)
