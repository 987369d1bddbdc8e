"""What was told and no longer stands, where no newer answer replaces it: taken back from everybody who was told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, Row, exists, func, or_, select, update

from vigil.domain.answer import Reason
from vigil.domain.identity import retraction_id
from vigil.records.database import insert_absent
from vigil.records.deliveries import insert_delivery
from vigil.records.entries import OPEN, RESTORE, RESULT, RETRACTION, WITHDRAWAL, Retraction
from vigil.records.part import LedgerPart, reason_columns
from vigil.records.tables import critical_result, decision, delivery, hold, message, notification, retraction

RetractionKind = Literal["withdrawal", "wrong-patient"]


class Retractions(LedgerPart):
    def retract(self, analyses: Sequence[str], kind: RetractionKind, by: str | None, why: Reason, at: datetime) -> list[str]:
        """Takes these analyses back, in one transaction: none of them alerts any more, and whoever was told is owed a word.

        ``analyses``: of one study and model, oldest first. Of each destination the newest that it was told is taken back: they
        bear one order number. Returns those that were not taken back before.
        """
        with self._database.write() as connection:
            taken = [item for item in analyses if insert_absent(
                connection, retraction, {"analysis_id": item, "kind": kind, "by": by, "at": at})]
            if not taken:
                return []
            newest = {row.destination: row for item in analyses for row in _told(connection, item)}
            for row in newest.values():
                insert_delivery(connection, {
                    "delivery_id": retraction_id(row.destination, row.analysis_id, row.revision), "destination": row.destination,
                    "kind": "hl7", "analysis_id": row.analysis_id, "revision": row.revision, "created_at": at,
                    "priority": row.priority, "order_key": row.order_key, "purpose": RETRACTION})
            connection.execute(
                update(critical_result).where(critical_result.c.analysis_id.in_(taken), critical_result.c.state == OPEN)
                .values(state="ended", finished_at=at, **reason_columns("reason", why)))
            for note in connection.execute(select(notification).where(
                    notification.c.analysis_id.in_(taken), notification.c.state == "sent", notification.c.method != "hl7",
                    notification.c.step != WITHDRAWAL)):
                insert_absent(connection, notification, {
                    "analysis_id": note.analysis_id, "step": WITHDRAWAL, "channel": note.channel, "method": note.method,
                    "state": "waiting", "attempts": 0, "at": at})
        return taken

    def retraction(self, analysis_id: str) -> Retraction | None:
        with self._database.read() as connection:
            row = connection.execute(select(retraction).where(retraction.c.analysis_id == analysis_id)).one_or_none()
        return None if row is None else Retraction(row.analysis_id, row.kind, row.by, row.at)

    def told(self, analysis_id: str) -> set[str]:
        """Destinations that were told the answer of an analysis, or may have been: its message went out, or was about to, or was
        kept back because it may have gone out after the copy from which this ledger was put back."""
        with self._database.read() as connection:
            return {row.destination for row in _told(connection, analysis_id)}

    def first_decision_at(self, study_id: str) -> datetime | None:
        """When something was decided of a study first."""
        with self._database.read() as connection:
            first: datetime | None = connection.execute(
                select(func.min(decision.c.at)).where(decision.c.study_id == study_id)).scalar_one()
        return first


def _told(connection: Connection, analysis_id: str) -> Sequence[Row[tuple[object, ...]]]:
    frozen = exists().where(message.c.delivery_id == delivery.c.delivery_id)
    restored = exists().where(hold.c.subject == delivery.c.analysis_id, hold.c.by == RESTORE)
    return connection.execute(
        select(delivery)
        .where(delivery.c.analysis_id == analysis_id, delivery.c.kind == "hl7", delivery.c.purpose == RESULT,
               delivery.c.state != "suppressed", or_(frozen, restored))).all()
