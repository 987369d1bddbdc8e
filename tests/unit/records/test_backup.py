"""A copy of the state in one file: whole beside a writer, for its owner alone, and refused where it is anything less."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vigil.domain.answer import Analysis
from vigil.records.backup import CONTENTS, make_backup, read_backup
from vigil.records.errors import BackupInvalid
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StateFolder, StatePaths

SECRET = "Doe^Jane"


@pytest.fixture
def copied(ledger: Ledger, paths: StatePaths, make_analysis: Callable[..., Analysis], clock: Any, tmp_path: Path) -> Path:
    """Of a state directory that Orthanc holds, with a ledger that is open and has not been folded into its file yet."""
    ledger.install_once(7)
    ledger.begin_analysis(make_analysis("a1"), SECRET.encode())
    folder = tmp_path / "copies"
    folder.mkdir()
    with StateFolder(paths.path):
        make_backup(paths, folder / "copy.tar", clock)
    return folder / "copy.tar"


def again(file: Path, changes: dict[str, bytes | tarfile.TarInfo | None]) -> Path:
    """The archive with other members: bytes, a member of another type, or none."""
    changed = file.with_name("changed.tar")
    with tarfile.open(file) as source, tarfile.open(changed, "w") as target:
        for member in source.getmembers():
            content = source.extractfile(member)
            assert content is not None
            value = changes.get(member.name, content.read())
            if isinstance(value, tarfile.TarInfo):
                target.addfile(value)
            elif value is not None:
                member.size = len(value)
                target.addfile(member, io.BytesIO(value))
    return changed


def opened(file: Path, folder: Path, clock: Any) -> Ledger:
    folder.mkdir()
    read_backup(file, folder, clock)
    paths = StatePaths(folder)
    return Ledger.open(paths.ledger_url, Sealer.open(paths.key), clock)


def test_the_copy_holds_what_was_written_last_and_opens_with_its_own_key(copied: Path, clock: Any, tmp_path: Path) -> None:
    ledger = opened(copied, tmp_path / "again", clock)
    assert ledger.analysis("a1") is not None
    assert ledger.reference_head("a1") == SECRET.encode()
    ledger.close()


def test_it_is_for_its_owner_alone_and_leaves_nothing_beside(copied: Path) -> None:
    assert copied.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]
    assert SECRET.encode() not in copied.read_bytes()


def test_a_file_that_is_there_stays_as_it_is(copied: Path, paths: StatePaths, clock: Any) -> None:
    before = copied.read_bytes()
    with pytest.raises(BackupInvalid, match="is there already"):
        make_backup(paths, copied, clock)
    assert copied.read_bytes() == before


def test_without_a_ledger_there_is_nothing_to_copy(tmp_path: Path, clock: Any) -> None:
    with pytest.raises(BackupInvalid, match="there is no ledger"):
        make_backup(StatePaths(tmp_path / "none"), tmp_path / "copy.tar", clock)
    assert not (tmp_path / "copy.tar").exists()


def test_a_folder_that_cannot_be_written_is_named(ledger: Ledger, paths: StatePaths, clock: Any) -> None:
    with pytest.raises(BackupInvalid, match=r"/proc/copy\.tar cannot be used"):
        make_backup(paths, Path("/proc/copy.tar"), clock)


def link(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


@pytest.mark.parametrize(("changes", "said"), [
    ({"ledger.sqlite": b"something else"}, "is damaged: ledger.sqlite"),
    ({"sealing.key": bytes(32)}, "is damaged: sealing.key"),
    ({"ledger.sqlite": None}, "lacks ledger.sqlite"),
    ({"sealing.key": link("sealing.key")}, "sealing.key is no file"),
    ({CONTENTS: b"{}"}, "is no backup of Vigil"),
    ({CONTENTS: json.dumps({"format": 1, "made_at": "2026-11-23T10:00:00+00:00", "version": "9.9.9",
                            "files": {"../../etc/cron.d/x": "0" * 64}}).encode()}, "made by Vigil 9.9.9"),
    ({CONTENTS: None}, "is no backup of Vigil"),
], ids=["other bytes", "other key", "a file lacks", "a link", "no list", "a path that leads out", "no contents"])  # fmt: skip
def test_what_is_not_whole_or_not_ours_is_refused(
    copied: Path, clock: Any, tmp_path: Path, changes: dict[str, Any], said: str,
) -> None:
    with pytest.raises(BackupInvalid, match=said):
        opened(again(copied, changes), tmp_path / "again", clock)


@pytest.mark.parametrize("size", [0, 700, 5000])
def test_what_was_cut_off_is_refused(copied: Path, clock: Any, tmp_path: Path, size: int) -> None:
    copied.write_bytes(copied.read_bytes()[:size])
    with pytest.raises(BackupInvalid, match=r"backup of Vigil|cut off|damaged|cannot be used"):
        opened(copied, tmp_path / "again", clock)


def test_a_ledger_of_a_newer_vigil_and_one_of_another_key_are_refused_in_words(
    ledger: Ledger, paths: StatePaths, clock: Any, tmp_path: Path,
) -> None:
    ledger.close()
    paths.key.write_bytes(bytes(range(32)))
    with pytest.raises(BackupInvalid, match="sealed with key"):
        make_backup(paths, tmp_path / "copy.tar", clock)
    with sqlite3.connect(paths.ledger) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(BackupInvalid, match="newer Vigil"):
        make_backup(paths, tmp_path / "copy.tar", clock)
    assert not (tmp_path / "copy.tar").exists(), "what cannot be put back is not called a copy"
