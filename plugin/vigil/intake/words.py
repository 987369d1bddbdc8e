"""Words in what people write into headers."""

from __future__ import annotations

import re


def has_word(text: str, word: str) -> bool:
    """Whether a word stands in a text, letters on neither side: "head" in "HEAD_1.5", not in "forehead"."""
    return re.search(rf"(?<![^\W\d_]){re.escape(word.casefold())}(?![^\W\d_])", text.casefold()) is not None
