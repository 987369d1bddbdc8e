from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hospital.table import table


def test_columns_are_aligned_and_numbers_stand_to_the_right() -> None:
    assert table(("name", "value"), [("a", "1.5 mL"), ("long name", "12.0 mL")]) == (
        "name         value\n─────────  ───────\na           1.5 mL\nlong name  12.0 mL"
    )


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cells"):
        table(("a", "b"), [("only one",)])


def test_wide_characters_take_two_places() -> None:
    lines = table(("name", "x"), [("山田", "|"), ("abcd", "|")]).splitlines()
    assert lines[2] == "山田  |"
    assert lines[3] == "abcd  |"


@given(
    st.lists(st.tuples(st.text("abc \n", max_size=60), st.text("xyz ", max_size=60)), max_size=4), st.integers(30, 90)
)
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(rows: list[tuple[str, str]], width: int) -> None:
    shown = table(("first", "second"), rows, width)
    assert max(len(line) for line in shown.splitlines()) <= width
    for first, second in rows:
        for letters in (first, second):
            for letter in set(letters.replace(" ", "").replace("\n", "")):
                assert letter in shown
