"""The migrations make just the tables that the code uses, wherever the process stands."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from vigil.records.database import Database
from vigil.records.schema import migrate
from vigil.records.tables import metadata


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path}/ledger.sqlite")


def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    migrate(database)
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []
    database.close()


def test_keys_and_foreign_keys_are_as_the_code_says(database: Database) -> None:
    migrate(database)
    with database.read() as connection:
        found = inspect(connection)
        for table in metadata.sorted_tables:
            assert found.get_pk_constraint(table.name)["constrained_columns"] == [column.name for column in table.primary_key]
            nullable = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert nullable == {column.name: column.nullable for column in table.columns}
    database.close()


def test_migrating_again_changes_nothing(database: Database, tmp_path: Path) -> None:
    migrate(database)
    database.close()
    before = (tmp_path / "ledger.sqlite").read_bytes()
    migrate(database)
    database.close()
    assert (tmp_path / "ledger.sqlite").read_bytes() == before


def test_it_does_not_matter_where_the_process_stands(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    migrate(database)
    assert not Path("/alembic.ini").exists()
    database.close()


def test_a_migration_that_breaks_off_leaves_no_table(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tables are made in one transaction with the version: a kill in between begins anew."""
    monkeypatch.setattr("alembic.operations.Operations.create_index", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        migrate(database)
    monkeypatch.undo()
    database.close()
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    migrate(database)
    database.close()


def test_nothing_is_printed_or_written_beside_the_ledger(
    database: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str],
) -> None:
    migrate(database)
    database.close()
    assert capfd.readouterr() == ("", "")
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.sqlite"]


def test_threads_that_migrate_at_once_do_not_meet(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def open_(number: int) -> None:
        try:
            each = Database(f"sqlite:///{tmp_path}/{number}.sqlite")
            migrate(each)
            each.close()
        except Exception as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)

    threads = [threading.Thread(target=open_, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
