from __future__ import annotations

import pytest
from pydicom.valuerep import PersonName

from vigil.delivery.hl7.names import patient_name, physician


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Doe^John", "Doe^John^^^^^L^A"),
        ("Doe^John^Quincy^Dr.^Jr.", "Doe^John^Quincy^Jr.^Dr.^^L^A"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"),
        ("=山田^太郎", "山田^太郎^^^^^L^I"),
        ("قباني^لنزار", "قباني^لنزار^^^^^L^A"),
        ("O|Hara^A&B", "O\\F\\Hara^A\\T\\B^^^^^L^A"),
    ],
)
def test_a_name_becomes_one_repetition_for_each_group(name: str, expected: str) -> None:
    assert patient_name(PersonName(name), "utf-8") == (expected, [])


@pytest.mark.parametrize("name", [None, "", "^^^^", "=="])
def test_a_missing_name_is_said_to_be_missing(name: str | None) -> None:
    text, warnings = patient_name(name, "utf-8")
    assert text == "^^^^^^U"
    assert len(warnings) == 1


def test_a_group_that_the_set_cannot_write_is_left_out_with_a_warning() -> None:
    text, warnings = patient_name("Yamada^Tarou=山田^太郎", "iso8859-1")
    assert text == "Yamada^Tarou^^^^^L^A"
    assert "character set" in warnings[0]
    assert "Yamada" not in warnings[0]


def test_a_name_that_cannot_be_written_at_all_is_still_there_to_be_replaced() -> None:
    assert patient_name("山田^太郎", "iso8859-1") == ("山田^太郎^^^^^L^A", [])


def test_components_that_no_standard_knows_are_not_lost_in_silence() -> None:
    text, warnings = patient_name("a^b^c^d^e^f", "utf-8")
    assert text == "a^b^c^e^d^^L^A"
    assert "five" in warnings[0]


def test_a_physician_has_no_identifier_but_a_name() -> None:
    assert physician("Referrer^Rita^^Dr.", "utf-8") == "^Referrer^Rita^^^Dr."
    assert physician("", "utf-8") == ""
    assert physician(None, "utf-8") == ""
    assert physician("山田^太郎=山田", "iso8859-1") == ""
