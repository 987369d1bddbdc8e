"""Orthanc's configuration as text: JSON with comments, read, and edited in one place without touching the rest.

The bundle's own reader (vigil.settings.configuration_files) needs its libraries; this is what works before they are there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|[{}\[\]:,]|[^\s{}\[\]:,"/]+', re.DOTALL)


class NotJson(ValueError):
    """Says the line."""


@dataclass(frozen=True)
class Entry:
    """A key of the outermost object, and where its value stands in the text: ``text[begin:end]``."""

    key: str
    begin: int
    end: int


def parsed(text: str) -> dict[str, object]:
    plain = _TOKEN.sub(lambda found: re.sub(r"[^\n]", " ", found[0]) if found[0].startswith(("//", "/*")) else found[0], text)
    try:
        content = json.loads(plain)
    except json.JSONDecodeError as error:
        raise NotJson(f"is no JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    if not isinstance(content, dict):
        raise NotJson("holds no JSON object")
    return content


def entries(text: str) -> Iterator[Entry]:
    """The keys of the outermost object. The text is one that :func:`parsed` accepts."""
    depth, key, begin, last = 0, None, None, 0
    for found in _TOKEN.finditer(text):
        word = found[0]
        if word.startswith(("//", "/*")):
            continue
        if depth == 1 and word in (",", "}") and key is not None and begin is not None:
            yield Entry(key, begin, last)
            key = begin = None
        elif depth == 1 and key is None and word.startswith('"'):
            key = json.loads(word)
        elif depth == 1 and key is not None and begin is None and word != ":":
            begin = found.start()
        if word in "{[":
            depth += 1
        elif word in "}]":
            depth -= 1
        last = found.end()


def entry(text: str, key: str) -> Entry | None:
    return next((each for each in entries(text) if each.key == key), None)


def with_value(text: str, key: str, value: str) -> str:
    """``value``: JSON text. The key is there."""
    place = entry(text, key)
    if place is None:
        raise KeyError(key)
    return text[: place.begin] + value + text[place.end :]


def with_first(text: str, block: str) -> str:
    """``block``: text of entries, each with its comma, put behind the brace that opens the outermost object."""
    for found in _TOKEN.finditer(text):
        if found[0] == "{":
            return text[: found.end()] + block + text[found.end() :]
    raise NotJson("holds no JSON object")
