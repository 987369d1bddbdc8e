"""The state directory is its owner's alone: what is wider is narrowed, and where another user could reach in, it is refused."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vigil.records.errors import StateUnusable

OTHERS = stat.S_IRWXG | stat.S_IRWXO
WRITTEN_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Unfit:
    """What is wrong with a place for the state, and what to do."""

    what: str
    remedy: str


def unfit_place(path: Path) -> Unfit | None:
    """Whether somebody else could put another folder in the place of ``path``, which is there. Raises OSError."""
    if path.is_symlink():
        return Unfit(f"is a symbolic link to {path.readlink()}", "name the folder itself as Vigil.StateDirectory")
    above = path.parent.stat()
    if above.st_mode & WRITTEN_BY_OTHERS and not above.st_mode & stat.S_ISVTX and not _own_group_alone(above):
        return Unfit(f"lies in {path.parent}, where other users may put another folder in its place (mode "
                     f"{stat.S_IMODE(above.st_mode):04o})", f"chmod go-w {path.parent}, or name a folder elsewhere as "
                     "Vigil.StateDirectory")
    return None


def keep_private(path: Path, key: Path, *, root_may: bool = False) -> list[str]:
    """Narrows the state directory to 0700, its folders too, and its files to 0600; returns what was wider. ``root_may``: root may
    act in the place of its user. Raises OSError, and :class:`StateUnusable` where it, or the sealing key, is a link or another
    user's, or its place is unfit."""
    if (unfit := unfit_place(path)) is not None:
        raise StateUnusable(f"the state directory {path} {unfit.what}; {unfit.remedy}")
    for owned in (path, key):
        _insist_own(owned, root_may)
    owner = path.stat().st_uid
    return [str(item) for item in (path, *_below(path)) if _narrowed(item, owner)]


def make_private_file(file: Path) -> None:
    """An empty file of mode 0600 where there is none: SQLite takes the mode of a new file from nothing but the umask. Where it
    cannot be made, whoever opens it says so.

    One that is there is never opened: to close a descriptor of a database lets go of every lock that SQLite holds on it in this
    process (https://www.sqlite.org/howtocorrupt.html, 2.2), and the next command that ends would take its log away.
    """
    with suppress(OSError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _insist_own(path: Path, root_may: bool) -> None:
    if not os.path.lexists(path):
        return
    if path.is_symlink():
        raise StateUnusable(f"{path} is a symbolic link to {path.readlink()}; put the file itself there")
    owner, we = path.stat().st_uid, os.geteuid()
    if owner != we and not (root_may and we == 0):
        raise StateUnusable(
            f"{path} belongs to {_name(owner)}, and this process is {_name(we)}'s; run it as {_name(owner)}, or, if that is not "
            f"the user of Orthanc, give it to whoever is: chown -R {_name(we)} {path}")


def _below(path: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(path):
        yield from (Path(folder, name) for name in (*folders, *files))


def _narrowed(path: Path, owner: int) -> bool:
    try:
        known = path.lstat()
        if stat.S_ISLNK(known.st_mode) or known.st_uid != owner or not known.st_mode & OTHERS:
            return False
        path.chmod(0o700 if stat.S_ISDIR(known.st_mode) else 0o600)
    except FileNotFoundError:
        return False  # such as the write-ahead log of a command beside us
    return True


def _own_group_alone(folder: os.stat_result) -> bool:
    """Whether its group is the private one of its owner, with no other member: no other user."""
    try:
        owner, group = pwd.getpwuid(folder.st_uid), grp.getgrgid(folder.st_gid)
    except KeyError:
        return False
    return not folder.st_mode & stat.S_IWOTH and group.gr_name == owner.pw_name and not group.gr_mem


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
