"""What was decided of each study for each model, oldest first, each change once."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.records.part import LedgerPart, canonical_json, reason_columns, reason_of
from vigil.records.tables import decision


@dataclass(frozen=True)
class Decision:
    """What was decided of a study for a model, and on what evidence: ids, counts, hashes; nothing of the patient."""

    study_id: str
    model_id: str
    model_version: str
    at: datetime
    verdict: str
    reason: Reason | None = None
    analysis_id: str | None = None
    evidence: dict[str, object] = field(default_factory=dict)


class Decisions(LedgerPart):
    def record_decision(self, made: Decision) -> None:
        """Keeps the decision, unless the newest of this study and model already says the same (at another time)."""
        values: dict[str, Any] = {
            "study_id": made.study_id, "model_id": made.model_id, "model_version": made.model_version,
            "verdict": made.verdict, **reason_columns("reason", made.reason), "analysis_id": made.analysis_id,
            "evidence": canonical_json(made.evidence),
        }
        newest = (
            select(decision)
            .where(decision.c.study_id == made.study_id, decision.c.model_id == made.model_id)
            .order_by(decision.c.sequence.desc())
            .limit(1)
        )
        with self._database.write() as connection:
            row = connection.execute(newest).one_or_none()
            if row is None or any(row._mapping[name] != value for name, value in values.items()):
                connection.execute(decision.insert().values(at=made.at, **values))

    def decisions(self, study_id: str) -> list[Decision]:
        """Newest last."""
        with self._database.read() as connection:
            rows = connection.execute(select(decision).where(decision.c.study_id == study_id).order_by(decision.c.sequence))
            return [_decision(row) for row in rows]

    def studies_refused_for(self, categories: Collection[Category], since: datetime) -> list[str]:
        """Studies whose newest decision for some model has one of these reasons and was made at ``since`` or later."""
        newest = (select(func.max(decision.c.sequence)).where(decision.c.at >= since)
                  .group_by(decision.c.study_id, decision.c.model_id))
        query = select(decision.c.study_id).distinct().where(
            decision.c.sequence.in_(newest), decision.c.reason_category.in_([category.value for category in categories]))
        with self._database.read() as connection:
            return sorted(connection.execute(query).scalars())


def _decision(row: Row[Any]) -> Decision:
    evidence: dict[str, object] = json.loads(row.evidence)
    return Decision(row.study_id, row.model_id, row.model_version, row.at, row.verdict, reason_of(row, "reason"),
                    row.analysis_id, evidence)
