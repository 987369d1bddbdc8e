"""Sealing: opens only whole, only in its place, only with its key."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigil.records.errors import SealBroken
from vigil.records.sealing import HEADER_BYTES, KEY_BYTES, NONCE_BYTES, Sealer

KEY = bytes(range(KEY_BYTES))
SEALER = Sealer(KEY)


@settings(deadline=None)
@given(value=st.binary(), row=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_opens_in_its_row(value: bytes, row: str) -> None:
    assert SEALER.unseal(SEALER.seal(value, row), row) == value


@settings(deadline=None)
@given(value=st.binary(), data=st.data())
def test_a_changed_byte_anywhere_is_found(value: bytes, data: st.DataObject) -> None:
    sealed = bytearray(SEALER.seal(value, "row"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        SEALER.unseal(bytes(sealed), "row")


@settings(deadline=None)
@given(value=st.binary(), data=st.data())
def test_a_cut_value_is_found(value: bytes, data: st.DataObject) -> None:
    sealed = SEALER.seal(value, "row")
    with pytest.raises(SealBroken):
        SEALER.unseal(sealed[: data.draw(st.integers(0, len(sealed) - 1))], "row")


def test_a_value_that_was_moved_to_another_row_does_not_open() -> None:
    with pytest.raises(SealBroken, match="the sealed value of row-2 was changed or belongs to another row"):
        SEALER.unseal(SEALER.seal(b"x", "row-1"), "row-2")


def test_another_key_is_named() -> None:
    other = Sealer(bytes(KEY_BYTES))
    with pytest.raises(SealBroken, match=f"sealed with key {SEALER.key_id}, the key at hand is {other.key_id}"):
        other.unseal(SEALER.seal(b"x", "row"), "row")


def test_a_sealed_value_shows_nothing_and_differs_each_time() -> None:
    first, second = SEALER.seal(b"MUELLER" * 100, "row"), SEALER.seal(b"MUELLER" * 100, "row")
    assert b"MUELLER" not in first
    nonces = slice(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES)
    assert first[nonces] != second[nonces]
    assert first[:HEADER_BYTES] == second[:HEADER_BYTES]


def test_values_are_compressed_before_they_are_sealed() -> None:
    assert len(SEALER.seal(bytes(1_000_000), "row")) < 20_000


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "sealing.key"
    first = Sealer.open(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_bytes()) == KEY_BYTES
    assert Sealer.open(file).unseal(first.seal(b"x", "row"), "row") == b"x"
    assert [entry.name for entry in tmp_path.iterdir()] == ["sealing.key"]


def test_many_openers_at_once_get_one_key(tmp_path: Path) -> None:
    for turn in range(20):
        file, barrier, keys = tmp_path / f"{turn}.key", threading.Barrier(4), []

        def open_(file: Path = file, barrier: threading.Barrier = barrier, keys: list[str] = keys) -> None:
            barrier.wait()
            keys.append(Sealer.open(file).key_id)

        threads = [threading.Thread(target=open_) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys) == 4
        assert len(set(keys)) == 1


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_a_damaged_key_file_is_told_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "sealing.key"
    file.write_bytes(content)
    with pytest.raises(SealBroken, match=r"restore sealing\.key"):
        Sealer.open(file)
    assert file.read_bytes() == content


def test_a_key_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(SealBroken, match="cannot be read or made: No such file"):
        Sealer.open(tmp_path / "none" / "sealing.key")
