"""The state directory is its owner's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from vigil.domain.clock import SystemClock
from vigil.records.errors import StateUnusable
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StateFolder, StatePaths

NOBODY = 65534
"""The user that owns nothing, on every Linux."""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def state(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / "vigil")
    paths.path.mkdir(mode=0o700)
    return paths


def test_what_is_wider_is_narrowed_and_named(state: StatePaths) -> None:
    Sealer.open(state.key).key_id  # noqa: B018 - is made
    state.logs.mkdir()
    log = state.logs / "vigil.jsonl"
    log.write_text("")
    for path, wide in ((state.path, 0o755), (state.key, 0o644), (state.logs, 0o755), (log, 0o640)):
        path.chmod(wide)

    with StateFolder(state.path) as folder:
        assert sorted(folder.narrowed) == sorted(map(str, (state.path, state.key, state.logs, log)))
    assert [mode(path) for path in (state.path, state.key, state.logs, log)] == [0o700, 0o600, 0o700, 0o600]
    with StateFolder(state.path) as folder:
        assert folder.narrowed == []


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_what_the_house_makes_is_narrow_from_its_first_moment(state: StatePaths, mask: int) -> None:
    before = os.umask(mask)
    try:
        with StateFolder(state.path):
            ledger = Ledger.open(state.ledger_url, Sealer.open(state.key), SystemClock())
            ledger.install_once(1)
            modes = {file.name: mode(file) for file in state.path.iterdir()}
            ledger.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(
        ["state.lock", "sealing.key", "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"], 0o600)


def test_a_file_that_a_link_leads_to_is_left_alone(state: StatePaths, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    elsewhere.chmod(0o644)
    (state.path / "link").symlink_to(elsewhere)
    StateFolder(state.path).close()
    assert mode(elsewhere) == 0o644


def test_a_link_in_its_place_is_refused(state: StatePaths, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(state.path)
    with pytest.raises(StateUnusable, match=r"link is a symbolic link to .*/vigil; name the folder itself as Vigil\.StateDirec"):
        StateFolder(link)


def test_a_link_in_the_key_s_place_is_refused(state: StatePaths, tmp_path: Path) -> None:
    state.key.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateUnusable, match=r"sealing\.key is a symbolic link to .*; put the file itself there"):
        StateFolder(state.path)


@pytest.mark.parametrize("whose", [lambda state: state.path, lambda state: state.key], ids=["the folder", "the key"])
def test_what_another_user_owns_is_refused(state: StatePaths, whose: Callable[[StatePaths], Path]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    Sealer.open(state.key).key_id  # noqa: B018 - is made
    os.chown(whose(state), NOBODY, -1)
    with pytest.raises(StateUnusable, match=r"belongs to nobody, and this process is root's; run it as nobody, or.*-R root"):
        StateFolder(state.path)
    with StateFolder(state.path, by_command=True):  # as root one may restore, or change the key
        pass
    os.chown(whose(state), 0, -1)
    StateFolder(state.path).close()


@pytest.mark.parametrize(("wide", "fit"), [(0o777, False), (0o1777, True), (0o757, False), (0o755, True)])
def test_a_parent_that_others_may_write_is_refused_unless_it_is_sticky(state: StatePaths, wide: int, fit: bool) -> None:
    state.path.parent.chmod(wide)
    if fit:
        StateFolder(state.path).close()
        return
    with pytest.raises(StateUnusable, match=rf"may put another folder in its place \(mode {wide:04o}\); chmod go-w"):
        StateFolder(state.path)


def test_a_parent_that_a_group_may_write_is_refused_unless_the_group_is_its_owner_s_alone(state: StatePaths) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another group")
    state.path.parent.chmod(0o775)
    StateFolder(state.path).close()  # root's own group, which has no other member
    os.chown(state.path.parent, -1, NOBODY)
    with pytest.raises(StateUnusable, match=r"mode 0775\); chmod go-w"):
        StateFolder(state.path)
