"""Storage commitment: which objects of a delivery the destination has said that it keeps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update

from vigil.domain.answer import Reason
from vigil.records.database import insert_absent
from vigil.records.entries import CommitmentRequest
from vigil.records.part import LedgerPart, reason_columns
from vigil.records.tables import commitment, committed_object, delivery


class Commitments(LedgerPart):
    def begin_commitment(self, delivery_id: str, at: datetime) -> str:
        """Notes that a request is about to be made, and draws its Transaction UID: not derived, so that nobody who knows our
        objects can answer in the destination's place."""
        transaction_uid = f"2.25.{self._new_uuid().int}"
        with self._database.write() as connection:
            connection.execute(commitment.insert().values(
                transaction_uid=transaction_uid, delivery_id=delivery_id, made_at=at))
        return transaction_uid

    def mark_commitment_asked(self, transaction_uid: str, at: datetime) -> None:
        """The destination has accepted the request."""
        with self._database.write() as connection:
            connection.execute(
                update(commitment).where(commitment.c.transaction_uid == transaction_uid).values(asked_at=at))

    def open_commitment(self, delivery_id: str) -> CommitmentRequest | None:
        """The newest request of a delivery that was accepted and not answered."""
        query = (select(commitment)
                 .where(commitment.c.delivery_id == delivery_id, commitment.c.asked_at.is_not(None),
                        commitment.c.answered_at.is_(None))
                 .order_by(commitment.c.asked_at.desc()).limit(1))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else CommitmentRequest(row.transaction_uid, row.asked_at)

    def delivery_of_commitment(self, transaction_uid: str) -> str | None:
        """The delivery that a request was made for; None where the request is not ours."""
        with self._database.read() as connection:
            return connection.execute(
                select(commitment.c.delivery_id).where(commitment.c.transaction_uid == transaction_uid)).scalar_one_or_none()

    def record_commitment(self, transaction_uid: str, committed: Iterable[str], at: datetime) -> None:
        """The destination has answered: these are kept. Saying it twice changes nothing."""
        with self._database.write() as connection:
            delivery_id = connection.execute(
                select(commitment.c.delivery_id).where(commitment.c.transaction_uid == transaction_uid)).scalar_one()
            for uid in committed:
                insert_absent(connection, committed_object, {
                    "delivery_id": delivery_id, "sop_instance_uid": uid, "transaction_uid": transaction_uid, "at": at})
            connection.execute(
                update(commitment).where(commitment.c.transaction_uid == transaction_uid).values(answered_at=at))

    def note_unconfirmed(self, delivery_id: str, reason: Reason, next_at: datetime) -> None:
        """The delivery waits for the destination's confirmation: no attempt that failed, so none is counted."""
        with self._database.write() as connection:
            connection.execute(
                update(delivery).where(delivery.c.delivery_id == delivery_id)
                .values(next_at=next_at, **reason_columns("reason", reason)))

    def committed_objects(self, delivery_id: str) -> set[str]:
        with self._database.read() as connection:
            return set(connection.execute(
                select(committed_object.c.sop_instance_uid).where(committed_object.c.delivery_id == delivery_id)).scalars())
