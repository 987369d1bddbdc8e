"""What became of each model package at this site: validated, approved, retired, rolled back; by whom, when, on what result.

Each row and its entry of the audit are written in one transaction, and a row counts only where that entry says the same: an
approval that was put into the table past the chain approves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, func, select

from vigil.records.audit import append_entry
from vigil.records.part import LedgerPart, canonical_json
from vigil.records.tables import audit, model_event


class Happened(StrEnum):
    VALIDATED = "validated"
    APPROVED = "approved"
    RETIRED = "retired"
    ROLLED_BACK = "rolled-back"


class Use(StrEnum):
    """What a version was approved for: to be the one in use, or to run in silence beside it."""

    MAIN = "main"
    SHADOW = "shadow"


@dataclass(frozen=True)
class ModelEvent:
    """``package_sha256``: of the manifest, which names the SHA-256 of every other file. ``by``: a member of the staff.
    ``evidence``: of a validation and an approval the result of the golden cases."""

    at: datetime
    model_id: str
    version: str
    package_sha256: str
    event: Happened
    by: str
    use: Use | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        return f"{self.model_id}@{self.version}"

    def _evidence(self) -> str:
        return canonical_json({
            "package_sha256": self.package_sha256, "use": None if self.use is None else self.use.value, **self.evidence})


class ModelEvents(LedgerPart):
    """Append and read."""

    def record_model_event(self, happened: ModelEvent) -> int:
        """Keeps the event, here and in the audit, or neither. Returns its number."""
        text = happened._evidence()
        with self._database.write() as connection:
            sequence = append_entry(
                connection, self._sealer, happened.at, f"model-{happened.event}", happened.subject, actor=happened.by,
                role="person", evidence=text)
            connection.execute(model_event.insert().values(
                sequence=sequence, at=happened.at, model_id=happened.model_id, version=happened.version,
                package_sha256=happened.package_sha256, event=happened.event.value,
                use=None if happened.use is None else happened.use.value, by=happened.by,
                evidence=canonical_json(happened.evidence)))
        return sequence

    def model_events(self, model_id: str | None = None) -> list[ModelEvent]:
        """Those that stand in the audit too, oldest first."""
        query = (
            select(model_event, audit.c.actor, audit.c.event.label("said"), audit.c.subject, audit.c.evidence.label("proof"))
            .join(audit, audit.c.sequence == model_event.c.sequence)
            .order_by(model_event.c.sequence)
        )
        if model_id is not None:
            query = query.where(model_event.c.model_id == model_id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = ((row, _event(row)) for row in rows)
        return [event for row, event in found
                if (row.actor, row.said, row.subject, row.proof)
                == (event.by, f"model-{event.event}", event.subject, event._evidence())]

    def newest_model_event(self) -> int:
        """Its number, 0 where there is none: whoever keeps the models asks whether anything happened."""
        with self._database.read() as connection:
            return connection.execute(select(func.max(model_event.c.sequence))).scalar_one() or 0


def _event(row: Row[Any]) -> ModelEvent:
    return ModelEvent(
        row.at, row.model_id, row.version, row.package_sha256, Happened(row.event), row.by,
        None if row.use is None else Use(row.use), json.loads(row.evidence))
