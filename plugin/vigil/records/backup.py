"""A copy of the state directory in one file: made beside a running Orthanc, and read back before it is called a copy.

A tar archive of the ledger (SQLite's own online copy), the sealing key, and a list of both with their SHA-256. The workflow
store is left out: what is owed stands in the ledger, and is promised again from there. **Whoever has the file can open what the
ledger seals.**
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import file_digest
from pathlib import Path

import vigil
from vigil.domain.clock import Clock
from vigil.records.errors import BackupInvalid, LedgerUnavailable, SealBroken
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StatePaths

FORMAT = 1
CONTENTS = "backup.json"
LARGEST_CONTENTS = 1 << 16


@dataclass(frozen=True)
class BackupContents:
    """What the archive says of itself. ``files``: SHA-256 by name."""

    format: int
    made_at: str
    version: str
    files: dict[str, str]

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.made_at)


def make_backup(paths: StatePaths, file: Path, clock: Clock) -> BackupContents:
    """Copies the state into ``file``, which must not be there, and reads it back. Raises: BackupInvalid, LedgerUnavailable."""
    if not paths.ledger.exists() or not paths.key.exists():
        raise BackupInvalid(f"there is no ledger in {paths.path}; has Orthanc been started with Vigil yet?")
    if file.exists():
        raise BackupInvalid(f"{file} is there already; name another file")
    with _named(file), _folder_beside(file) as folder:
        made_at = clock.now()  # before the copy: what comes while it is made may be in it, what came before is
        shutil.copyfile(paths.key, folder / paths.key.name)
        with closing(sqlite3.connect(f"file:{paths.ledger}?mode=rw", uri=True)) as source, closing(
                sqlite3.connect(folder / paths.ledger.name)) as copy:
            source.backup(copy)
        contents = BackupContents(FORMAT, made_at.isoformat(), vigil.__version__, {
            path.name: _sha256(path) for path in (folder / paths.ledger.name, folder / paths.key.name)})
        (folder / CONTENTS).write_text(json.dumps(asdict(contents), indent=1), "utf-8")
        draft = folder / "backup.tar"
        with tarfile.open(draft, "x", format=tarfile.PAX_FORMAT) as archive:
            for name in (CONTENTS, *contents.files):
                archive.add(folder / name, name)
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        with _folder_beside(file) as again:
            read_backup(draft, again, clock)
        try:
            os.link(draft, file)
        except FileExistsError:
            raise BackupInvalid(f"{file} is there already; name another file") from None
    return contents


def read_backup(file: Path, folder: Path, clock: Clock) -> BackupContents:
    """Brings the archive's files into an empty folder, as the files of a state directory, and opens them once. An older ledger is
    brought to this version's schema.

    Raises: BackupInvalid where it is no backup, not whole, or does not fit this Vigil.
    """
    with _named(file):
        try:
            with tarfile.open(file, "r:") as archive:
                contents = _contents(archive, file)
                for name, sha256 in contents.files.items():
                    _extract(archive, name, folder)
                    if _sha256(folder / name) != sha256:
                        raise BackupInvalid(f"{file} is damaged: {name} is not what was copied; take another copy")
        except tarfile.TarError as error:
            raise BackupInvalid(f"{file} is no backup of Vigil, or it is cut off; take another copy") from error
    paths = StatePaths(folder)
    try:
        Ledger.open(paths.ledger_url, Sealer.open(paths.key), clock).close()
    except (LedgerUnavailable, SealBroken) as error:
        raise BackupInvalid(f"the copy in {file} cannot be used: {error.message}") from error
    return contents


def _contents(archive: tarfile.TarFile, file: Path) -> BackupContents:
    first = archive.next()
    if first is None or first.name != CONTENTS or not first.isreg() or first.size > LARGEST_CONTENTS:
        raise BackupInvalid(f"{file} is no backup of Vigil; \"vigil backup\" makes one")
    member = archive.extractfile(first)
    assert member is not None  # noqa: S101 - it is a regular file
    try:
        told = json.loads(member.read())
        contents = BackupContents(int(told["format"]), str(told["made_at"]), str(told["version"]), dict(told["files"]))
        known = contents.moment.tzinfo is not None
    except (ValueError, LookupError, TypeError) as error:
        raise BackupInvalid(f"{file} is no backup of Vigil; \"vigil backup\" makes one") from error
    paths = StatePaths(Path())
    if contents.format != FORMAT or not known or set(contents.files) != {paths.ledger.name, paths.key.name}:
        raise BackupInvalid(f"{file} was made by Vigil {contents.version}, in a form that this one ({vigil.__version__}) does "
                            "not know; restore it with that version")
    return contents


def _extract(archive: tarfile.TarFile, name: str, folder: Path) -> None:
    """A plain file of that very name, and nothing that the archive might call otherwise."""
    try:
        found = archive.getmember(name)
    except KeyError:
        raise BackupInvalid(f"{archive.name!s} lacks {name}; take another copy") from None
    source = archive.extractfile(found) if found.isreg() else None
    if source is None:
        raise BackupInvalid(f"{archive.name!s}: {name} is no file; take another copy")
    with source, os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())


@contextmanager
def _folder_beside(file: Path) -> Iterator[Path]:
    """For its owner alone, on the same disk, gone when it is done with."""
    folder = file.parent / f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}"
    before = os.umask(0o077)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        os.umask(before)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _named(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"the ledger cannot be copied: {error}") from error
    except OSError as error:
        raise BackupInvalid(f"{file} cannot be used: {error.strerror or type(error).__name__}; see to its folder, and to the "
                            "free space on its disk") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
