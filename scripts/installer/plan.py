"""What an installation would do, found out without changing anything, and told to whoever decides."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from installer import edit, jsonc, record
from installer import site as sites
from installer.bundle import Bundle, unpacked_bytes
from installer.door import door
from installer.host import Host
from installer.record import Record
from installer.refused import Cause, Refused

MEBIBYTE = 1 << 20
SPARE_BYTES = 200 * MEBIBYTE
KEPT_SETTINGS = "settings-kept.json"
"""In the state directory: the section "Vigil" of a site that took Vigil out, for when it comes back."""


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


def make_plan(bundle: Bundle, host: Host, places: Places, signer: str) -> Plan:
    """Looks at everything, changes nothing. Raises :class:`Refused`."""
    known = record.read(places.prefix)
    site = sites.read(places.configuration)
    sites.insist_plugin_is_loaded(site, host)
    sites.insist_ports_are_orthancs(site)
    allow = host.knows_threads and "Python" not in site.values
    threads = host.knows_threads and (site.allows_threads or allow)  # an older plugin ignores the key
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


def _script_text(site: sites.Site) -> str:
    file = site.defined["PythonScript"]
    place = jsonc.entry(site.texts[file], "PythonScript")
    assert place is not None
    return site.texts[file][place.begin : place.end]


def _settings(bundle: Bundle, state_folder: Path) -> str:
    """The section "Vigil" of the reference configuration, comments and all: every model off, no destination."""
    kept = state_folder / KEPT_SETTINGS
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
