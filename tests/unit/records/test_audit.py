"""The audit's chain: whatever is done to a row from outside is found, and where."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from vigil.records.audit import Audit, AuditEntry, AuditVerdict, Break, _hash, _head
from vigil.records.errors import LedgerRefused
from vigil.records.ledger import Ledger
from vigil.records.tables import audit as table
from vigil.records.tables import audit_head

LENGTH = 6


@pytest.fixture
def audit(ledger: Ledger, clock: Any) -> Audit:
    """A chain of six entries."""
    audit = Audit(ledger)
    for number in range(1, LENGTH + 1):
        clock.move(1)
        audit.append("stored", f"a{number}", actor="vigil", role="system", evidence={"number": number, "word": "Größe"})
    return audit


def change(audit: Audit, *statements: Any) -> AuditVerdict:
    """Does something to the table behind the audit's back, and verifies."""
    with audit._database.write() as connection:
        for statement in statements:
            connection.execute(statement)
    return audit.verify()


def renumber(sequence: int, to: int) -> Any:
    return update(table).where(table.c.sequence == sequence).values(sequence=to)


def test_an_empty_chain_and_a_chain_as_written_are_whole(ledger: Ledger, clock: Any) -> None:
    audit = Audit(ledger)
    assert audit.verify() == AuditVerdict(0)
    assert audit.append("started", "x", actor="vigil", role="system", evidence={}) == 1
    assert audit.append("stopped", "x", actor="vigil", role="system", evidence={}) == 2
    assert audit.verify() == AuditVerdict(2)
    assert audit.verify().whole


def test_entries_come_back_newest_first_with_their_evidence(audit: Audit, clock: Any) -> None:
    newest, *_ = audit.entries()
    assert newest == AuditEntry(6, clock.now(), "vigil", "system", "stored", "a6", {"number": 6, "word": "Größe"})
    assert [entry.sequence for entry in audit.entries(limit=3)] == [6, 5, 4]
    assert [entry.sequence for entry in audit.entries("a2")] == [2]
    assert newest.as_dict()["at"] == clock.now().isoformat(timespec="milliseconds")


def test_the_chain_goes_on_after_reopening(audit: Audit, open_ledger: Callable[[], Ledger]) -> None:
    again = Audit(open_ledger())
    assert again.append("more", "x", actor="a", role="operator", evidence={}) == LENGTH + 1
    assert again.verify().whole


@pytest.mark.parametrize("sequence", range(1, LENGTH + 1))
@pytest.mark.parametrize("column", ["at", "actor", "role", "event", "subject", "evidence", "hash"])
def test_editing_any_column_of_any_row_is_found_there(audit: Audit, sequence: int, column: str) -> None:
    verdict = change(audit, update(table).where(table.c.sequence == sequence).values({column: "x"}))
    assert (verdict.broken_sequence, verdict.how) == (sequence, Break.CHANGED)


@pytest.mark.parametrize("sequence", range(1, LENGTH + 1))
def test_deleting_any_row_is_found_there(audit: Audit, sequence: int) -> None:
    verdict = change(audit, delete(table).where(table.c.sequence == sequence))
    assert (verdict.broken_sequence, verdict.how) == (sequence, Break.REMOVED)


@pytest.mark.parametrize("sequence", range(1, LENGTH + 1))
def test_deleting_a_row_and_moving_the_others_up_is_found(audit: Audit, sequence: int) -> None:
    moved = [renumber(later, later - 1) for later in range(sequence + 1, LENGTH + 1)]
    assert change(audit, delete(table).where(table.c.sequence == sequence), *moved).broken_sequence == sequence


@pytest.mark.parametrize(("sequence", "other"), [(1, 2), (2, 3), (5, 6), (1, 6), (2, 5), (3, 6)])
def test_swapping_two_rows_is_found_at_the_first(audit: Audit, sequence: int, other: int) -> None:
    verdict = change(audit, renumber(sequence, 1000), renumber(other, sequence), renumber(1000, other))
    assert (verdict.broken_sequence, verdict.how) == (sequence, Break.REORDERED)


def forged(audit: Audit, sequence: int, previous_hash: str) -> dict[str, Any]:
    row: dict[str, Any] = {"sequence": sequence, "at": "2026-11-23T10:00:00+00:00", "actor": "mallory", "role": "system",
                           "event": "stored", "subject": "x", "evidence": "{}", "previous_hash": previous_hash}
    return {**row, "hash": _hash(row)}


@pytest.mark.parametrize("sequence", range(1, LENGTH + 1))
def test_putting_in_a_row_is_found(audit: Audit, sequence: int) -> None:
    with audit._database.read() as connection:
        rows = connection.execute(select(table).order_by(table.c.sequence)).all()
    previous = rows[sequence - 1].previous_hash
    moved = [renumber(later, later + 1) for later in range(LENGTH, sequence - 1, -1)]
    verdict = change(audit, *moved, table.insert().values(forged(audit, sequence, previous)))
    assert verdict.broken_sequence == sequence + 1
    assert verdict.how is Break.REORDERED


def test_adding_a_well_made_row_at_the_end_is_found(audit: Audit) -> None:
    with audit._database.read() as connection:
        newest = connection.execute(select(table.c.hash).where(table.c.sequence == LENGTH)).scalar_one()
    verdict = change(audit, table.insert().values(forged(audit, LENGTH + 1, newest)))
    assert (verdict.broken_sequence, verdict.how) == (LENGTH + 1, Break.ADDED)


def test_a_row_before_the_first_is_found(audit: Audit) -> None:
    verdict = change(audit, table.insert().values(forged(audit, 0, "0" * 64)))
    assert verdict.how is Break.ADDED
    assert not verdict.whole


def test_writing_the_end_of_the_chain_anew_is_found_by_its_seal(audit: Audit) -> None:
    """Someone who knows how the hashes are made, and then corrects the head too, but has not the key."""
    with audit._database.read() as connection:
        previous = connection.execute(select(table.c.previous_hash).where(table.c.sequence == LENGTH)).scalar_one()
    row = forged(audit, LENGTH, previous)
    verdict = change(audit, update(table).where(table.c.sequence == LENGTH).values(row))
    assert (verdict.broken_sequence, verdict.how) == (LENGTH, Break.CHANGED)
    verdict = change(audit, update(audit_head).values(hash=row["hash"]))
    assert (verdict.broken_sequence, verdict.how) == (LENGTH, Break.CHANGED)


def test_cutting_the_end_and_correcting_the_head_is_found_by_its_seal(audit: Audit) -> None:
    with audit._database.read() as connection:
        newest = connection.execute(select(table.c.hash).where(table.c.sequence == LENGTH - 2)).scalar_one()
    verdict = change(audit, delete(table).where(table.c.sequence > LENGTH - 2),
                     update(audit_head).values(sequence=LENGTH - 2, hash=newest))
    assert (verdict.broken_sequence, verdict.how) == (LENGTH - 1, Break.REMOVED)


@pytest.mark.parametrize(("statement", "how"), [
    (delete(audit_head), Break.REMOVED),
    (update(audit_head).values(sealed=b"x"), Break.CHANGED),
    (update(audit_head).values(sequence=1), Break.CHANGED),
    (delete(table), Break.REMOVED),
])
def test_what_is_done_to_the_head_or_to_all_rows_is_found(audit: Audit, statement: Any, how: Break) -> None:
    verdict = change(audit, statement)
    assert not verdict.whole
    assert verdict.how is how
    assert verdict.problem


def test_many_threads_write_one_chain(ledger: Ledger) -> None:
    def write(name: str) -> None:
        audit = Audit(ledger)
        for _ in range(10):
            audit.append("e", "s", actor=name, role="system", evidence={})

    threads = [threading.Thread(target=write, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Audit(ledger).verify() == AuditVerdict(40)


def test_evidence_that_is_no_json_is_refused_and_leaves_no_entry(audit: Audit) -> None:
    with pytest.raises(LedgerRefused):
        audit.append("e", "s", actor="a", role="r", evidence={"x": float("inf")})
    assert audit.verify() == AuditVerdict(LENGTH)


def test_a_long_chain_is_read_in_pieces(ledger: Ledger) -> None:
    audit = Audit(ledger)
    row, previous = {}, "0" * 64
    with ledger._database.write() as connection:
        for sequence in range(1, 1203):
            row = forged(audit, sequence, previous)
            previous = row["hash"]
            connection.execute(table.insert().values(row))
        connection.execute(audit_head.insert().values(_head(audit._sealer, 1202, previous)))
    assert audit.verify() == AuditVerdict(1202)
    assert change(audit, update(table).where(table.c.sequence == 1100).values(actor="x")).broken_sequence == 1100


def test_the_audit_is_plain_rows_for_an_auditor(audit: Audit) -> None:
    with audit._database.read() as connection:
        row = connection.execute(text("SELECT event, subject FROM audit WHERE sequence = 3")).one()
    assert tuple(row) == ("stored", "a3")
