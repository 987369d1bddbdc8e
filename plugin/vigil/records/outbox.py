"""The outbox of one destination: what waits there, and what goes first.

Within an order first in, first out: only the oldest that waits of an order may go. Between orders by priority, then by age; an
order is as urgent as the most urgent that waits in it. What was parked or held waits no longer, and blocks nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Set
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select

from vigil.domain.identity import digest
from vigil.records import places
from vigil.records.deliveries import delivery_of
from vigil.records.entries import WAITING, DeliveryRecord
from vigil.records.part import LedgerPart
from vigil.records.sealing import KEY_BYTES, Sealer
from vigil.records.tables import delivery, sealing_key


class Outbox(LedgerPart):
    def order_key(self, *parts: str) -> str:
        """A keyed hash of what names an order: equal for the same order, also after a change of the sealing key, and telling
        nothing of it."""
        with self._database.read() as connection:
            earlier = order_keys(connection, self._sealer)
        key = digest(*parts)
        for secret in (*earlier, own_order_key(self._sealer)):
            key = keyed(secret, key)
        return key

    def first_in_outbox(self, destination: str, now: datetime, latest: datetime) -> DeliveryRecord | None:
        """What goes next; None where nothing is due. ``latest``: no pause is longer, so what would be due only after it was
        written down under a clock that has been put back since, and is due."""
        query = (select(delivery)
                 .where(_waits(destination), _is_head(),
                        or_(delivery.c.next_at.is_(None), delivery.c.next_at <= now, delivery.c.next_at > latest))
                 .order_by(delivery.c.urgency, delivery.c.sequence).limit(1))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else delivery_of(row)

    def outbox_due_at(self, destination: str) -> datetime | None:
        """When the next of those that may go is due; None where nothing waits."""
        due = func.coalesce(delivery.c.next_at, delivery.c.created_at)
        query = (select(delivery.c.next_at, delivery.c.created_at).where(_waits(destination), _is_head())
                 .order_by(due).limit(1))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else row.next_at or row.created_at

    def late_in_outbox(self, destination: str, owed_before: datetime) -> list[DeliveryRecord]:
        """Those that wait longer than since ``owed_before``, oldest first."""
        query = (select(delivery).where(_waits(destination),
                                        func.coalesce(delivery.c.owed_since, delivery.c.created_at) < owed_before)
                 .order_by(delivery.c.sequence))
        with self._database.read() as connection:
            return [delivery_of(row) for row in connection.execute(query)]

    def waiting_outboxes(self) -> Set[str]:
        """Destinations for which a message waits."""
        with self._database.read() as connection:
            return set(connection.execute(
                select(delivery.c.destination).where(delivery.c.kind == "hl7", delivery.c.state == WAITING).distinct()).scalars())


def keyed(secret: bytes, key: str) -> str:
    """One turn of an order key: of what names an order, or of the order key under the sealing key before."""
    return hmac.new(secret, key.encode(), "sha256").hexdigest()


def own_order_key(sealer: Sealer) -> bytes:
    return sealer.derive("order")


def order_keys(connection: Connection, sealer: Sealer) -> list[bytes]:
    """What the sealing keys before this one made order keys with, the oldest first."""
    sealed = connection.execute(
        select(sealing_key.c.sealed_order_keys).where(sealing_key.c.key_id == sealer.key_id)).scalar_one_or_none()
    together = b"" if sealed is None else sealer.unseal(sealed, places.ORDER_KEYS)
    return [together[start : start + KEY_BYTES] for start in range(0, len(together), KEY_BYTES)]


def _is_head() -> ColumnElement[bool]:
    """The oldest of its order that waits. All that wait of an order bear one urgency, so in the order of the index a head comes
    before those behind it: however many wait, few are looked at."""
    earlier = delivery.alias("earlier")
    return ~exists().where(
        earlier.c.order_key == delivery.c.order_key, earlier.c.sequence < delivery.c.sequence,
        earlier.c.destination == delivery.c.destination, earlier.c.kind == "hl7", earlier.c.state == WAITING)


def _waits(destination: str) -> ColumnElement[bool]:
    return (delivery.c.destination == destination) & (delivery.c.kind == "hl7") & (delivery.c.state == WAITING)
