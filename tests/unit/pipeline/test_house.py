from __future__ import annotations

import threading
from pathlib import Path

import pytest

from vigil.domain.gateway import GatewayError, OrthancSystem
from vigil.pipeline.events import EventQueue
from vigil.pipeline.house import House
from vigil.records.state import StateFolder
from vigil.settings import load


class DeafOrthanc:
    """Answers nothing, as an Orthanc that is still starting."""

    def last_change(self) -> int:
        raise GatewayError("not yet")

    def system(self) -> OrthancSystem:
        raise GatewayError("not yet")


def start(folder: Path) -> None:
    settings = load({"Vigil": {"SchemaVersion": 1, "StateDirectory": str(folder)}})
    House(settings, DeafOrthanc(), EventQueue(), threading.Event()).start()  # type: ignore[arg-type]


def test_a_start_that_failed_lets_go_of_the_state_directory(tmp_path: Path) -> None:
    with pytest.raises(GatewayError):
        start(tmp_path / "state")

    StateFolder(tmp_path / "state").close()


def test_so_does_one_that_failed_in_a_way_nobody_foresaw(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "log").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="exists"):
        start(tmp_path / "state")

    StateFolder(tmp_path / "state").close()
