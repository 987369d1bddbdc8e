"""Free text into HL7 v2 fields (chapter 2.7): delimiters escaped, line breaks as ``\\.br\\``, controls dropped."""

from __future__ import annotations

import re
import unicodedata

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""What MLLP and parsers trip over: C0 (0B and 1C frame the message), DEL and C1. Tab, CR and LF are handled before."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_DELIMITERS = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\", "\n": "\\.br\\"}
ELLIPSIS = "…"


def readable(text: str) -> str:
    """The text without what cannot travel: every line break as ``\\n``, a tab as a space, control characters gone, and
    halves of surrogate pairs (which no encoding can write) as U+FFFD."""
    text = _BREAK.sub("\n", text).replace("\t", " ")
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))


def one_line(text: str) -> str:
    """As :func:`readable`, for names, ids and codes: a line break becomes a space, and the ends are trimmed."""
    return readable(text).replace("\n", " ").strip()


def escape(text: str) -> str:
    """Text as it stands in a field, component or subcomponent."""
    return "".join(_DELIMITERS.get(character, character) for character in readable(text))


def fit(text: str, limit: int) -> str:
    """The longest beginning of a text whose escaped form has at most ``limit`` characters, ending in an ellipsis where
    something was cut. Cut before escaping, so that no escape sequence is halved."""
    if len(escape(text)) <= limit:
        return text
    room, kept = limit - 1, []
    for character in readable(text):
        room -= len(_DELIMITERS.get(character, character))
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + ELLIPSIS


def wrapped(text: str, limit: int) -> list[str]:
    """The text as lines whose escaped form has at most ``limit`` characters, broken between words where it can be."""
    lines: list[str] = []
    for line in readable(text).split("\n"):
        current = ""
        for word in line.split():
            longer = f"{current} {word}" if current else word
            if len(escape(longer)) > limit and current:
                lines.append(current)
                longer = word
            while len(escape(longer)) > limit:
                piece = fit(longer, limit).removesuffix(ELLIPSIS)
                lines.append(piece)
                longer = longer[len(piece) :]
            current = longer
        if current:
            lines.append(current)
    return lines


def encode(message: str, codec: str) -> tuple[bytes, int]:
    """The message in the receiver's character set, and how many characters it lacks.

    A character that the set lacks becomes ``?``; composed forms are tried first, so that a decomposed ü survives
    Latin-1. Our own ellipsis becomes a full stop where there is none.
    """
    if codec == "utf-8":
        return message.encode(codec), 0
    composed = unicodedata.normalize("NFC", message)
    if not encodable(ELLIPSIS, codec):
        composed = composed.replace(ELLIPSIS, ".")
    missing = sum(not encodable(character, codec) for character in composed)
    return composed.encode(codec, errors="replace"), missing


def encodable(text: str, codec: str) -> bool:
    try:
        unicodedata.normalize("NFC", text).encode(codec)
    except UnicodeEncodeError:
        return False
    return True
