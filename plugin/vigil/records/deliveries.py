"""The deliveries: what is owed to which destination, what was tried, what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from vigil.domain.answer import Reason
from vigil.records import places
from vigil.records.database import insert_absent
from vigil.records.entries import FINISHED_DELIVERY, ROUTINE, WAITING, DeliveryKind, DeliveryRecord
from vigil.records.errors import LedgerRefused
from vigil.records.part import LedgerPart, reason_columns, reason_of
from vigil.records.tables import delivery, object_status

REOPENED = sorted(FINISHED_DELIVERY - {"delivered"})


class Deliveries(LedgerPart):
    def begin_delivery(
        self, delivery_id: str, destination: str, kind: DeliveryKind, analysis_id: str, revision: int, at: datetime,
        *, priority: int = ROUTINE, order_key: str | None = None,
    ) -> bool:
        """Promises a delivery. ``order_key``: what bears the same one keeps its order among itself (see
        :class:`vigil.records.outbox.Outbox`). Returns False where it was promised before."""
        with self._database.write() as connection:
            return insert_delivery(connection, {
                "delivery_id": delivery_id, "destination": destination, "kind": kind, "analysis_id": analysis_id,
                "revision": revision, "created_at": at, "priority": priority, "order_key": order_key,
            })

    def delivery(self, delivery_id: str) -> DeliveryRecord | None:
        with self._database.read() as connection:
            row = connection.execute(select(delivery).where(delivery.c.delivery_id == delivery_id)).one_or_none()
        return None if row is None else delivery_of(row)

    def deliveries(self, analysis_id: str | None = None, states: Collection[str] | None = None) -> list[DeliveryRecord]:
        """Oldest first; of one analysis, or in these states, or all."""
        query = select(delivery).order_by(delivery.c.sequence)
        if analysis_id is not None:
            query = query.where(delivery.c.analysis_id == analysis_id)
        if states is not None:
            query = query.where(delivery.c.state.in_(list(states)))
        with self._database.read() as connection:
            return [delivery_of(row) for row in connection.execute(query)]

    def record_attempt(self, delivery_id: str, at: datetime, error: Reason | None, next_at: datetime | None,
                       *, refused: bool = False) -> None:
        """Counts an attempt. ``error``: why it failed, None where it did not. ``next_at``: when the next one is due.
        ``refused``: the destination answered, and will not take it as it is."""
        self._change(delivery_id, attempts=delivery.c.attempts + 1, refusals=delivery.c.refusals + int(refused),
                     last_attempt_at=at, next_at=next_at, **reason_columns("reason", error))

    def finish_delivery(self, delivery_id: str, state: str, at: datetime, reason: Reason | None = None) -> None:
        """Ends a delivery. What is delivered stays so: a later parking or cancelling does not unsay it."""
        if state not in FINISHED_DELIVERY:
            raise LedgerRefused(f"a delivery ends as one of {', '.join(sorted(FINISHED_DELIVERY))}, not as {state}")
        with self._database.write() as connection:
            changed = connection.execute(
                update(delivery)
                .where(delivery.c.delivery_id == delivery_id, delivery.c.state != "delivered")
                .values(state=state, finished_at=at, next_at=None, **reason_columns("reason", reason))
            ).rowcount
            if not changed and not connection.execute(
                    select(delivery.c.sequence).where(delivery.c.delivery_id == delivery_id)).one_or_none():
                raise LedgerRefused(f"the ledger holds no delivery {delivery_id}")
            rank_order_of(connection, delivery_id)

    def reopen_delivery(self, delivery_id: str, at: datetime) -> bool:
        """Sends a parked, suppressed, held or cancelled delivery again, by an operator's wish; its deadline runs anew, and its
        refusals are forgotten. False where it is delivered or waits."""
        with self._database.write() as connection:
            reopened = connection.execute(
                update(delivery)
                .where(delivery.c.delivery_id == delivery_id, delivery.c.state.in_(REOPENED))
                .values(state=WAITING, finished_at=None, next_at=at, owed_since=at, refusals=0)
            ).rowcount == 1
            rank_order_of(connection, delivery_id)
        return reopened

    def record_object_status(self, delivery_id: str, sop_instance_uid: str, status: int, at: datetime, comment: str = "") -> None:
        """The C-STORE status (PS3.7 C) of an object, the newest one. The receiver's words are sealed: they may name a
        patient."""
        key = {"delivery_id": delivery_id, "sop_instance_uid": sop_instance_uid}
        values = {"status": status, "at": at, "sealed_comment":
                  self._sealer.seal(comment.encode(), places.of_comment(delivery_id, sop_instance_uid)) if comment else None}
        with self._database.write() as connection:
            if not insert_absent(connection, object_status, {**key, **values}):
                connection.execute(
                    update(object_status)
                    .where(object_status.c.delivery_id == delivery_id, object_status.c.sop_instance_uid == sop_instance_uid)
                    .values(values)
                )

    def object_statuses(self, delivery_id: str) -> dict[str, int]:
        """Status by SOP Instance UID."""
        with self._database.read() as connection:
            rows = connection.execute(select(object_status.c.sop_instance_uid, object_status.c.status)
                                      .where(object_status.c.delivery_id == delivery_id))
            return {row.sop_instance_uid: row.status for row in rows}

    def object_comment(self, delivery_id: str, sop_instance_uid: str) -> str:
        """What the receiver said of an object, in its words; empty where it said nothing."""
        with self._database.read() as connection:
            sealed = connection.execute(
                select(object_status.c.sealed_comment)
                .where(object_status.c.delivery_id == delivery_id, object_status.c.sop_instance_uid == sop_instance_uid)
            ).scalar_one_or_none()
        return "" if sealed is None else self._sealer.unseal(sealed, places.of_comment(delivery_id, sop_instance_uid)).decode()

    def _change(self, delivery_id: str, **values: Any) -> None:
        with self._database.write() as connection:
            if not connection.execute(update(delivery).where(delivery.c.delivery_id == delivery_id).values(values)).rowcount:
                raise LedgerRefused(f"the ledger holds no delivery {delivery_id}")


def insert_delivery(connection: Connection, values: Mapping[str, Any]) -> bool:
    """A delivery that waits. False where it was there before."""
    inserted = insert_absent(connection, delivery, {
        "state": WAITING, "attempts": 0, "urgency": values["priority"], **values})
    if inserted:
        rank_order_of(connection, values["delivery_id"])
    return inserted


def rank_order_of(connection: Connection, delivery_id: str) -> None:
    """What waits of the order of this delivery is as urgent as the most urgent of it."""
    this = connection.execute(
        select(delivery.c.destination, delivery.c.order_key, delivery.c.priority)
        .where(delivery.c.delivery_id == delivery_id)).one()
    if this.order_key is None:
        connection.execute(update(delivery).where(delivery.c.delivery_id == delivery_id).values(urgency=this.priority))
        return
    of_order = ((delivery.c.order_key == this.order_key) & (delivery.c.destination == this.destination)
                & (delivery.c.state == WAITING))
    urgency = connection.execute(select(func.min(delivery.c.priority)).where(of_order)).scalar_one()
    if urgency is not None:
        connection.execute(update(delivery).where(of_order, delivery.c.urgency != urgency).values(urgency=urgency))


def delivery_of(row: Row[Any]) -> DeliveryRecord:
    return DeliveryRecord(
        delivery_id=row.delivery_id, destination=row.destination, kind=row.kind, analysis_id=row.analysis_id,
        revision=row.revision, state=row.state, created_at=row.created_at, attempts=row.attempts,
        last_attempt_at=row.last_attempt_at, next_attempt_at=row.next_at, reason=reason_of(row, "reason"),
        finished_at=row.finished_at, priority=row.priority, owed_since=row.owed_since, refusals=row.refusals,
        purpose=row.purpose, order_key=row.order_key,
    )
