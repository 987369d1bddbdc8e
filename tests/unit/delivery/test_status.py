from __future__ import annotations

import pytest

from vigil.delivery.status import accepted, out_of_resources, status_text


@pytest.mark.parametrize("status", [0x0000, 0x0001, 0x0111, 0xB000, 0xB006, 0xB007, 0xB123])
def test_success_warnings_and_duplicates_mean_that_the_object_is_there(status: int) -> None:
    assert accepted(status)


@pytest.mark.parametrize("status", [0x0110, 0x0117, 0x0122, 0x0124, 0xA700, 0xA900, 0xC000, 0xFE00, 0xFF00])
def test_everything_else_is_a_refusal(status: int) -> None:
    assert not accepted(status)


def test_a_status_has_a_name() -> None:
    assert status_text(0xA701) == "out of resources (0xA701)"
    assert status_text(0xC123) == "cannot understand (0xC123)"
    assert status_text(0xB006) == "stored, with elements discarded"
    assert status_text(0xB123) == "stored, with warning 0xB123"
    assert status_text(0x0199) == "failure 0x0199"


def test_a_full_disk_passes_and_a_refusal_does_not() -> None:
    assert all(out_of_resources(status) for status in (0xA700, 0xA7FF, 0x0213))
    assert not any(out_of_resources(status) for status in (0x0000, 0x0122, 0xA770, 0xA900, 0xB007, 0xC000))


def test_what_storage_commitment_and_stow_rs_say_has_a_name_too() -> None:
    assert status_text(0x0112) == "it does not have the object"
    assert status_text(0xC122) == "transfer syntax not supported"
    assert not any(accepted(status) for status in (0x0112, 0x0131, 0x0213, 0xA770, 0xC122))
