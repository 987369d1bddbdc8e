"""Puts a backup in the place of a state directory, whole or not at all.

Everything is made ready in a folder beside; one rename decides. After it the exchange is only carried out, by this process or by
the next that holds the state directory: a kill leaves the state that was, or the one that was put back. What was there before is
kept in ``before-restore``, and nothing there is ever overwritten.

Nothing old alarms (law 6): the copy does not know what was told after it was made. So the moment of the restore is written down
in it, and the alerts that wait in it are held; what arrived before that moment and is analysed again is held likewise.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vigil.domain.clock import Clock
from vigil.records.audit import Audit
from vigil.records.backup import BackupContents, read_backup
from vigil.records.database import Database
from vigil.records.entries import RESTORE, RESULT, WAITING, WITHDRAWAL, DeliveryRecord
from vigil.records.errors import BackupInvalid, StateUnusable
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StateFolder, StatePaths

STAGING, READY, KEPT = ".restore-staging", ".restore-ready", "before-restore"
PLAN, EMPTIED = "restore.json", "emptied"
STATE_FILES = ("ledger.sqlite", "workflows.sqlite", "sealing.key")
"""With all whose names begin so: what SQLite lays beside a database goes with it."""

TakesBack = Callable[[Ledger, DeliveryRecord], bool]
"""Whether a message replaces a positive by an answer that is none: it goes out, for it makes things safer."""


@dataclass(frozen=True)
class Restored:
    """``kept``: where the state that was there before lies; None where there was none. ``held``: how many alerts."""

    contents: BackupContents
    kept: Path | None
    held: int


def restore(state: StateFolder, file: Path, by: str, clock: Clock, takes_back: TakesBack) -> Restored:
    """``state`` is held by the caller, so no Orthanc runs on it.

    Raises: BackupInvalid, and nothing was changed; StateUnusable where the exchange is decided and could not be carried out: the
    next start goes on with it.
    """
    finish_restore(state)
    staging = state.path / STAGING
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        contents = read_backup(file, staging, clock)
        if contents.moment > clock.now():
            raise BackupInvalid(
                f"{file} says that it was made in the future ({contents.made_at}); set this machine's clock first")
        held = _hold_what_may_have_been_told(StatePaths(staging), contents, by, clock, takes_back)
        kept = f"{KEPT}/{clock.now().strftime('%Y%m%dT%H%M%S.%fZ')}" if _state_files(state.path) else None
        (staging / PLAN).write_text(json.dumps({"kept": kept}), "utf-8")
        _like_the_folder(staging)
        _sync(staging)
        staging.rename(state.path / READY)
        _sync(state.path)
    except OSError as error:
        raise BackupInvalid(f"{state.path} cannot take the copy: {error.strerror}; free space on its disk, and see that you may "
                            "write there; nothing was changed") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    finish_restore(state)
    return Restored(contents, None if kept is None else state.path / kept, held)


def finish_restore(state: StateFolder) -> bool:
    """Carries out an exchange that was decided, from wherever a kill left it. Returns whether there was one. Raises:
    StateUnusable."""
    ready = state.path / READY
    try:
        shutil.rmtree(state.path / STAGING, ignore_errors=True)
        if not ready.exists():
            return False
        if not (ready / EMPTIED).exists():
            _put_aside(state.path, json.loads((ready / PLAN).read_text("utf-8"))["kept"])
            (ready / EMPTIED).touch(mode=0o600)
            _sync(ready)
        for path in _state_files(ready):
            path.replace(state.path / path.name)
        _sync(state.path)
        shutil.rmtree(ready)
    except (OSError, ValueError, LookupError) as error:
        raise StateUnusable(f"a backup was to be put back in {state.path}, and that cannot be finished "
                            f"({getattr(error, 'strerror', None) or type(error).__name__}); let the user that runs Orthanc write "
                            "there, and start again") from error
    return True


def _hold_what_may_have_been_told(
    copy: StatePaths, contents: BackupContents, by: str, clock: Clock, takes_back: TakesBack,
) -> int:
    """In the copy, before it takes the place: no moment exists at which it could alarm. Also what is no alarm: a negative that
    waited in the copy would hide the positive that late images brought after it."""
    ledger = Ledger.open(copy.ledger_url, Sealer.open(copy.key), clock)
    try:
        now = clock.now()
        messages = [item for item in ledger.deliveries(states=[WAITING]) if item.kind == "hl7" and item.purpose == RESULT]
        waiting = {item.analysis_id for item in messages} - {
            item.analysis_id for item in messages if takes_back(ledger, item)}  # where one receiver needs it, all get it
        waiting |= {critical.analysis_id for critical, _ in ledger.climbing()}
        waiting |= {note.analysis_id for note in ledger.waiting_notifications() if note.step != WITHDRAWAL}
        held = sum(ledger.put_on_hold(analysis_id, RESTORE, now) for analysis_id in sorted(waiting))
        ledger.mark_restored(now)
        Audit(ledger).append("state-restored", "ledger", actor=by, role="person", evidence={
            "copied_at": contents.made_at, "held": held})
    finally:
        ledger.close()
    _without_log(copy)
    return held


def _without_log(copy: StatePaths) -> None:
    """All in one file again, so that one rename moves it."""
    database = Database(copy.ledger_url)
    try:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
    finally:
        database.close()


def _put_aside(folder: Path, kept: str | None) -> None:
    if kept is None:
        return
    place = folder / kept
    for each in (place.parent, place):
        each.mkdir(mode=0o700, exist_ok=True)
    for path in _state_files(folder):
        path.replace(place / path.name)
    _like_the_folder(place.parent, folder)
    _sync(place)
    _sync(folder)


def _state_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.startswith(STATE_FILES))


def _like_the_folder(place: Path, folder: Path | None = None) -> None:
    """A restore by root leaves nothing that the user who runs Orthanc cannot open."""
    owner = (folder or place.parent).stat()
    for path in (place, *place.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no such thing
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
