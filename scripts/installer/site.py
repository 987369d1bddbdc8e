"""The site's configuration of Orthanc: one file, or every *.json of a folder, as Orthanc merges them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from installer.host import Host
from installer.jsonc import NotJson, parsed
from installer.refused import Cause, Refused

_LOCKS = re.compile(r"\b(RegisterOnStoredInstanceCallback|RegisterReceivedInstanceCallback)\s*\(")
"""With these, and without AllowThreads, Orthanc waits for itself for good as soon as a thread of ours stores (measured)."""


@dataclass(frozen=True)
class Site:
    """``texts``: each file as it lies there; ``defined``: in which file a key stands."""

    path: Path
    texts: dict[Path, str]
    values: dict[str, object]
    defined: dict[str, Path]

    @property
    def is_folder(self) -> bool:
        return self.path.is_dir()

    @property
    def script(self) -> Path | None:
        """The Python script that Orthanc runs."""
        value = self.values.get("PythonScript")
        if not isinstance(value, str) or not value:
            return None
        if not Path(value).is_absolute():
            raise Refused(
                Cause.CONFIGURATION_UNREADABLE,
                f'"PythonScript" in {self.defined["PythonScript"]} is {value}, which Orthanc counts from the folder that it is '
                "started in. Write its whole path.",
            )
        return Path(value)

    @property
    def allows_threads(self) -> bool:
        python = self.values.get("Python")
        return isinstance(python, dict) and python.get("AllowThreads") is True

    def port(self, key: str, default: int) -> int:
        value = self.values.get(key)
        return value if isinstance(value, int) else default


def read(path: Path) -> Site:
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise Refused(
            Cause.CONFIGURATION_UNREADABLE,
            f"There is no configuration of Orthanc at {path}. Name its file or folder: --config PATH.",
        )
    texts: dict[Path, str] = {}
    values: dict[str, object] = {}
    defined: dict[str, Path] = {}
    for file in files:
        try:
            texts[file] = file.read_bytes().decode("utf-8-sig" if file.read_bytes().startswith(b"\xef\xbb\xbf") else "utf-8")
            content = parsed(texts[file])
        except OSError as error:
            raise Refused(
                Cause.CONFIGURATION_UNREADABLE, f"{file} cannot be read ({error.strerror}). Run this as root."
            ) from None
        except (NotJson, UnicodeDecodeError) as error:
            raise Refused(Cause.CONFIGURATION_UNREADABLE, f"{file} {error}. Mend it; Orthanc cannot read it either.") from None
        for key, value in content.items():
            if key in defined:
                raise Refused(
                    Cause.CONFIGURATION_UNREADABLE,
                    f"{key} is defined in {defined[key]} and in {file}; Orthanc does not start so. Take one of them out.",
                )
            values[key], defined[key] = value, file
    return Site(path, texts, values, defined)


def insist_plugin_is_loaded(site: Site, host: Host) -> None:
    named = site.values.get("Plugins")
    listed = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    for item in listed:
        place = site.path.parent / str(item)
        if place.resolve() in (host.plugin_file.resolve(), host.plugin_file.parent.resolve()):
            return
    raise Refused(
        Cause.PLUGIN_MISSING,
        f'The configuration ({site.path}) does not load the Python plugin: add "{host.plugin_file}" to "Plugins".',
    )


def insist_script_is_safe(site: Site, host: Host, threads_will_be_allowed: bool) -> None:
    """Law 1: a site's script that locks Orthanc up together with threads is not joined with ours."""
    script = site.script
    if script is None or threads_will_be_allowed:
        return
    try:
        found = _LOCKS.search(script.read_text("utf-8", "replace"))
    except OSError:
        return
    if found is None:
        return
    cure = (
        f'Set "Python" : {{ "AllowThreads" : true }} in {site.defined.get("Python", site.path)} first.'
        if host.knows_threads
        else f"Plugin {host.plugin} cannot be told otherwise: update it to 4.3 or later, or let the script use "
        "RegisterOnChangeCallback."
    )
    raise Refused(
        Cause.SITE_SCRIPT_UNSAFE,
        f"{script} calls orthanc.{found[1]}; beside threads that store results it would stop Orthanc for good. {cure}",
    )


def insist_ports_are_orthancs(site: Site) -> None:
    """A port that another program holds would keep Orthanc from starting again, and the installation would be blamed."""
    for key, default, enabled in (("HttpPort", 8042, "HttpServerEnabled"), ("DicomPort", 4242, "DicomServerEnabled")):
        port = site.port(key, default)
        holder = None if site.values.get(enabled) is False else listener(port)
        if holder is not None and holder != "Orthanc":
            raise Refused(
                Cause.PORT_OCCUPIED,
                f"Port {port} ({key} of {site.path}) is held by another program ({holder}), so Orthanc cannot start. "
                f"End that program, or give Orthanc another {key}.",
            )


def listener(port: int) -> str | None:
    """The name of the process that listens on a TCP port of this host; "another user's" where it cannot be seen."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for words in map(str.split, lines):
            if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{words[9]}]")
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(descriptor.readlink()) in inodes for descriptor in (process / "fd").iterdir()):
                return (process / "comm").read_text().strip()
        except OSError:
            continue
    return "another user's"
