"""The sealed outbox: each message frozen before its first attempt, so that every attempt sends the same bytes."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import select

from vigil.records import places
from vigil.records.database import insert_absent
from vigil.records.entries import Acknowledgement
from vigil.records.part import LedgerPart
from vigil.records.tables import acknowledgement, message


class Messages(LedgerPart):
    def freeze_message(self, delivery_id: str, control_id: str, content: bytes, at: datetime,
                       header: bytes | None = None) -> bytes:
        """The frozen message of a delivery: this one, or the one that was frozen before. ``header``: of patient and order, kept
        for the message that may have to take this one back."""
        row = {"delivery_id": delivery_id, "control_id": control_id, "created_at": at,
               "sha256": hashlib.sha256(content).hexdigest(), "size": len(content),
               "sealed": self._sealer.seal(content, places.of_message(delivery_id)),
               "sealed_header": None if header is None else self._sealer.seal(header, places.of_header(delivery_id))}
        with self._database.write() as connection:
            if insert_absent(connection, message, row):
                return content
            sealed = connection.execute(select(message.c.sealed).where(message.c.delivery_id == delivery_id)).scalar_one()
        return self._sealer.unseal(sealed, places.of_message(delivery_id))

    def message(self, delivery_id: str) -> bytes | None:
        """Raises :class:`SealBroken`."""
        with self._database.read() as connection:
            sealed = connection.execute(
                select(message.c.sealed).where(message.c.delivery_id == delivery_id)).scalar_one_or_none()
        return None if sealed is None else self._sealer.unseal(sealed, places.of_message(delivery_id))

    def message_header(self, delivery_id: str) -> bytes | None:
        """What :meth:`freeze_message` was given as ``header``."""
        with self._database.read() as connection:
            sealed = connection.execute(
                select(message.c.sealed_header).where(message.c.delivery_id == delivery_id)).scalar_one_or_none()
        return None if sealed is None else self._sealer.unseal(sealed, places.of_header(delivery_id))

    def record_acknowledgement(self, delivery_id: str, code: str, text: str, at: datetime) -> None:
        """What the receiver answered (MSA-1, MSA-3). Its words are sealed: they may name a patient."""
        sealed = self._sealer.seal(text.encode(), places.of_answer(delivery_id)) if text else None
        with self._database.write() as connection:
            connection.execute(
                acknowledgement.insert().values(delivery_id=delivery_id, code=code, at=at, sealed_text=sealed))

    def acknowledgement(self, delivery_id: str) -> Acknowledgement | None:
        """The newest."""
        query = (select(acknowledgement).where(acknowledgement.c.delivery_id == delivery_id)
                 .order_by(acknowledgement.c.sequence.desc()).limit(1))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        text = "" if row.sealed_text is None else self._sealer.unseal(row.sealed_text, places.of_answer(delivery_id)).decode()
        return Acknowledgement(row.code, text, row.at)
