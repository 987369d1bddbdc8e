"""A new sealing key: everything opens with it and nothing with the old one, whenever the process is killed."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, select, update

from hospital.moving_clock import MovingClock
from vigil.domain.answer import Answer
from vigil.records import places
from vigil.records.audit import Audit
from vigil.records.backup import make_backup, read_backup
from vigil.records.errors import LedgerUnavailable, RotationRefused, SealBroken, StateInUse
from vigil.records.ledger import Ledger
from vigil.records.restore import PLAN, READY
from vigil.records.rotation import rotate_key, settle_rotation
from vigil.records.sealing import MAGIC, Sealer
from vigil.records.state import StateFolder, StatePaths, beside
from vigil.records.tables import audit_head, delivery, message, metadata, sealing_key

Make = Callable[..., Any]
TOLD = "deliver|ris|a1|1"
WAITS = "deliver|ris|a2|1"
NOBODY = 65534
OBJECT_COUNT = 3
CONTENT = random.Random(0).randbytes(50_000)
"""Larger than a page of the database, and than what is left of it when it is compressed."""


@pytest.fixture
def filled(ledger: Ledger, clock: MovingClock, make_analysis: Make, make_objects: Make, positive: Answer) -> Ledger:
    """A value in every sealed column; one alert told, and one of the same order that waits."""
    for name in ("a1", "a2"):
        ledger.begin_analysis(make_analysis(name, model_id=f"model-{name}"), reference=b"DICM reference of " + name.encode())
        ledger.freeze_answer(name, positive, make_objects(name, OBJECT_COUNT, CONTENT))
    for name, delivery_id in (("a1", TOLD), ("a2", WAITS)):
        ledger.begin_delivery(delivery_id, "ris", "hl7", name, 1, clock.now(), order_key=ledger.order_key("order", "ACC-1"))
        ledger.freeze_message(
            delivery_id, f"id-{name}", b"MSH|" + name.encode(), clock.now(), header=b"header of " + name.encode())
    ledger.record_acknowledgement(TOLD, "AE", "no such patient MUELLER", clock.now())
    ledger.record_object_status(TOLD, "1.2.3", 0xA700, clock.now(), "out of room for MUELLER")
    Audit(ledger).append("told", "a1", actor="vigil", role="system", evidence={})
    return ledger


def opened(paths: StatePaths, clock: MovingClock) -> Ledger:
    """As at the next start of Orthanc."""
    with StateFolder(paths.path) as state:
        settle_rotation(state)
        return Ledger.open(paths.ledger_url, Sealer.open(paths.key), clock)


def everything_opens(ledger: Ledger, make_objects: Make) -> None:
    for name, delivery_id in (("a1", TOLD), ("a2", WAITS)):
        assert ledger.reference_head(name) == b"DICM reference of " + name.encode()
        for item in make_objects(name, OBJECT_COUNT, CONTENT):
            assert ledger.object_bytes(item.sop_instance_uid) == item.dicom
        assert ledger.message(delivery_id) == b"MSH|" + name.encode()
        assert ledger.message_header(delivery_id) == b"header of " + name.encode()
    answered = ledger.acknowledgement(TOLD)
    assert answered is not None
    assert answered.text == "no such patient MUELLER"
    assert ledger.object_comment(TOLD, "1.2.3") == "out of room for MUELLER"
    assert Audit(ledger).verify().whole
    with ledger._database.read() as connection:
        keys = set(connection.execute(select(delivery.c.order_key)).scalars())
    assert keys == {ledger.order_key("order", "ACC-1")}


def rotate(ledger: Ledger, paths: StatePaths, clock: MovingClock) -> Any:
    ledger.close()
    return rotate_key(paths, clock, "Ann Roe")


def test_every_sealed_column_of_the_ledger_is_known() -> None:
    binary = {column for table in metadata.sorted_tables for column in table.columns if isinstance(column.type, LargeBinary)}
    assert {sealed.column for sealed in places.SEALED} | {sealing_key.c.sealed_order_keys} == binary
    assert all("sealed" in column.name for column in binary)
    assert binary == {column for table in metadata.sorted_tables for column in table.columns if "sealed" in column.name}


def test_the_example_has_a_value_in_every_sealed_column(filled: Ledger) -> None:
    with filled._database.read() as connection:
        empty = [str(sealed.column) for sealed in places.SEALED
                 if connection.execute(select(sealed.column).where(sealed.column.is_not(None)).limit(1)).first() is None]
    assert empty == []


def test_everything_opens_with_the_new_key_and_nothing_of_the_old_is_left(
    filled: Ledger, paths: StatePaths, clock: MovingClock, make_objects: Make,
) -> None:
    old = Sealer.open(paths.key)
    trace = MAGIC + bytes.fromhex(old.key_id)
    assert trace in paths.ledger.read_bytes() + paths.ledger.with_name("ledger.sqlite-wal").read_bytes()

    done = rotate(filled, paths, clock)

    new = Sealer.open(paths.key)
    assert (done.old_key, done.new_key) == (old.key_id, new.key_id)
    assert old.key_id != new.key_id
    assert done.resealed == 2 * OBJECT_COUNT + 9  # 2 references, 2 messages, 2 headers, an answer, a comment, the audit's end
    assert stat.S_IMODE(paths.key.stat().st_mode) == 0o600
    assert [file.name for file in paths.path.iterdir() if "sealing" in file.name] == ["sealing.key"]
    assert not any(trace in file.read_bytes() for file in paths.path.iterdir())
    ledger = opened(paths, clock)
    everything_opens(ledger, make_objects)
    [entry] = Audit(ledger).entries(new.key_id)
    assert (entry.event, entry.actor, entry.role) == ("sealing-key-changed", "Ann Roe", "person")
    assert entry.evidence == {"before": old.key_id, "resealed": done.resealed}
    ledger.close()
    with pytest.raises(LedgerUnavailable, match=f"sealed with key {new.key_id}, the sealing.key at hand is {old.key_id}"):
        Ledger.open(paths.ledger_url, old, clock)


def test_what_belongs_to_one_order_keeps_its_order_through_several_changes(
    filled: Ledger, paths: StatePaths, clock: MovingClock, make_analysis: Make,
) -> None:
    first = filled.order_key("order", "ACC-1")
    rotate(filled, paths, clock)
    rotate_key(paths, clock, "Ann Roe")
    ledger = opened(paths, clock)
    assert ledger.order_key("order", "ACC-1") != first
    ledger.begin_analysis(make_analysis("a3", model_id="model-a3"))
    ledger.begin_delivery("deliver|ris|a3|1", "ris", "hl7", "a3", 1, clock.now(), order_key=ledger.order_key("order", "ACC-1"))
    ledger.finish_delivery(TOLD, "delivered", clock.now())

    goes = ledger.first_in_outbox("ris", clock.now(), clock.now())
    assert goes is not None
    assert goes.delivery_id == WAITS
    waiting = {item.delivery_id: item.order_key for item in ledger.deliveries(states=["waiting"])}
    assert waiting["deliver|ris|a3|1"] == waiting[WAITS]
    ledger.close()


def test_a_kill_at_any_step_is_finished_or_undone(
    filled: Ledger, paths: StatePaths, clock: MovingClock, make_objects: Make, tmp_path: Path,
    start_child: Callable[..., subprocess.Popen[str]],
) -> None:
    """The child tries it over and over on a copy, killed one step later each time, until it comes through."""
    filled.close()
    before = Sealer.open(paths.key).key_id
    child = start_child("rotate")
    assert child.stdout is not None
    steps = child.stdout.read().split()
    assert child.wait(timeout=120) == 0

    assert {"os.link", "os.rename", "os.remove", "commit", "UPDATE"} <= set(steps)
    ends = set()
    for number, step in enumerate(steps, start=1):
        left = StatePaths(tmp_path / "steps" / str(number))
        ledger = opened(left, clock)
        everything_opens(ledger, make_objects)
        ledger.close()
        assert [file.name for file in left.path.iterdir() if "sealing" in file.name] == ["sealing.key"], step
        ends.add(Sealer.open(left.key).key_id == before)
    assert ends == {True, False}


def test_an_interrupted_change_is_settled_by_the_next_one(
    filled: Ledger, paths: StatePaths, clock: MovingClock, make_objects: Make, tmp_path: Path,
) -> None:
    aside = tmp_path / "aside"
    shutil.copy2(paths.key, aside)
    rotate(filled, paths, clock)
    paths.key.rename(paths.next_key)  # as after the commit, before the file takes its place
    shutil.copy2(aside, paths.key)

    rotate_key(paths, clock, "Ann Roe")
    ledger = opened(paths, clock)
    everything_opens(ledger, make_objects)
    ledger.close()


def test_it_is_refused_while_orthanc_runs(filled: Ledger, paths: StatePaths, clock: MovingClock) -> None:
    with StateFolder(paths.path), pytest.raises(RotationRefused, match="while Orthanc is stopped: stop it"):
        rotate_key(paths, clock, "Ann Roe")
    assert filled.message(TOLD) == b"MSH|a1"


def test_it_is_refused_while_another_command_works_with_the_ledger_and_the_other_way_round(
    filled: Ledger, paths: StatePaths, clock: MovingClock,
) -> None:
    with beside(paths), beside(paths), pytest.raises(StateInUse, match="another vigil command"):
        rotate_key(paths, clock, "Ann Roe")
    with beside(paths, alone=True), pytest.raises(StateInUse, match="its sealing key is being changed"), beside(paths):
        pass


def test_without_a_ledger_there_is_nothing_to_change(tmp_path: Path, clock: MovingClock) -> None:
    with pytest.raises(RotationRefused, match="has Orthanc been started with Vigil yet"):
        rotate_key(StatePaths(tmp_path / "none"), clock, "Ann Roe")
    assert not (tmp_path / "none").exists()


def test_a_value_that_does_not_open_is_named_and_nothing_is_changed(
    filled: Ledger, paths: StatePaths, clock: MovingClock,
) -> None:
    before = paths.key.read_bytes()
    with filled._database.write() as connection:
        connection.execute(update(message).where(message.c.delivery_id == WAITS).values(sealed=b"damaged"))
    with pytest.raises(SealBroken, match=rf"sealed value of message\|{WAITS.replace('|', '.')} is damaged"):
        rotate(filled, paths, clock)
    assert paths.key.read_bytes() == before
    assert not paths.next_key.exists()
    ledger = opened(paths, clock)
    assert ledger.message(TOLD) == b"MSH|a1"
    ledger.close()


def test_a_broken_audit_is_not_sealed_anew(filled: Ledger, paths: StatePaths, clock: MovingClock) -> None:
    with filled._database.write() as connection:
        connection.execute(update(audit_head).values(hash="0" * 64))
    with pytest.raises(RotationRefused, match="the audit is broken"):
        rotate(filled, paths, clock)
    assert not paths.next_key.exists()


def test_root_leaves_everything_to_the_user_of_orthanc(filled: Ledger, paths: StatePaths, clock: MovingClock) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can act in another user's place")
    filled.close()
    for item in (paths.path, *paths.path.iterdir()):
        os.chown(item, NOBODY, NOBODY)
    rotate_key(paths, clock, "Ann Roe")
    StateFolder(paths.path, by_command=True).close()
    owners = {item.name: (item.stat().st_uid, item.stat().st_gid) for item in paths.path.iterdir() if item.name != "state.lock"}
    assert set(owners.values()) == {(NOBODY, NOBODY)}
    assert "sealing.key" in owners
    assert "ledger.sqlite" in owners


def test_a_restore_that_was_decided_is_carried_out_before(
    filled: Ledger, paths: StatePaths, clock: MovingClock, make_objects: Make, tmp_path: Path,
) -> None:
    """As after a kill between the decision and the exchange."""
    filled.close()
    copy = tmp_path / "copy.tar"
    make_backup(paths, copy, clock)
    before = paths.key.read_bytes()
    rotate_key(paths, clock, "Ann Roe")
    ready = paths.path / READY
    ready.mkdir()
    read_backup(copy, ready, clock)
    (ready / PLAN).write_text('{"kept": "before-restore/then"}')

    rotate_key(paths, clock, "Ann Roe")
    assert not ready.exists()
    assert (paths.path / "before-restore" / "then" / "sealing.key").exists()
    assert paths.key.read_bytes() != before
    ledger = opened(paths, clock)
    everything_opens(ledger, make_objects)
    assert len(Audit(ledger).entries(Sealer.open(paths.key).key_id)) == 1
    ledger.close()
