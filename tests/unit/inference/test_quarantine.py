from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vigil.inference.quarantine import CrashMarker

PLUGIN = Path(__file__).resolve().parents[3] / "plugin"


def die_in_flight(folder: Path, model: str = "m") -> None:
    """As a process that is killed: the marker is left."""
    program = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(PLUGIN)!r})
from vigil.inference.quarantine import CrashMarker
with CrashMarker(Path({str(folder / "running.json")!r})).in_flight({model!r}):
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9


def run_well(folder: Path, *, proves: bool) -> None:
    with CrashMarker(folder / "running.json").in_flight("m", proves=proves):
        pass


def test_one_death_is_forgiven_and_two_are_not(tmp_path: Path) -> None:
    die_in_flight(tmp_path)
    assert CrashMarker(tmp_path / "running.json").reason("m") is None
    die_in_flight(tmp_path)

    marker = CrashMarker(tmp_path / "running.json")
    assert marker.reason("m") is not None
    assert marker.reason("another") is None


def test_deaths_with_a_good_run_between_them_do_not_add_up(tmp_path: Path) -> None:
    die_in_flight(tmp_path)
    run_well(tmp_path, proves=True)
    die_in_flight(tmp_path)

    assert CrashMarker(tmp_path / "running.json").reason("m") is None


def test_a_session_that_was_made_takes_back_no_death(tmp_path: Path) -> None:
    die_in_flight(tmp_path)
    run_well(tmp_path, proves=False)
    die_in_flight(tmp_path)

    assert CrashMarker(tmp_path / "running.json").reason("m") is not None


def test_a_run_that_ends_in_an_error_leaves_no_marker_and_takes_back_no_death(tmp_path: Path) -> None:
    die_in_flight(tmp_path)
    marker = CrashMarker(tmp_path / "running.json")
    with pytest.raises(RuntimeError), marker.in_flight("m", proves=True):
        raise RuntimeError

    assert CrashMarker(tmp_path / "running.json").reason("m") is None
    die_in_flight(tmp_path)
    assert CrashMarker(tmp_path / "running.json").reason("m") is not None


def test_a_person_releases_it(tmp_path: Path) -> None:
    die_in_flight(tmp_path)
    die_in_flight(tmp_path)
    marker = CrashMarker(tmp_path / "running.json")
    reason = marker.reason("m")
    assert reason is not None
    assert "vigil models release" in reason.text
    (tmp_path / "crashes.json").unlink()

    assert marker.reason("m") is None
