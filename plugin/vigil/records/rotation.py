"""A new sealing key: everything sealed is sealed anew, in one transaction, and the old key is gone.

Three steps: the new key lies beside the old one (``sealing.key.new``); the transaction, which also names the new key in the
ledger; the new file takes the place of the old. The ledger says which of two keys is its own, so a process that was killed
between any two steps is finished or undone by whoever holds the state directory next (:func:`settle_rotation`).
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, inspect, select, update

from vigil.domain.clock import Clock
from vigil.records import places
from vigil.records.audit import Audit, append_entry
from vigil.records.database import Database
from vigil.records.errors import RotationRefused, StateInUse
from vigil.records.ledger import Ledger
from vigil.records.outbox import keyed, order_keys, own_order_key
from vigil.records.part import canonical_json
from vigil.records.restore import finish_restore
from vigil.records.sealing import Sealer, remove_drafts, sync_folder
from vigil.records.state import StateFolder, StatePaths, beside
from vigil.records.tables import delivery, sealing_key


@dataclass(frozen=True)
class Rotation:
    """``old_key``, ``new_key``: ids, which give no key away. ``resealed``: how many values."""

    old_key: str
    new_key: str
    resealed: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def rotate_key(paths: StatePaths, clock: Clock, by: str) -> Rotation:
    """Orthanc is stopped, and no other command works with the ledger.

    Raises: RotationRefused, SealBroken or LedgerUnavailable; then everything is sealed with the key it was sealed with.
    """
    if not paths.path.exists():
        raise RotationRefused(_nothing_in(paths))
    try:
        state = StateFolder(paths.path, by_command=True)
    except StateInUse as error:
        raise RotationRefused("the sealing key is changed while Orthanc is stopped: stop it, and run this again; the "
                              "studies of the meantime are analysed at its start") from error
    with state, beside(paths, alone=True):
        finish_restore(state)
        settle_rotation(state)
        if not state.ledger.exists() or not state.key.exists():
            raise RotationRefused(_nothing_in(state))
        return _rotate(state, clock, by)


def settle_rotation(state: StateFolder) -> None:
    """Finishes a rotation that a kill interrupted where the ledger names the new key, undoes it where not. Without one: nothing.

    Raises :class:`LedgerUnavailable`.
    """
    remove_drafts(state.next_key)
    if not state.next_key.exists():
        return
    if Sealer.open(state.next_key).key_id in _named(state):
        state.next_key.replace(state.key)
    else:
        state.next_key.unlink()
    sync_folder(state.path)


def _give_to_owner(state: StateFolder) -> None:
    """Root, who may do this in the place of Orthanc's user, leaves a key that this user can read."""
    if os.geteuid() == 0:
        owner = state.key.stat()
        os.chown(state.next_key, owner.st_uid, owner.st_gid)


def _nothing_in(paths: StatePaths) -> str:
    return f"there is no ledger with its key in {paths.path}; has Orthanc been started with Vigil yet?"


def _rotate(state: StateFolder, clock: Clock, by: str) -> Rotation:
    old = Sealer.open(state.key)
    ledger = Ledger.open(state.ledger_url, old, clock)
    try:
        verdict = Audit(ledger).verify()
        if not verdict.whole:
            raise RotationRefused(f"the audit is broken ({verdict.problem}), and a new seal would hide it: find out why first, "
                                  "and restore the state directory from a backup")
        try:
            new = Sealer.open(state.next_key)
            _give_to_owner(state)
            with ledger._database.write() as connection:
                resealed = _change(connection, old, new, clock, by)
        finally:
            settle_rotation(state)
        return Rotation(old.key_id, new.key_id, resealed)
    finally:
        ledger.close()


def _change(connection: Connection, old: Sealer, new: Sealer, clock: Clock, by: str) -> int:
    resealed = sum(_reseal(connection, sealed, old, new) for sealed in places.SEALED)
    secrets = [*order_keys(connection, old), own_order_key(old)]
    _turn_order_keys(connection, own_order_key(new))
    connection.execute(update(sealing_key).values(
        key_id=new.key_id, first_used_at=clock.now(), sealed_order_keys=new.seal(b"".join(secrets), places.ORDER_KEYS)))
    append_entry(connection, new, clock.now(), "sealing-key-changed", new.key_id, actor=by, role="person",
                 evidence=canonical_json({"before": old.key_id, "resealed": resealed}))
    return resealed


def _reseal(connection: Connection, sealed: places.SealedColumn, old: Sealer, new: Sealer) -> int:
    """One row at a time: together they may be larger than the memory."""
    column, table = sealed.column, sealed.column.table
    keys = list(table.primary_key)
    rows = connection.execute(select(*keys).where(column.is_not(None))).all()
    for row in rows:
        this = [key == value for key, value in zip(keys, row, strict=True)]
        whole = connection.execute(select(table).where(*this)).one()
        place = sealed.place(whole)
        value = new.seal(old.unseal(whole._mapping[column], place), place)
        connection.execute(update(table).where(*this).values({column: value}))
    return len(rows)


def _turn_order_keys(connection: Connection, secret: bytes) -> None:
    """Under each key another order key, and still one for each order: what waits keeps its place."""
    known = select(delivery.c.order_key).where(delivery.c.order_key.is_not(None)).distinct()
    for key in connection.execute(known).scalars().all():
        connection.execute(update(delivery).where(delivery.c.order_key == key).values(order_key=keyed(secret, key)))


def _named(paths: StatePaths) -> set[str]:
    """The keys that the ledger names, of any version of it."""
    if not paths.ledger.exists():
        return set()
    database = Database(paths.ledger_url)
    try:
        with database.read() as connection:
            if not inspect(connection).has_table(sealing_key.name):
                return set()
            return set(connection.execute(select(sealing_key.c.key_id)).scalars())
    finally:
        database.close()
