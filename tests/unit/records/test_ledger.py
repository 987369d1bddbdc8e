"""The ledger as a file: opened by several at once, locked, damaged, full, of another time, beside another key."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from vigil.domain.answer import Analysis, Answer, Reason
from vigil.domain.errors import Category
from vigil.records.audit import Audit
from vigil.records.database import Database
from vigil.records.decision import Decision
from vigil.records.errors import LedgerUnavailable
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StatePaths
from vigil.results.objects import ResultObject

Start = Callable[..., subprocess.Popen[str]]
PIECES_OF_A_PATIENT = ("MUELLER", "Müller", "Jörg", "PAT-4711", "19700101", "ACC-0815")


def word_from(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def give_word(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def test_several_processes_open_a_new_ledger_and_write_at_once(
    paths: StatePaths, start_child: Start, open_ledger: Callable[[], Ledger],
) -> None:
    children = [start_child("write", name, 15) for name in ("one", "two", "three")]
    for child in children:
        assert word_from(child) == "ready"
    for child in children:
        give_word(child)
    for child in children:
        assert child.wait(timeout=120) == 0
        assert word_from(child) == "done"
    ledger = open_ledger()
    assert ledger.install_once(99).first_change_sequence == 7
    assert Audit(ledger).verify().whole
    assert len(Audit(ledger).entries(limit=1000)) == 45
    assert ledger.study_state("three-14") is not None


def test_a_locked_ledger_is_waited_for(ledger: Ledger, start_child: Start, clock: Any) -> None:
    child = start_child("lock", 2)
    assert word_from(child) == "locked"
    begun = time.monotonic()
    ledger.touch_studies(["a"], clock.now())
    assert time.monotonic() - begun > 1
    assert ledger.study_state("a") is not None


def test_a_reader_does_not_wait_for_a_writer(ledger: Ledger, start_child: Start) -> None:
    child = start_child("lock", 2)
    assert word_from(child) == "locked"
    begun = time.monotonic()
    assert ledger.counts() == {}
    assert time.monotonic() - begun < 1


def test_a_lock_that_is_not_let_go_is_told(
    paths: StatePaths, sealer: Sealer, clock: Any, monkeypatch: pytest.MonkeyPatch, ledger: Ledger,
) -> None:
    monkeypatch.setattr("vigil.records.database.LOCK_WAIT_S", 1)
    impatient = Ledger.open(paths.ledger_url, sealer, clock)
    holder = sqlite3.connect(paths.ledger, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match="database is locked; another process held it"):
        impatient.touch_studies(["a"], clock.now())
    holder.execute("ROLLBACK")
    holder.close()
    impatient.touch_studies(["a"], clock.now())
    impatient.close()


def filled(ledger: Ledger, analysis: Analysis, answer: Answer, objects: list[ResultObject]) -> None:
    ledger.begin_analysis(analysis)
    ledger.freeze_answer(analysis.analysis_id, answer, objects)
    ledger.close()


@pytest.fixture
def closed(
    ledger: Ledger, paths: StatePaths, make_analysis: Callable[..., Analysis], positive: Answer,
    make_objects: Callable[..., list[ResultObject]],
) -> Path:
    """The file of a ledger with something in it, closed."""
    filled(ledger, make_analysis(), positive, make_objects(content=random.Random(1).randbytes(500_000)))
    assert not paths.ledger.with_name("ledger.sqlite-wal").exists()
    return paths.ledger


def refused(paths: StatePaths, sealer: Sealer, clock: Any) -> str:
    with pytest.raises(LedgerUnavailable) as raised:
        Ledger.open(paths.ledger_url, sealer, clock)
    assert raised.value.category is Category.LEDGER_UNAVAILABLE
    assert str(paths.ledger) in raised.value.message
    return raised.value.message


def test_a_file_that_is_no_ledger_is_told(paths: StatePaths, sealer: Sealer, clock: Any) -> None:
    paths.ledger.write_bytes(b"not a database at all" * 100)
    assert "restore the whole state directory from a backup" in refused(paths, sealer, clock)


def test_a_cut_file_is_told(closed: Path, paths: StatePaths, sealer: Sealer, clock: Any) -> None:
    closed.write_bytes(closed.read_bytes()[: closed.stat().st_size // 2])
    assert "restore the whole state directory from a backup" in refused(paths, sealer, clock)


def test_a_file_with_damage_in_its_middle_is_told(closed: Path, paths: StatePaths, sealer: Sealer, clock: Any) -> None:
    """In a page of an object, which opening alone would not touch."""
    content = bytearray(closed.read_bytes())
    page = len(content) // 2 // 4096 * 4096
    content[page : page + 64] = bytes(64)
    closed.write_bytes(content)
    assert "restore the whole state directory from a backup" in refused(paths, sealer, clock)


def test_a_file_that_cannot_be_opened_is_told(paths: StatePaths, sealer: Sealer, clock: Any) -> None:
    paths.ledger.mkdir()
    assert "let the user that runs Orthanc write the file" in refused(paths, sealer, clock)


def test_the_ledger_of_a_newer_vigil_is_told_and_left_alone(closed: Path, paths: StatePaths, sealer: Sealer, clock: Any) -> None:
    with sqlite3.connect(closed) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(LedgerUnavailable, match=r"written by a newer Vigil \(schema 9999"):
        Ledger.open(paths.ledger_url, sealer, clock)
    with sqlite3.connect(closed) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    connection.close()


def test_another_key_is_refused_before_anything_is_lost(closed: Path, paths: StatePaths, clock: Any) -> None:
    with pytest.raises(LedgerUnavailable, match=r"restore the sealing\.key"):
        Ledger.open(paths.ledger_url, Sealer(bytes(32)), clock)


def test_an_address_that_is_none_is_told(sealer: Sealer, clock: Any) -> None:
    for url in ("nonsense", "oracle://x/y"):
        with pytest.raises(LedgerUnavailable, match="names no database"):
            Ledger.open(url, sealer, clock)


def test_a_full_disk_is_told_and_survived(
    paths: StatePaths, ledger: Ledger, make_analysis: Callable[..., Analysis], positive: Answer,
    make_objects: Callable[..., list[ResultObject]],
) -> None:
    """SQLite's own bound on the file's size gives the same error as a full disk."""
    ledger.begin_analysis(make_analysis())
    with ledger._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
    incompressible = make_objects(content=random.Random(1).randbytes(100_000))
    with pytest.raises(LedgerUnavailable, match="disk is full; free space on its disk"):
        ledger.freeze_answer("a1", positive, incompressible)
    found = ledger.analysis("a1")
    assert found is not None
    assert found.answer is None
    assert ledger.objects("a1") == []


def test_the_file_is_written_so_that_a_power_loss_keeps_what_was_told_as_kept(ledger: Ledger) -> None:
    with ledger._database.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar_one() == 30_000


def test_settings_snapshots_are_kept_once(ledger: Ledger, clock: Any) -> None:
    ledger.record_settings("abc", '{"a":1}', clock.now())
    ledger.record_settings("abc", '{"a":1}', clock.move(1))
    assert ledger.settings_snapshot("abc") == '{"a":1}'
    assert ledger.settings_snapshot("def") is None


def test_counts_are_by_state(ledger: Ledger, make_analysis: Callable[..., Analysis], clock: Any) -> None:
    for number in range(3):
        ledger.begin_analysis(make_analysis(f"a{number}"))
    ledger.set_analysis_state("a0", "stored")
    ledger.begin_delivery("d", "ris", "hl7", "a0", 1, clock.now())
    assert ledger.counts() == {"analyses.pending": 2, "analyses.stored": 1, "deliveries.waiting": 1}


@pytest.fixture
def state_bytes(paths: StatePaths) -> Iterator[Callable[[], bytes]]:
    def read() -> bytes:
        return b"".join(file.read_bytes() for file in sorted(paths.path.rglob("*")) if file.is_file())

    yield read


def test_nothing_that_identifies_a_patient_lies_in_clear(
    ledger: Ledger, make_analysis: Callable[..., Analysis], positive: Answer, make_objects: Callable[..., list[ResultObject]],
    clock: Any, state_bytes: Callable[[], bytes],
) -> None:
    """Law 9: everything that can carry a patient is put in, and looked for in every file, with the write-ahead log and after."""
    patient = "|".join(PIECES_OF_A_PATIENT)
    ledger.begin_analysis(make_analysis())
    ledger.freeze_answer("a1", positive, make_objects(content=patient.encode()))
    ledger.begin_delivery("d", "ris", "hl7", "a1", 1, clock.now())
    ledger.freeze_message("d", "V1", f"PID|1||{patient}".encode(), clock.now())
    ledger.record_acknowledgement("d", "AE", f"unknown patient {patient}", clock.now())
    ledger.record_object_status("d", "1.2.3", 0xA900, clock.now(), f"wrong patient {patient}")
    ledger.record_decision(Decision("study-1", "bleed", "1.0.0", clock.now(), "analyse", None, "a1", {"slices": 32}))
    Audit(ledger).append("alert-out", "a1", actor="vigil", role="system", evidence={"destination": "ris"})
    for moment in ("open", "closed"):
        if moment == "closed":
            ledger.close()
        content = state_bytes()
        assert b"study-1" in content
        assert b"19.9 mL" in content
        for piece in PIECES_OF_A_PATIENT:
            for encoding in ("utf-8", "latin-1", "utf-16-le"):
                assert piece.encode(encoding) not in content, (moment, piece)


def test_an_error_of_the_database_quotes_no_values(ledger: Ledger, clock: Any) -> None:
    with pytest.raises(Exception, match="failed") as raised, ledger._database.read() as connection:
        connection.execute(text("SELECT :value FROM nowhere"), {"value": "MUELLER"})
    told, cause = str(raised.value), str(raised.value.__cause__)
    assert "MUELLER" not in told
    assert "MUELLER" not in cause


def test_a_fault_of_the_program_is_not_taken_for_a_fault_of_the_disk(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger._database.write():
        raise ZeroDivisionError


def test_what_fails_in_the_middle_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger._database.write() as connection:
        connection.execute(text("INSERT INTO settings_snapshot VALUES ('x', '2026-01-01', '{}')"))
        raise ZeroDivisionError
    assert ledger.settings_snapshot("x") is None


def test_a_reason_survives_with_its_category(ledger: Ledger, make_analysis: Callable[..., Analysis]) -> None:
    ledger.begin_analysis(make_analysis())
    for category in Category:
        ledger.set_analysis_state("a1", "failed-to-start", Reason(category, "why"))
        found = ledger.analysis("a1")
        assert found is not None
        assert found.reason == Reason(category, "why")


def test_the_database_is_not_made_before_it_is_used(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path}/l.sqlite").close()
    assert list(tmp_path.iterdir()) == []
