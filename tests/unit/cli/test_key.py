"""``vigil key rotate``: what it says, and that every other command works on after it, also after one that was interrupted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vigil.cli.main import app
from vigil.domain.clock import SystemClock
from vigil.records.audit import Audit
from vigil.records.errors import LedgerUnavailable, RotationRefused
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StateFolder, StatePaths


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path)
    ledger = Ledger.open(paths.ledger_url, Sealer.open(paths.key), SystemClock())
    Audit(ledger).append("started", "here", actor="vigil", role="system", evidence={})
    ledger.close()
    return paths


@pytest.fixture
def vigil(tmp_path: Path) -> Callable[..., str]:
    config = tmp_path / "orthanc.json"
    config.write_text(json.dumps({"Vigil": {"SchemaVersion": 1, "StateDirectory": str(tmp_path)}}))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--config", str(config)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_it_says_what_was_done_and_what_dies_of_it(paths: StatePaths, vigil: Callable[..., str]) -> None:
    before = Sealer.open(paths.key).key_id
    told = vigil("key", "rotate", "--by", "Ann Roe")
    after = Sealer.open(paths.key).key_id
    assert f"1 values are sealed with the new key {after}; the old one, {before}, is removed" in told
    assert "Copies from before open with the old key, or hold it: backups, and before-update" in told
    assert "Links of acknowledgement that were sent before work no more" in told
    assert '"whole": true' in vigil("status", "--json")


def test_for_programs(paths: StatePaths, vigil: Callable[..., str]) -> None:
    before = Sealer.open(paths.key).key_id
    done = json.loads(vigil("key", "rotate", "--by", "Ann Roe", "--json"))
    assert done == {"old_key": before, "new_key": Sealer.open(paths.key).key_id, "resealed": 1}


def test_a_running_orthanc_is_named_as_the_reason(paths: StatePaths, vigil: Callable[..., str]) -> None:
    with StateFolder(paths.path), pytest.raises(RotationRefused, match="while Orthanc is stopped"):
        vigil("key", "rotate", "--by", "Ann Roe")


def test_the_next_command_settles_one_that_was_interrupted(paths: StatePaths, vigil: Callable[..., str], tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copy2(paths.key, old)
    vigil("key", "rotate", "--by", "Ann Roe")
    new = paths.key.read_bytes()
    paths.key.rename(paths.next_key)
    shutil.copy2(old, paths.key)

    assert '"whole": true' in vigil("status", "--json")
    assert paths.key.read_bytes() == new
    assert not paths.next_key.exists()


def test_another_key_is_refused_after_it(paths: StatePaths, vigil: Callable[..., str], tmp_path: Path) -> None:
    shutil.copy2(paths.key, tmp_path / "old")
    vigil("key", "rotate", "--by", "Ann Roe")
    shutil.copy2(tmp_path / "old", paths.key)
    with pytest.raises(LedgerUnavailable, match=r"restore the sealing\.key"):
        vigil("status")
