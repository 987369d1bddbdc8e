"""Back to the version before: its tables, and everything that has happened since."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from installer import state
from installer.refused import Cause, Refused
from vigil.domain.clock import SystemClock
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer


def ledger(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as database, database:
        for statement in statements:
            database.execute(statement)


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as database:
        return list(database.execute(query))


@pytest.fixture
def updated(tmp_path: Path) -> Path:
    """A ledger of 0.1.0 with an alert told, backed up, then migrated by the next version, which told another."""
    ledger(
        tmp_path,
        "CREATE TABLE alembic_version (version_num TEXT)",
        "INSERT INTO alembic_version VALUES ('0003')",
        "CREATE TABLE alert (id TEXT PRIMARY KEY, state TEXT)",
        "INSERT INTO alert VALUES ('one', 'waiting')",
    )
    assert state.back_up(tmp_path, "0.1.0") == tmp_path / "before-update" / "0.1.0"
    ledger(
        tmp_path,
        "UPDATE alembic_version SET version_num = '0004'",
        "ALTER TABLE alert ADD COLUMN by TEXT",
        "CREATE TABLE approval (id TEXT)",
        "UPDATE alert SET state = 'told', by = 'x'",
        "INSERT INTO alert VALUES ('two', 'told', 'y')",
        "INSERT INTO approval VALUES ('a')",
    )
    return tmp_path


def test_nothing_that_was_told_since_is_forgotten(updated: Path) -> None:
    assert state.take_back(updated, "0.1.0")
    assert rows(updated, "SELECT * FROM alert ORDER BY id") == [("one", "told"), ("two", "told")]
    assert state.schema(updated) == "0003"
    assert (updated / "after-update" / "ledger.sqlite").exists()
    assert not (updated / "ledger.sqlite.older").exists()


def test_where_the_tables_are_the_same_the_ledger_is_left_alone(tmp_path: Path) -> None:
    ledger(
        tmp_path,
        "CREATE TABLE alembic_version (version_num TEXT)",
        "INSERT INTO alembic_version VALUES ('0003')",
        "CREATE TABLE alert (id TEXT)",
    )
    state.back_up(tmp_path, "0.1.0")
    ledger(tmp_path, "INSERT INTO alert VALUES ('since')")
    assert not state.take_back(tmp_path, "0.1.0")
    assert rows(tmp_path, "SELECT * FROM alert") == [("since",)]


def test_a_ledger_that_orthanc_holds_is_not_touched(updated: Path) -> None:
    with closing(sqlite3.connect(updated / "ledger.sqlite")) as held:
        held.execute("SELECT 1 FROM alert").fetchall()
        with pytest.raises(Refused) as refused:
            state.take_back(updated, "0.1.0")
    assert refused.value.cause is Cause.ANOTHER_RUNS
    assert state.schema(updated) == "0004"


def test_before_the_first_study_there_is_nothing_to_keep(tmp_path: Path) -> None:
    assert state.back_up(tmp_path, "0.1.0") is None
    assert not state.take_back(tmp_path, "0.1.0")


def test_the_folder_is_for_orthanc_s_user_alone(tmp_path: Path) -> None:
    state.prepare(tmp_path / "vigil", -1, -1)
    assert (tmp_path / "vigil").stat().st_mode & 0o777 == 0o700


def test_a_real_ledger_opens_again_with_everything_in_it_and_its_audit_whole(tmp_path: Path) -> None:
    def opened() -> Ledger:
        return Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", Sealer.open(tmp_path / "sealing.key"), SystemClock())

    book = opened()
    Audit(book).append("first", "a", actor="vigil", role="system", evidence={})
    book.close()
    assert state.back_up(tmp_path, "0.1.0") is not None
    book = opened()
    Audit(book).append("second", "a", actor="vigil", role="system", evidence={})
    book.close()
    before = state.schema(tmp_path)
    ledger(tmp_path, "UPDATE alembic_version SET version_num = '9999'", "ALTER TABLE delivery ADD COLUMN of_the_future TEXT")
    assert state.take_back(tmp_path, "0.1.0")
    assert state.schema(tmp_path) == before
    book = opened()
    assert [entry.event for entry in Audit(book).entries("a")] == ["second", "first"]
    assert Audit(book).verify().whole
    book.close()
