"""Vigil's state across versions: a copy of the ledger before an update, and the way back into the tables of the version before.

The copy is made by SQLite itself, so it is whole also while Orthanc writes. The key does not change with a version.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from installer.bundle import not_written
from installer.refused import Cause, Refused

LEDGER, STORES = "ledger.sqlite", ("ledger.sqlite", "workflows.sqlite")


def prepare(folder: Path, uid: int, gid: int) -> None:
    """The folder of the state, for Orthanc's user alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(folder, uid, gid)
    except OSError as error:
        raise not_written(error, folder) from None


def schema(folder: Path) -> str | None:
    """The revision of the ledger's tables; None: there is no ledger yet."""
    if not (folder / LEDGER).exists():
        return None
    with closing(sqlite3.connect(f"file:{folder / LEDGER}?mode=ro", uri=True, timeout=30)) as ledger:
        try:
            row = ledger.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.Error:
            return None
    return None if row is None else str(row[0])


def back_up(folder: Path, version: str) -> Path | None:
    """Copies the stores as the running version left them. Returns where, or None where there is nothing yet."""
    if not (folder / LEDGER).exists():
        return None
    target = folder / "before-update" / version
    known = folder.stat()
    try:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700, parents=True)
        for name in STORES:
            if (folder / name).exists():
                with (
                    closing(sqlite3.connect(folder / name, timeout=60)) as source,
                    closing(sqlite3.connect(target / name)) as copy,
                ):
                    source.backup(copy)
        if os.geteuid() == 0:
            for path in (target.parent, target, *target.iterdir()):
                os.chown(path, known.st_uid, known.st_gid)
    except sqlite3.Error as error:
        shutil.rmtree(target, ignore_errors=True)
        raise Refused(
            Cause.DISK_FULL,
            f"The ledger in {folder} could not be copied before the update ({error}). Make room, and see that it is "
            "whole: vigil status.",
        ) from None
    except OSError as error:
        raise not_written(error, folder) from None
    return target


def is_held(folder: Path) -> bool:
    """Whether an Orthanc has this state open."""
    paths = {str((folder / name).resolve()) for name in STORES}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(descriptor.readlink()) in paths for descriptor in (process / "fd").iterdir()):
                return True
        except OSError:
            continue
    return False


def take_back(folder: Path, version: str) -> bool:
    """Brings the ledger back into the tables of ``version``, with all that has happened since: a ledger that forgot would
    send an alert twice. Migrations add tables and columns and take none away, so every row of an older table has its place.

    The newer ledger stays beside it. Returns whether there was anything to do. Orthanc does not run.
    """
    source = folder / "before-update" / version / LEDGER
    if not source.exists() or schema(folder) == schema(source.parent):
        return False
    if is_held(folder):
        raise Refused(
            Cause.ANOTHER_RUNS,
            f"Orthanc still runs with the ledger in {folder}, whose tables the version before does not know. Stop "
            "Orthanc, and run this again.",
        )
    older, newer = folder / (LEDGER + ".older"), folder / LEDGER
    known = newer.stat()
    try:
        shutil.copy2(source, older)
        with closing(sqlite3.connect(older, timeout=60)) as ledger:
            ledger.execute("PRAGMA foreign_keys = OFF")
            ledger.execute("ATTACH ? AS newer", (str(newer),))
            with ledger:
                for table in _tables(ledger, "main"):
                    if table != "alembic_version":
                        columns = ", ".join(
                            f'"{name}"' for name in _columns(ledger, "main", table) if name in _columns(ledger, "newer", table)
                        )
                        # The names are the ledger's own.
                        ledger.execute(f'DELETE FROM main."{table}"')  # noqa: S608
                        ledger.execute(f'INSERT INTO main."{table}" ({columns}) SELECT {columns} FROM newer."{table}"')  # noqa: S608
            ledger.execute("DETACH newer")
        if os.geteuid() == 0:
            os.chown(older, known.st_uid, known.st_gid)
        older.chmod(known.st_mode & 0o7777)
        with closing(sqlite3.connect(newer, timeout=60)) as ledger:
            ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it is in the one file, whose place the other takes
        aside = folder / "after-update"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        os.link(newer, aside / LEDGER)
        older.replace(newer)  # at no moment is there no ledger: a start would begin a new one
    except sqlite3.Error as error:
        older.unlink(missing_ok=True)
        raise Refused(
            Cause.DISK_FULL,
            f"The ledger in {folder} could not be brought back into the tables of {version} ({error}). It is as it "
            "was; see that the disk has room.",
        ) from None
    return True


def _tables(ledger: sqlite3.Connection, database: str) -> list[str]:
    return [
        row[0]
        for row in ledger.execute(
            f"SELECT name FROM {database}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"  # noqa: S608
        )
    ]


def _columns(ledger: sqlite3.Connection, database: str, table: str) -> list[str]:
    return [row[0] for row in ledger.execute("SELECT name FROM pragma_table_info(?, ?)", (table, database))]
