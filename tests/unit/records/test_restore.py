"""A backup in the place of the state: whole or not at all, whatever is killed; and nothing of it alarms by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vigil.domain.answer import Analysis, Answer, AnswerKind
from vigil.pipeline.desk import AlertDesk
from vigil.pipeline.outbox import why_held
from vigil.pipeline.told import takes_back
from vigil.records.audit import Audit
from vigil.records.backup import make_backup
from vigil.records.entries import RESTORE
from vigil.records.errors import BackupInvalid
from vigil.records.ledger import Ledger
from vigil.records.restore import finish_restore, restore
from vigil.records.sealing import Sealer
from vigil.records.state import StateFolder, StatePaths

NEGATIVE = Answer(AnswerKind.NEGATIVE, "Nothing.")
KILLED = 9


@dataclass(frozen=True)
class Site:
    """``copy`` was made when the ledger held "a1" alone; "a2" came after it, and the workflow store since."""

    paths: StatePaths
    copy: Path
    clock: Any

    def ledger(self) -> Ledger:
        return Ledger.open(self.paths.ledger_url, Sealer.open(self.paths.key), self.clock)

    def held(self) -> set[str]:
        """The analyses that the ledger holds now."""
        ledger = self.ledger()
        try:
            return {name for name in ("a1", "a2") if ledger.analysis(name) is not None}
        finally:
            ledger.close()


@pytest.fixture
def site(tmp_path: Path, make_analysis: Callable[..., Analysis], positive: Answer, clock: Any) -> Site:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    made = Site(StatePaths(state), tmp_path / "copy.tar", clock)
    ledger = made.ledger()
    ledger.install_once(7)
    ledger.begin_analysis(make_analysis("a1"))
    ledger.freeze_answer("a1", positive, [])
    make_backup(made.paths, made.copy, clock)
    clock.move(3600)
    ledger.begin_analysis(make_analysis("a2", orthanc_study_id="study-2"))
    ledger.close()
    made.paths.workflows.write_bytes(b"what is done already")
    return made


def put_back(site: Site) -> Any:
    with StateFolder(site.paths.path) as state:
        return restore(state, site.copy, "Ada", site.clock, takes_back)


def test_the_state_is_as_it_was_and_what_was_there_is_kept(site: Site) -> None:
    done = put_back(site)
    assert site.held() == {"a1"}
    assert not site.paths.workflows.exists(), "its tasks belong to the other ledger"
    assert done.kept is not None
    kept = StatePaths(done.kept)
    assert kept.workflows.read_bytes() == b"what is done already"
    other = Ledger.open(kept.ledger_url, Sealer.open(kept.key), site.clock)
    assert other.analysis("a2") is not None
    other.close()
    assert {path.stat().st_mode & 0o077 for path in (site.paths.ledger, site.paths.key, done.kept, done.kept.parent)} == {0}
    assert sorted(path.name for path in site.paths.path.iterdir() if path.name.startswith(".")) == []


def test_it_stands_in_the_audit_with_a_name_and_the_chain_is_whole(site: Site) -> None:
    made_at = put_back(site).contents.made_at
    ledger = site.ledger()
    entry = Audit(ledger).entries()[0]
    assert (entry.event, entry.actor, entry.evidence) == ("state-restored", "Ada", {"copied_at": made_at, "held": 0})
    assert Audit(ledger).verify().whole
    assert ledger.install_once(0).restored_at == site.clock.now()
    ledger.close()


def test_a_second_restore_keeps_what_the_first_had_kept(site: Site) -> None:
    first = put_back(site).kept
    site.clock.move(1)
    second = put_back(site).kept
    assert first != second
    assert StatePaths(first).ledger.exists()
    assert StatePaths(second).ledger.exists()


def test_into_an_empty_folder_nothing_is_kept(site: Site) -> None:
    shutil.rmtree(site.paths.path)
    assert put_back(site).kept is None
    assert site.held() == {"a1"}


def test_a_copy_that_is_not_whole_changes_nothing(site: Site) -> None:
    site.copy.write_bytes(site.copy.read_bytes()[:-4096])
    content = bytearray(site.copy.read_bytes())
    content[len(content) // 2] ^= 1
    site.copy.write_bytes(content)
    before = site.paths.ledger.read_bytes()
    with pytest.raises(BackupInvalid):
        put_back(site)
    assert site.paths.ledger.read_bytes() == before
    assert site.held() == {"a1", "a2"}
    assert {path.name for path in site.paths.path.iterdir()} >= {"ledger.sqlite", "sealing.key", "workflows.sqlite"}
    assert not (site.paths.path / "before-restore").exists()


def test_a_copy_from_the_future_is_refused(site: Site) -> None:
    site.clock.move(-7200)
    with pytest.raises(BackupInvalid, match="made in the future"):
        put_back(site)
    assert site.held() == {"a1", "a2"}


def test_what_waits_is_held_and_a_correction_is_not(
    site: Site, make_analysis: Callable[..., Analysis], positive: Answer,
) -> None:
    ledger, now = site.ledger(), site.clock.now()
    for name, study, answer in (("waiting", "w", positive), ("open", "o", positive), ("told", "t", positive),
                                ("correction", "t", NEGATIVE), ("no alarm", "n", NEGATIVE)):
        ledger.begin_analysis(make_analysis(name, orthanc_study_id=study))
        ledger.freeze_answer(name, answer, [])
        if name != "open":
            ledger.begin_delivery(f"d-{name}", "ris", "hl7", name, 1, now)
        if name == "correction":
            ledger.begin_delivery("d-elsewhere", "another ris", "hl7", name, 1, now)
        if name == "told":
            ledger.freeze_message("d-told", "control-id", b"MSH", now)
            ledger.finish_delivery("d-told", "delivered", now)
    ledger.begin_critical("open", 1, now, now)
    ledger.close()
    site.copy.unlink()
    make_backup(site.paths, site.copy, site.clock)
    site.clock.move(60)
    assert put_back(site).held == 3
    ledger = site.ledger()
    holds = {name: hold.by for name in ("waiting", "open", "told", "correction", "no alarm") if (hold := ledger.held(name))}
    assert holds == dict.fromkeys(("waiting", "open", "no alarm"), RESTORE)
    assert ledger.told("waiting") == {"ris"}, "it may have gone out after the copy was made"
    assert ledger.release("waiting")
    assert ledger.told("waiting") == set()
    ledger.close()


def test_an_answer_that_is_no_alarm_is_let_go_by_its_delivery(
    site: Site, make_analysis: Callable[..., Analysis],
) -> None:
    ledger, now = site.ledger(), site.clock.now()
    ledger.begin_analysis(make_analysis("no alarm", orthanc_study_id="n"))
    ledger.freeze_answer("no alarm", NEGATIVE, [])
    ledger.begin_delivery("d", "ris", "hl7", "no alarm", 1, now)
    ledger.put_on_hold("no alarm", RESTORE, now)
    held = why_held(ledger, "no alarm", when_reported=True)
    assert held is not None
    assert "vigil deliveries resend" in held.text
    ledger.finish_delivery("d", "held", now, held)
    AlertDesk(ledger, Audit(ledger), site.clock).resend_delivery("d", "Ada")
    delivery = ledger.delivery("d")
    assert delivery is not None
    assert delivery.state == "waiting"
    assert why_held(ledger, "no alarm", when_reported=True) is None
    ledger.close()


def killed_before(step: int, site: Site) -> bool:
    """A restore in a process of its own that dies before its ``step``-th change of the disk; False where it had fewer."""
    child = os.fork()
    if child == 0:
        code, done = 1, 0

        def dying(change: Callable[..., Any]) -> Callable[..., Any]:
            def instead(*arguments: Any, **named: Any) -> Any:
                nonlocal done
                if done == step:
                    os._exit(KILLED)
                done += 1
                return change(*arguments, **named)
            return instead

        try:
            for name in ("rename", "replace", "touch", "mkdir", "write_text"):
                setattr(Path, name, dying(getattr(Path, name)))
            shutil.rmtree = dying(shutil.rmtree)  # type: ignore[assignment]
            put_back(site)
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def test_killed_at_any_step_it_is_the_old_state_or_the_new_one_and_never_a_mixture(site: Site, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(site.paths.path, whole)
    seen, step = [], 0
    while True:
        shutil.rmtree(site.paths.path)
        shutil.copytree(whole, site.paths.path)
        killed = killed_before(step, site)
        with StateFolder(site.paths.path) as state:  # what the next start of Orthanc does
            finish_restore(state)
        held = site.held()
        seen.append(held)
        assert held in ({"a1", "a2"}, {"a1"})
        assert site.paths.workflows.exists() == (held == {"a1", "a2"})
        assert not [path.name for path in site.paths.path.iterdir() if path.name.startswith(".restore")]
        if not killed:
            break
        step += 1
    assert step > 8
    assert seen == sorted(seen, key=len, reverse=True), "decided at one moment"
    assert seen[0] == {"a1", "a2"}
    assert seen[-1] == {"a1"}
