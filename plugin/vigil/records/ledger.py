"""The ledger: everything that Vigil must remember, in one database, behind one object.

Its parts stand in modules of their own; each method is one short transaction and may be called from any thread. Every method
raises :class:`LedgerUnavailable` where the database fails.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import func, select

from vigil.domain.clock import Clock
from vigil.records.analyses import Analyses
from vigil.records.commitments import Commitments
from vigil.records.criticals import Criticals
from vigil.records.database import Database, insert_absent
from vigil.records.decision import Decisions
from vigil.records.deliveries import Deliveries
from vigil.records.entries import AnalysisRecord, DeliveryRecord, ObjectRecord
from vigil.records.errors import LedgerUnavailable
from vigil.records.messages import Messages
from vigil.records.model_events import ModelEvents
from vigil.records.objects import Objects
from vigil.records.outbox import Outbox
from vigil.records.retractions import Retractions
from vigil.records.schema import migrate
from vigil.records.sealing import Sealer
from vigil.records.studies import Installations, Studies
from vigil.records.tables import analysis, delivery, sealing_key, settings_snapshot

__all__ = ["AnalysisRecord", "DeliveryRecord", "Ledger", "ObjectRecord"]


class Ledger(Installations, Studies, Decisions, Analyses, Objects, Deliveries, Commitments, Outbox, Messages, Criticals,
             Retractions, ModelEvents):
    """Open it with :meth:`open`."""

    @classmethod
    def open(cls, url: str, sealer: Sealer, clock: Clock, *, new_uuid: Callable[[], UUID] = uuid4) -> Ledger:
        """Opens the ledger at ``url`` ("sqlite:////absolute/path"), makes or migrates its tables. Raises
        :class:`LedgerUnavailable` where the file is damaged, of a newer Vigil, or sealed with another key."""
        database = Database(url)
        try:
            database.check()
            migrate(database)
            ledger = cls(database, sealer, clock, new_uuid)
            ledger._check_key()
        except LedgerUnavailable:
            database.close()
            raise
        return ledger

    def close(self) -> None:
        self._database.close()

    def record_settings(self, sha256: str, json: str, at: datetime) -> None:
        """Keeps a settings snapshot, once, so that each analysis can be explained by what was in force."""
        with self._database.write() as connection:
            insert_absent(connection, settings_snapshot, {"sha256": sha256, "json": json, "first_used_at": at})

    def settings_snapshot(self, sha256: str) -> str | None:
        with self._database.read() as connection:
            return connection.execute(
                select(settings_snapshot.c.json).where(settings_snapshot.c.sha256 == sha256)).scalar_one_or_none()

    def counts(self) -> dict[str, int]:
        """How many analyses and deliveries are in each state: {"analyses.stored": 12, "deliveries.parked": 1}."""
        found: dict[str, int] = {}
        with self._database.read() as connection:
            for name, table in (("analyses", analysis), ("deliveries", delivery)):
                for state, count in connection.execute(select(table.c.state, func.count()).group_by(table.c.state)):
                    found[f"{name}.{state}"] = count
        return found

    def _check_key(self) -> None:
        """A ledger beside a key that is not its own would open, and lose every message when it is sent: refuse it now."""
        with self._database.read() as connection:
            known = set(connection.execute(select(sealing_key.c.key_id)).scalars())
        if self._sealer.key_id in known:
            return
        with self._database.write() as connection:
            known = set(connection.execute(select(sealing_key.c.key_id)).scalars())
            if known - {self._sealer.key_id}:
                raise LedgerUnavailable(
                    f"the ledger is sealed with key {', '.join(sorted(known))}, the sealing.key at hand is "
                    f"{self._sealer.key_id}; restore the sealing.key that was kept with this ledger")
            insert_absent(connection, sealing_key, {"key_id": self._sealer.key_id, "first_used_at": self._clock.now()})
