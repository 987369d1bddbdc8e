"""A look at the ledger that changes nothing: no lock is waited for, nothing is migrated, no key is needed. For whoever helps from
outside, with an older or newer Vigil than the one that wrote it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from vigil.records.entries import RESTORE
from vigil.records.errors import LedgerUnavailable

COUNTED = {"analyses": ("analysis", "state"), "deliveries": ("delivery", "state"), "decisions": ("decision", "verdict"),
           "analyses of": ("analysis", "model_id"), "waiting because": ("delivery", "reason_category")}
"""What is counted by what: words of ours and ids of models, nothing of a patient (law 9)."""


@dataclass(frozen=True)
class Glance:
    """``counts``: {"analyses": {"stored": 12}}. ``schema``: its last migration. ``newest_at``: of its last audit entry.
    ``held_by_a_restore``: alerts that may have been told before it, and that nobody has acknowledged, taken back or let go."""

    schema: str | None
    counts: dict[str, dict[str, int]]
    audit_entries: int
    newest_at: datetime | None
    held_by_a_restore: int = 0


def glance(ledger: Path) -> Glance:
    """Raises :class:`LedgerUnavailable` where it cannot be read as a ledger."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(ledger))}?mode=ro", uri=True, timeout=5)) as connection:
            counts = {
                name: {str(value): int(count) for value, count in connection.execute(
                    f"SELECT {column}, count(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY {column}")}  # noqa: S608 - ours
                for name, (table, column) in COUNTED.items()}
            entries, newest = connection.execute("SELECT count(*), max(at) FROM audit").fetchone()
            held = connection.execute(
                "SELECT count(*) FROM hold WHERE by = ? AND subject IN (SELECT analysis_id FROM critical_result UNION "
                "SELECT analysis_id FROM delivery WHERE kind = 'hl7' AND state = 'held') AND subject NOT IN "
                "(SELECT analysis_id FROM person_acknowledgement UNION SELECT analysis_id FROM retraction)",
                (RESTORE,)).fetchone()
            schema = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"the ledger {ledger} cannot be read ({type(error).__name__})") from error
    at = None if newest is None else datetime.fromisoformat(newest)
    return Glance(None if schema is None else schema[0], counts, entries, None if at is None else at.astimezone(UTC),
                  int(held[0]))
