"""The audit: who did what to what, when, on what evidence; each entry bound to the one before it by its hash.

Each hash is SHA-256 over the entry and the hash before it, so an entry that is changed, taken out, put in or moved breaks the
chain. The newest entry's hash is kept sealed beside it, so a chain that was cut at its end or written anew is seen too by
whoever has the key. What this cannot show is a whole state directory put back to an older copy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, select, update

from vigil.domain.identity import digest
from vigil.records import places
from vigil.records.database import insert_absent
from vigil.records.errors import SealBroken
from vigil.records.part import CHUNK, LedgerPart, canonical_json
from vigil.records.sealing import Sealer
from vigil.records.tables import audit, audit_head

FIRST_HASH = "0" * 64


class Break(StrEnum):
    """How a chain is broken."""

    CHANGED = "changed"
    REMOVED = "removed"
    REORDERED = "reordered"
    ADDED = "added"


@dataclass(frozen=True)
class AuditEntry:
    sequence: int
    at: datetime
    actor: str
    role: str
    event: str
    subject: str
    evidence: dict[str, object]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "at": self.at.isoformat(timespec="milliseconds")}


@dataclass(frozen=True)
class AuditVerdict:
    """``broken_sequence``: the first entry that is not as it was written; None where all are."""

    entries: int
    broken_sequence: int | None = None
    how: Break | None = None
    problem: str | None = None

    @property
    def whole(self) -> bool:
        return self.broken_sequence is None


class Audit(LedgerPart):
    """Append, read and verify. There is no way here to change an entry."""

    def __init__(self, ledger: LedgerPart) -> None:
        super().__init__(ledger._database, ledger._sealer, ledger._clock, ledger._new_uuid)

    def append(self, event: str, subject: str, *, actor: str, role: str, evidence: Mapping[str, object]) -> int:
        """Writes one entry and returns its sequence number, from 1. One writer at a time: the head's row is the lock."""
        with self._database.write() as connection:
            return append_entry(connection, self._sealer, self._clock.now(), event, subject, actor=actor, role=role,
                                evidence=canonical_json(evidence))

    def entries(self, subject: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """The newest entries, newest first."""
        query = select(audit).order_by(audit.c.sequence.desc()).limit(limit)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def verify(self) -> AuditVerdict:
        """Walks the whole chain and says where it is first broken, and how."""
        count, previous = 0, FIRST_HASH
        with self._database.read() as connection:
            early = connection.execute(select(audit.c.sequence).where(audit.c.sequence < 1).limit(1)).scalar_one_or_none()
            if early is not None:
                return AuditVerdict(0, early, Break.ADDED, f"entry {early} stands before the first")
            while rows := connection.execute(
                    select(audit).where(audit.c.sequence > count).order_by(audit.c.sequence).limit(CHUNK)).all():
                for row in rows:
                    found = _compare(row, count + 1, previous)
                    if found is not None:
                        return AuditVerdict(count, count + 1, *found)
                    count, previous = row.sequence, row.hash
            return self._compare_head(connection, count, previous)

    def _compare_head(self, connection: Connection, count: int, newest: str) -> AuditVerdict:
        head = connection.execute(select(audit_head)).one_or_none()
        if head is None and count == 0:
            return AuditVerdict(0)
        if head is None:
            return AuditVerdict(count, count, Break.REMOVED, "the seal of the newest entry is gone")
        try:
            sealed = json.loads(self._sealer.unseal(head.sealed, places.AUDIT_HEAD))
        except SealBroken:
            return AuditVerdict(count, count, Break.CHANGED, "the seal of the newest entry was changed")
        if count < sealed["sequence"]:
            return AuditVerdict(count, count + 1, Break.REMOVED,
                                f"entries {count + 1} to {sealed['sequence']} were removed from the end")
        if count > sealed["sequence"]:
            return AuditVerdict(count, sealed["sequence"] + 1, Break.ADDED,
                                f"entries after {sealed['sequence']} were not written by Vigil")
        if newest != sealed["hash"] or (head.sequence, head.hash) != (sealed["sequence"], sealed["hash"]):
            return AuditVerdict(count, count, Break.CHANGED, "the newest entry is not the one that was sealed: the chain was "
                                                             "written anew, in part or whole")
        return AuditVerdict(count)


def append_entry(
    connection: Connection, sealer: Sealer, at: datetime, event: str, subject: str, *, actor: str, role: str, evidence: str,
) -> int:
    """Within a transaction of the caller's, whose own rows then stand or fall with the entry. ``evidence``: canonical JSON."""
    insert_absent(connection, audit_head, _head(sealer, 0, FIRST_HASH))
    head = connection.execute(select(audit_head).with_for_update()).one()
    sequence: int = head.sequence + 1
    row = {"sequence": sequence, "at": at.astimezone(UTC).isoformat(), "actor": actor, "role": role, "event": event,
           "subject": subject, "evidence": evidence, "previous_hash": head.hash}
    row["hash"] = _hash(row)
    connection.execute(audit.insert().values(row))
    connection.execute(update(audit_head).values(_head(sealer, sequence, row["hash"])))
    return sequence


def _head(sealer: Sealer, sequence: int, newest: str) -> dict[str, Any]:
    sealed = sealer.seal(json.dumps({"sequence": sequence, "hash": newest}).encode(), places.AUDIT_HEAD)
    return {"id": 1, "sequence": sequence, "hash": newest, "sealed": sealed}


def _compare(row: Row[Any], sequence: int, previous: str) -> tuple[Break, str] | None:
    if row.sequence != sequence:
        return Break.REMOVED, f"entry {sequence} was removed"
    if row.previous_hash != previous:
        return Break.REORDERED, f"entry {sequence} does not follow the one before it: it was moved, put in or its binding changed"
    if _hash(row._mapping) != row.hash:
        return Break.CHANGED, f"entry {sequence} was changed after it was written"
    return None


def _hash(row: Mapping[Any, Any]) -> str:
    return digest("audit", str(row["sequence"]), row["at"], row["actor"], row["role"], row["event"], row["subject"],
                  row["evidence"], row["previous_hash"])


def _entry(row: Row[Any]) -> AuditEntry:
    evidence: dict[str, object] = json.loads(row.evidence)
    return AuditEntry(row.sequence, datetime.fromisoformat(row.at), row.actor, row.role, row.event, row.subject, evidence)
