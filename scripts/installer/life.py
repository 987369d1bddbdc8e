"""Install, update, go back, take out: what was planned is done, in an order in which a kill at any moment leaves an Orthanc that
starts, and running the same command again finishes."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from installer import edit, jsonc, record, state
from installer import site as sites
from installer.bundle import Bundle, not_written, put_in_place, unpack
from installer.host import Host
from installer.plan import KEPT_SETTINGS, Places, Plan
from installer.record import Record
from installer.refused import Cause, Refused
from installer.trial import insist_settings_fit, try_release


@contextmanager
def alone(prefix: Path) -> Iterator[None]:
    """One installer at a time."""
    try:
        prefix.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = (prefix / ".lock").open("w")
    except OSError as error:
        raise not_written(error, prefix) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(Cause.ANOTHER_RUNS, f"Another installer works in {prefix}. Wait until it ends.") from None
        was_there = (prefix / "releases").exists()
        try:
            yield
        finally:
            if not was_there and record.read(prefix) is None:
                _leave_nothing(prefix)


def carry_out(plan: Plan, bundle: Bundle, places: Places, say: Callable[[str], None]) -> None:
    """What was planned. The site's configuration is last."""
    version, known, host = plan.record.version, record.read(places.prefix), plan.host
    release = places.releases / version
    say(f"Unpacking {version} into {release}")
    unfinished = unpack(bundle, list(plan.wheels), release, host.python, (host.binary, host.plugin_file))
    say("Trying the libraries inside this Orthanc")
    try:
        try_release(host, unfinished, version)
        if known is not None:
            insist_settings_fit(host, unfinished, version, places.configuration)
    except Refused:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    state.prepare(places.state, host.uid, host.gid)
    if known is not None and known.version != version:
        kept = state.back_up(places.state, known.version)
        if kept is not None:
            say(f"Kept a copy of the ledger as {known.version} left it: {kept}")
    put_in_place(unfinished, release)
    record.keep(places.prefix, plan.record.with_edits(plan.edits, plan.scripts))
    point(places.current, release)
    for item in plan.edits:
        like = item.file if item.before is not None else None
        edit.write(item.file, item.after, like=like, mode=0o640, uid=0, gid=host.gid)
        say(f"{'Wrote' if item.before is None else 'Changed'} {item.file}")
    for old in places.releases.iterdir():
        if old.name not in (version, plan.record.previous) and not _is_loaded(old):
            shutil.rmtree(old, ignore_errors=True)


def roll_back(places: Places, host: Host, say: Callable[[str], None]) -> Record:
    known = _installed(places)
    if known.previous is None or not (places.releases / known.previous).is_dir():
        raise Refused(Cause.NOT_INSTALLED, f"There is no version before {known.version} in {places.releases} to go back to.")
    release = places.releases / known.previous
    try_release(host, release, known.previous)
    insist_settings_fit(host, release, known.previous, places.configuration)
    if state.take_back(Path(known.state), known.previous):
        say(
            f"The ledger has the tables of {known.previous} again, with all that happened since; the newer one lies in "
            f"{known.state}/after-update"
        )
    back = replace(known, version=known.previous, previous=known.version)
    record.keep(places.prefix, back)
    point(places.current, release)
    return back


def take_out(places: Places, say: Callable[[str], None]) -> Record:
    """The site's configuration as it was, then everything of the prefix. The state stays."""
    known = _installed(places)
    restored: list[tuple[Path, bytes | None]] = []
    for item in known.edited:
        file = Path(item.file)
        restored.append((file, _before(file, item)))
    restored.sort(key=lambda one: one[1] is None)  # the door is last: an Orthanc whose script is gone does not start
    _keep_settings(places.configuration, Path(known.state), say)
    for file, content in restored:
        if content is None:
            file.unlink(missing_ok=True)
            say(f"Removed {file}")
        elif not file.exists() or file.read_bytes() != content:
            edit.write(file, content, like=file)
            say(f"Restored {file}")
    (places.prefix / record.FILE).unlink()
    _leave_nothing(places.prefix)
    return known


def _keep_settings(configuration: Path, folder: Path, say: Callable[[str], None]) -> None:
    """The section "Vigil" as the site has written it by now, wherever it stands."""
    site = sites.read(configuration)
    if "Vigil" not in site.values or not folder.is_dir():
        return
    text = site.texts[site.defined["Vigil"]]
    place = jsonc.entry(text, "Vigil")
    assert place is not None
    kept = folder / KEPT_SETTINGS
    edit.write(kept, f'{{ "Vigil" : {text[place.begin : place.end]} }}\n'.encode(), like=None, mode=0o600)
    say(f"Kept a copy of the settings: {kept}")


def point(link: Path, target: Path) -> None:
    """At no moment is the link gone."""
    unfinished = link.with_name(f".{link.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target)
    unfinished.replace(link)


def _is_loaded(release: Path) -> bool:
    """Whether a process runs from it: an Orthanc that was not restarted since the update before."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{release}/" in (process / "maps").read_text():
                return True
    return False


def _leave_nothing(prefix: Path) -> None:
    """Of an installation that did not come about, or of one that was taken out."""
    shutil.rmtree(prefix / "releases", ignore_errors=True)
    for path in (prefix / "current", prefix / ".lock"):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # the site keeps something of its own there
        prefix.rmdir()


def _installed(places: Places) -> Record:
    known = record.read(places.prefix)
    if known is None:
        raise Refused(
            Cause.NOT_INSTALLED, f"Vigil is not installed in {places.prefix}. If it lies elsewhere, name it: --prefix FOLDER."
        )
    return known


def _before(file: Path, item: record.Edited) -> bytes | None:
    """The file as it was before us; where the site has changed it since, as it would be without us."""
    if item.before is None:
        return None
    original = base64.b64decode(item.before)
    if not file.exists():
        return original
    now = file.read_bytes()
    if hashlib.sha256(now).hexdigest() == item.after_sha256 or now == original:
        return original
    try:
        return edit.undone(now.decode("utf-8"), item.script_before).encode()
    except (Refused, jsonc.NotJson, KeyError, UnicodeDecodeError) as error:
        told = error.message if isinstance(error, Refused) else f'"PythonScript" is no longer there ({error})'
        raise Refused(
            Cause.CHANGED_SINCE, f"{file} was changed since the installation, and {told}. Nothing was taken out."
        ) from None
