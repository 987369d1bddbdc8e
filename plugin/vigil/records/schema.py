"""Brings the ledger's schema to the newest version, when it is opened. Safe where several processes open it at once."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from vigil.records.database import Database
from vigil.records.errors import LedgerUnavailable

FOLDER = Path(__file__).parent / "migrations"
POSTGRESQL_LOCK = 5_641_747
"""Any number, the same in every process: only one migrates."""


ALEMBIC = threading.Lock()
"""Alembic keeps the migration under way in proxies of its modules: one thread of a process at a time."""


def migrate(database: Database) -> None:
    """Raises :class:`LedgerUnavailable` where the ledger was written by a newer Vigil."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    newest = script.get_current_head()
    with database.read() as connection:
        if _version(connection) == newest:
            return
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSTGRESQL_LOCK})
        version = _version(connection)
        known = {revision.revision for revision in script.walk_revisions()}
        if version is not None and version not in known:
            raise LedgerUnavailable(
                f"the ledger was written by a newer Vigil (schema {version}, this one knows up to {newest}); install that "
                "version again, or restore the ledger from the backup made before it")
        config.attributes["connection"] = connection
        with ALEMBIC:
            command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
