"""The database under the ledger: how it is opened, how a transaction begins, and what its failures mean.

SQLite for one machine. Nothing above this module knows which database it is: PostgreSQL differs here and nowhere else.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from vigil.records.errors import LedgerRefused, LedgerUnavailable
from vigil.records.private import make_private_file

LOCK_WAIT_S = 30
DAMAGED = "stop Orthanc and restore the whole state directory from a backup, or move it away to begin anew"
WRITE = "vigil_write"


class Database:
    """Transactions. A write waits up to 30 s for another writer; a read sees one moment and waits for nobody."""

    def __init__(self, url: str) -> None:
        try:
            self._place = make_url(url).render_as_string(hide_password=True)
            # hide_parameters: the values of a failed statement may not stand in an error (law 9)
            self.engine = create_engine(url, hide_parameters=True)
        except (ArgumentError, ImportError) as error:
            raise LedgerUnavailable("the ledger's address names no database that this bundle knows") from error
        if self.engine.dialect.name == "sqlite":
            _prepare_sqlite(self.engine)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, alone among the writers from its first statement: what it reads stays true until it commits."""
        with self._named_failures(), self.engine.connect().execution_options(**{WRITE: True}) as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._named_failures(), self.engine.connect() as connection, connection.begin():
            yield connection

    def check(self) -> None:
        """Reads the whole file through (300 MB in 0.1 s from memory): damage is told at the start, not in the middle of a
        study. Raises :class:`LedgerUnavailable`."""
        if self.engine.dialect.name != "sqlite":
            return
        with self.read() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if found != "ok":
            raise LedgerUnavailable(f"the ledger {self._place} is damaged; {DAMAGED}")

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _named_failures(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise LedgerRefused(f"the ledger refused a row: {_cause(error)}") from error
        except (DBAPIError, PoolTimeout) as error:
            raise LedgerUnavailable(f"the ledger {self._place} failed: {_cause(error)}; {_advice(error)}") from error
        except StatementError as error:
            raise LedgerRefused(f"the ledger cannot hold a value: {_cause(error)}") from error


def insert_absent(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Inserts a row unless one with its key is there. Returns whether it was inserted."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(statement).first() is not None


def _prepare_sqlite(engine: Engine) -> None:
    once = threading.Lock()

    @event.listens_for(engine, "do_connect")
    def make(*_: object) -> None:
        if engine.url.database:
            with once:  # before this engine's first connection: see there
                make_private_file(Path(engine.url.database))

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: see begin
        connection.execute(f"PRAGMA busy_timeout={LOCK_WAIT_S * 1000}").close()
        _log_ahead(connection)
        # secure_delete: what is deleted or sealed anew leaves no trace in unused pages (Debian builds SQLite so)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later fails at once when another wrote in between: take the lock first.
        immediate = connection.get_execution_options().get(WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Write-ahead logging is a property of the file. The first to open it must have it alone to switch that on, and SQLite
    does not wait there as it does elsewhere: it says at once that the file is locked."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _cause(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None)
    return str(cause).splitlines()[0] if cause else type(error).__name__


def _advice(error: SQLAlchemyError) -> str:
    cause = _cause(error).lower()
    if "locked" in cause or "busy" in cause:
        return f"another process held it for more than {LOCK_WAIT_S} s; end what holds it"
    if "full" in cause:
        return "free space on its disk; work is taken up by itself"
    if "malformed" in cause or "not a database" in cause:
        return DAMAGED
    if "readonly" in cause or "unable to open" in cause or "permission" in cause:
        return "let the user that runs Orthanc write the file and its folder"
    return "see that its disk works and has free space"
