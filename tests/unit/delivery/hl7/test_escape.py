from __future__ import annotations

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.delivery.hl7.escape import encodable, encode, escape, fit, one_line, readable, wrapped

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)


def read_back(escaped: str) -> str:
    """What an independent reader makes of a field; its ``\\.br\\`` is a carriage return."""
    return str(hl7.parse("MSH|^~\\&|").unescape(escaped)).replace("\r", "\n")


def test_delimiters_and_line_breaks_are_escaped() -> None:
    assert escape("a|b^c~d&e\\f") == "a\\F\\b\\S\\c\\R\\d\\T\\e\\E\\f"
    assert escape("one\r\ntwo\nthree\rfour") == "one\\.br\\two\\.br\\three\\.br\\four"


def test_control_characters_are_dropped_and_a_tab_is_a_space() -> None:
    assert readable("a\x0bb\x1cc\x00d\x7fe\x9ff\tg") == "abcdef g"


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    assert readable("a\ud800b") == "a\ufffdb"


def test_one_line_has_no_break() -> None:
    assert one_line(" Müller\r\nJörg ") == "Müller Jörg"


@given(ANYTHING)
def test_any_text_is_read_back_as_it_was_but_for_control_characters(text: str) -> None:
    assert read_back(escape(text)) == readable(text)


@given(ANYTHING)
def test_what_is_dropped_is_only_what_cannot_travel(text: str) -> None:
    kept = readable(text)
    kept.encode("utf-8")
    assert not any((ord(character) < 0x20 and character != "\n") or 0x7F <= ord(character) < 0xA0 for character in kept)
    ordinary = [c for c in text if ord(c) >= 0x20 and not 0x7F <= ord(c) < 0xA0 and not 0xD800 <= ord(c) < 0xE000]
    ordinary = [c for c in ordinary if c not in "\u2028\u2029"]
    assert [c for c in kept if c not in "\n\ufffd "] == [c for c in ordinary if c not in "\ufffd "]


@given(ANYTHING)
def test_no_delimiter_and_no_frame_byte_is_left(text: str) -> None:
    escaped = escape(text)
    assert not set("|^~&\r\n\x0b\x1c") & set(escaped)


@given(ANYTHING, st.integers(min_value=8, max_value=40))
def test_cut_text_fits_and_is_a_beginning(text: str, limit: int) -> None:
    shown = fit(text, limit)
    assert len(escape(shown)) <= limit
    if shown != text:
        assert shown.endswith("…")
        assert readable(text).startswith(shown[:-1])


def test_text_that_fits_is_not_touched() -> None:
    assert fit("a|b", 5) == "a|b"
    assert fit("a|bc", 5) == "a|…"
    assert fit("a|bc", 4) == "a…"


@given(ANYTHING, st.integers(min_value=8, max_value=40))
def test_wrapped_lines_fit_and_lose_no_word(text: str, limit: int) -> None:
    lines = wrapped(text, limit)
    assert all(len(escape(line)) <= limit for line in lines)
    assert "".join("".join(lines).split()) == "".join(readable(text).split())


def test_text_is_wrapped_between_words_and_at_its_own_breaks() -> None:
    assert wrapped("one two three\nfour", 8) == ["one two", "three", "four"]


@pytest.mark.parametrize(
    ("codec", "text", "content", "missing"),
    [
        ("utf-8", "山田", "山田".encode(), 0),
        ("iso8859-1", "Müller", b"M\xfcller", 0),
        ("iso8859-1", "Mu\u0308ller", b"M\xfcller", 0),
        ("iso8859-1", "山Müller", b"?M\xfcller", 1),
        ("ascii", "Müller", b"M?ller", 1),
    ],
)
def test_characters_that_a_set_lacks_are_replaced_and_counted(
    codec: str, text: str, content: bytes, missing: int
) -> None:
    assert encode(text, codec) == (content, missing)
    assert encodable(text, codec) is (missing == 0)
