"""Install, update, go back, take out. Each looks first and refuses in words; what it then does is in an order in which a kill at
any moment leaves an Orthanc that starts, and running the same command again finishes."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from installer import edit, jsonc, record, state
from installer import site as sites
from installer.bundle import Bundle, not_written, unpack, unpacked_bytes
from installer.door import door
from installer.host import Host, ask
from installer.record import Record
from installer.refused import Cause, Refused

MEBIBYTE = 1 << 20
SPARE_BYTES = 200 * MEBIBYTE
_IMPORTS = """
import sys
sys.dont_write_bytecode = True
sys.path[:0] = {paths!r}
import importlib
found = {{}}
for name in {names!r}:
    module = importlib.import_module(name)
    place = getattr(module, '__file__', '') or ''
    if not place.startswith({release!r}):
        raise ImportError(name + ' comes from ' + place)
    found[name] = getattr(module, '__version__', '')
import onnxruntime
found['providers'] = onnxruntime.get_available_providers()
say(found)
"""
_SETTINGS = """
import sys
sys.dont_write_bytecode = True
sys.path[:0] = {paths!r}
from pathlib import Path
from vigil.domain.errors import VigilError
from vigil.settings import load
from vigil.settings.configuration_files import read_configuration
try:
    load(read_configuration(Path({configuration!r})))
except VigilError as error:
    say({{'refused': error.message}})
say({{}})
"""
IMPORTED = (
    "numpy",
    "pydicom",
    "onnxruntime",
    "highdicom",
    "SimpleITK",
    "imagecodecs",
    "hl7apy",
    "pynetdicom",
    "sqlalchemy",
    "dbos",
    "cryptography",
    "PIL",
    "vigil.host.entry",
    "vigil.pipeline.house",
    "vigil.cli.main",
)
"""What a release must be able to import inside this very Orthanc before anything of the site is touched."""


@dataclass(frozen=True)
class Plan:
    """What an installation would do; nothing of it is done yet. ``lines``: for the person who decides."""

    host: Host
    record: Record
    edits: tuple[edit.Edit, ...]
    scripts: dict[Path, str]
    wheels: tuple[Path, ...]
    lines: tuple[str, ...]
    is_update: bool


@dataclass(frozen=True)
class Places:
    prefix: Path
    state: Path
    configuration: Path

    @property
    def releases(self) -> Path:
        return self.prefix / "releases"

    @property
    def current(self) -> Path:
        return self.prefix / "current"

    @property
    def door(self) -> Path:
        folder = self.configuration if self.configuration.is_dir() else self.configuration.parent
        return folder / "vigil_door.py"


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
        try:
            yield
        finally:
            if record.read(prefix) is None:
                _leave_nothing(prefix)


def plan(bundle: Bundle, host: Host, places: Places, signer: str) -> Plan:
    """Looks at everything, changes nothing. Raises :class:`Refused`."""
    known = record.read(places.prefix)
    site = sites.read(places.configuration)
    sites.insist_plugin_is_loaded(site, host)
    sites.insist_ports_are_orthancs(site)
    allow = host.knows_threads and "Python" not in site.values
    threads = site.allows_threads or allow
    script = site.script
    if script == places.door:
        script = None if known is None or known.site_script is None else Path(known.site_script)
    else:
        sites.insist_script_is_safe(site, host, threads)
    if script is not None and "vigil_plugin" in script.name:
        raise Refused(Cause.CHANGED_SINCE, f'{script} is Vigil already, put in by hand. Take it out of "PythonScript" first.')
    wheels = bundle.wheels(host.python)
    _insist_room(places, unpacked_bytes(wheels, bundle.folder))
    text = door(script, places.current, threads).encode()
    edits = (edit.Edit(places.door, None, text), *edit.planned(site, places.door, _settings(bundle, places.state), allow))
    scripts = {site.defined["PythonScript"]: _script_text(site)} if script is not None and known is None else {}
    version = bundle.version
    new = Record(
        version=version,
        previous=None if known is None else known.version,
        configuration=str(places.configuration),
        state=str(places.state),
        user=host.user,
        site_script=None if script is None else str(script),
        edited=() if known is None else known.edited,
    )
    if known is not None and known.version == version:
        new = replace(new, previous=known.previous)
    lines = _told(bundle, host, places, signer, new, known, edits, script)
    return Plan(host, new, edits, scripts, tuple(wheels), lines, known is not None)


def carry_out(plan_: Plan, bundle: Bundle, places: Places, say: Callable[[str], None]) -> None:
    """What was planned. The site's configuration is last."""
    version, known = plan_.record.version, record.read(places.prefix)
    release = places.releases / version
    say(f"Unpacking {version} into {release}")
    unpack(bundle, list(plan_.wheels), release, plan_.host.python, (plan_.host.binary, plan_.host.plugin_file))
    say("Trying the libraries inside this Orthanc")
    try:
        try_release(plan_.host, release)
        if known is not None:
            insist_settings_fit(plan_.host, release, places.configuration)
    except Refused:
        if known is None or version not in (known.version, known.previous):
            shutil.rmtree(release, ignore_errors=True)
        raise
    state.prepare(places.state, plan_.host.uid, plan_.host.gid)
    if known is not None and known.version != version:
        kept = state.back_up(places.state, known.version)
        if kept is not None:
            say(f"Kept a copy of the ledger as {known.version} left it: {kept}")
    record.keep(places.prefix, plan_.record.with_edits(plan_.edits, plan_.scripts))
    point(places.current, release)
    for item in plan_.edits:
        like = item.file if item.before is not None else None
        edit.write(item.file, item.after, like=like, mode=0o640, uid=0, gid=plan_.host.gid)
        say(f"{'Wrote' if item.before is None else 'Changed'} {item.file}")
    for old in places.releases.iterdir() if places.releases.is_dir() else ():
        if old.name not in (version, plan_.record.previous) and not _is_loaded(old):
            shutil.rmtree(old, ignore_errors=True)


def roll_back(places: Places, host: Host, say: Callable[[str], None]) -> Record:
    known = _installed(places)
    if known.previous is None or not (places.releases / known.previous).is_dir():
        raise Refused(Cause.NOT_INSTALLED, f"There is no version before {known.version} in {places.releases} to go back to.")
    release = places.releases / known.previous
    try_release(host, release)
    insist_settings_fit(host, release, places.configuration)
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
    settings = Path(known.state) / "settings-kept"
    for file, content in restored:
        if content is None:
            if file == places.door:
                file.unlink(missing_ok=True)
            elif file.exists():
                edit.write(settings.with_suffix(".json"), file.read_bytes(), like=None, mode=0o600)
                file.unlink()
                say(f"Removed {file}; a copy is {settings.with_suffix('.json')}")
        elif not file.exists() or file.read_bytes() != content:
            edit.write(file, content, like=file)
            say(f"Restored {file}")
    (places.prefix / record.FILE).unlink()
    return known


def try_release(host: Host, release: Path) -> None:
    """Imports all of it inside this Orthanc, as the user that Orthanc runs as."""
    script = _IMPORTS.format(
        paths=[str(release / "venv" / "lib" / f"python{host.python}" / "site-packages"), str(release / "plugin")],
        names=IMPORTED,
        release=str(release),
    )
    said, log = ask(host.binary, host.plugin_file, script, user=host.user)
    problem = log.splitlines()[-1] if said is None and log.strip() else None if said is None else said.get("error")
    if said is None or problem is not None:
        raise Refused(
            Cause.LIBRARY_MISSING,
            f"{release.name} cannot run inside this Orthanc: {problem}. If a file lib….so is missing, install the "
            "Debian package that holds it; else take a whole bundle.",
        )


def insist_settings_fit(host: Host, release: Path, configuration: Path) -> None:
    """A version that would not start with the site's settings says so before it is the one in use."""
    script = _SETTINGS.format(
        paths=[str(release / "venv" / "lib" / f"python{host.python}" / "site-packages"), str(release / "plugin")],
        configuration=str(configuration),
    )
    said, _ = ask(host.binary, host.plugin_file, script, user=host.user)
    if said is not None and "refused" in said:
        raise Refused(
            Cause.SETTINGS_REFUSED,
            f"Vigil {release.name} would not start with the settings in {configuration}: {said['refused']}. Mend them first.",
        )


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


def _script_text(site: sites.Site) -> str:
    file = site.defined["PythonScript"]
    place = jsonc.entry(site.texts[file], "PythonScript")
    assert place is not None
    return site.texts[file][place.begin : place.end]


def _settings(bundle: Bundle, state_folder: Path) -> str:
    """The section "Vigil" of the reference configuration, comments and all: every model off, no destination."""
    kept = state_folder / "settings-kept.json"
    source = kept if kept.exists() else bundle.folder / "orthanc.json"
    text = source.read_text("utf-8")
    place = jsonc.entry(text, "Vigil")
    if place is None:
        raise Refused(Cause.BUNDLE_BROKEN, f'{source} has no section "Vigil".')
    return jsonc.with_value(text[place.begin : place.end], "StateDirectory", json.dumps(str(state_folder)))


def _insist_room(places: Places, wanted: int) -> None:
    folder = places.prefix
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK) or os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise Refused(
            Cause.NOT_WRITABLE, f"{folder} cannot be written. Run this as root, or install elsewhere: --prefix FOLDER."
        )
    free = shutil.disk_usage(folder).free
    if free < wanted + SPARE_BYTES:
        raise Refused(
            Cause.DISK_FULL,
            f"{folder} has {free // MEBIBYTE} MiB left, and the installation takes {(wanted + SPARE_BYTES) // MEBIBYTE} MiB. "
            "Make room, or install elsewhere: --prefix FOLDER.",
        )


def _told(
    bundle: Bundle,
    host: Host,
    places: Places,
    signer: str,
    new: Record,
    known: Record | None,
    edits: tuple[edit.Edit, ...],
    script: Path | None,
) -> tuple[str, ...]:
    lines = [
        f"Found     Orthanc {host.orthanc}, Python plugin {host.plugin} with Python {host.python}, run by the user {host.user}",
        f"Bundle    Vigil {bundle.version}; {signer}",
        f"Runs on   {processor()}",
        f"Release   {places.releases / new.version}"
        + (f' (now {known.version}; it stays for "rollback")' if known and known.version != new.version else ""),
        f"State     {new.state}, for {host.user} alone" + ("; what is there is kept" if Path(new.state).exists() else ""),
    ]
    lines += [
        f"{'New file' if item.before is None else 'Change'}  {item.file}: {_what(item, places)}"
        for item in edits
        if item.file != places.door or known is None
    ]
    if script is not None:
        lines.append(f"Kept      {script} goes on running: the door runs it first, and Vigil then")
    if len(edits) == 1:
        lines.append("Site      its configuration stays as it is")
    lines.append("Restart   Orthanc has to be restarted once; nothing is restarted by itself")
    return tuple(lines)


def _what(item: edit.Edit, places: Places) -> str:
    if item.file == places.door:
        return "the door, which runs the site's script and Vigil"
    return 'the section "Vigil", every model off' if item.before is None else '"PythonScript" names the door'


def processor() -> str:
    if Path("/proc/driver/nvidia/version").exists():
        return "CPU: this bundle holds ONNX Runtime for the CPU, though an NVIDIA driver is here"
    return "CPU: no NVIDIA driver is here"
