"""The state directory and its lock."""

from __future__ import annotations

import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vigil.domain.errors import Category
from vigil.records.errors import StateInUse, StateUnusable
from vigil.records.state import StateFolder, StatePaths

Start = Callable[..., subprocess.Popen[str]]


def held_by(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "deep" / "vigil") as state:
        assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
        assert stat.S_IMODE(state.lock.stat().st_mode) == 0o600


def test_what_must_outlive_a_restart_lies_in_the_folder(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    places = [paths.ledger, paths.workflows, paths.key, paths.logs, paths.marker, paths.lock]
    assert len(set(places)) == 6
    assert all(place.parent == tmp_path for place in places)
    assert paths.ledger_url == f"sqlite:///{paths.ledger}"


def test_naming_the_paths_makes_nothing(tmp_path: Path) -> None:
    assert not StatePaths(tmp_path / "vigil").path.exists()


def test_a_second_holder_in_this_process_is_refused(tmp_path: Path) -> None:
    with StateFolder(tmp_path), pytest.raises(StateInUse):
        StateFolder(tmp_path)


def test_another_process_that_holds_the_folder_is_named(paths: StatePaths, start_child: Start) -> None:
    child = start_child("hold")
    held_by(child)
    with pytest.raises(StateInUse, match=rf"its id: {child.pid}\)") as raised:
        StateFolder(paths.path)
    assert raised.value.category is Category.LEDGER_UNAVAILABLE


def test_the_folder_is_free_when_its_holder_was_killed(paths: StatePaths, start_child: Start) -> None:
    child = start_child("hold")
    held_by(child)
    child.send_signal(signal.SIGKILL)
    child.wait()
    StateFolder(paths.path).close()


def test_the_folder_is_free_when_it_was_closed_twice_over(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.close()
    state.close()
    with StateFolder(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_told_with_the_key_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match=r"cannot be used.*Vigil\.StateDirectory"):
        StateFolder(tmp_path / "file" / "vigil")
