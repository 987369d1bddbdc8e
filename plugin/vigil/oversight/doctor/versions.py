"""The versions that meet here, and the known traps of each (docs/compatibility.md)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import vigil
from vigil.oversight.doctor.check import Check, error, good, warning
from vigil.oversight.doctor.site import Site

SUBJECT = "versions"
OLDEST_ORTHANC, OLDEST_PLUGIN = (1, 10, 1), (4, 0)
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
BINARIES = tuple(map(Path, ("/usr/sbin/Orthanc", "/usr/local/sbin/Orthanc", "/usr/bin/Orthanc", "/usr/local/bin/Orthanc")))
PLUGIN = "libOrthancPython.so"
PLUGIN_FOLDERS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc/plugins", "/usr/local/share/orthanc/plugins")


def look_at_versions(site: Site) -> list[Check]:
    running = site.running
    if running is not None and running.unasked is not None:
        running = None
    orthanc = running.system.get("Version") if running is not None else _installed_orthanc()
    checks = [good(SUBJECT, "Vigil", vigil.__version__), *_orthanc(orthanc)]
    if running is not None and not running.refused:
        checks += _plugin(running.plugin_version)
        if running.environment is not None and running.environment["vigil"] != vigil.__version__:
            checks.append(error(SUBJECT, "Vigil", f"Orthanc's process runs {running.environment['vigil']}, and on disk lies "
                                f"{vigil.__version__}", "restart Orthanc"))
    plugin = plugin_file(site.configuration)
    if plugin is None:
        checks.append(error(SUBJECT, "Python plugin", f"no {PLUGIN} where Orthanc looks (its Plugins): Vigil cannot run",
                            "install Orthanc's Python plugin (Debian: apt-get install orthanc-python), or correct \"Plugins\""))
    else:
        checks += _python(embedded_python(site))
    return checks


def plugin_file(configuration: Any) -> Path | None:
    """The Python plugin that Orthanc loads."""
    named = configuration.get("Plugins")
    for place in map(Path, map(str, named if isinstance(named, list) else PLUGIN_FOLDERS)):
        for file in (place / PLUGIN, place):
            if file.name == PLUGIN and file.is_file():
                return file
    return None


def embedded_python(site: Site) -> str:
    """"3.11": as Orthanc's process says, or as the plugin is linked, or (where neither is known) ours."""
    if site.running is not None and site.running.environment is not None:
        return ".".join(str(site.running.environment["python"]).split(".")[:2])
    plugin = plugin_file(site.configuration)
    linked = None
    if plugin is not None:
        try:
            linked = re.search(rb"libpython(3\.\d+)\.so", plugin.read_bytes())
        except OSError:
            linked = None
    return f"{sys.version_info.major}.{sys.version_info.minor}" if linked is None else linked[1].decode()


def _installed_orthanc() -> str | None:
    for binary in BINARIES:
        if binary.is_file():
            try:
                said = subprocess.run([str(binary), "--version"], check=False, capture_output=True, text=True,  # noqa: S603
                                      timeout=20)
            except (OSError, subprocess.SubprocessError):
                return None
            found = re.search(r"Orthanc (\d\S*)", said.stdout)  # its own path stands before it
            return None if found is None else found[1]
    return None


def _orthanc(text: str | None) -> list[Check]:
    if text is None:
        return [warning(SUBJECT, "Orthanc", "its version is not known: it does not run, and no Orthanc lies in the usual places",
                        "start Orthanc and ask again")]
    numbers = version(text)
    if numbers and numbers < OLDEST_ORTHANC:
        return [error(SUBJECT, "Orthanc", f"{text} is older than 1.10.1, the oldest that Vigil was tested with",
                      "update Orthanc")]
    if numbers[:2] == (1, 13):
        return [good(SUBJECT, "Orthanc", f"{text}. With Python 3.14 it may end its own stop with \"free(): invalid pointer\"; "
                     "nothing is "
                                         "lost by that, so judge a stop by what is in the store")]
    return [good(SUBJECT, "Orthanc", text)]


def _plugin(text: str | None) -> list[Check]:
    if text is None:
        return [error(SUBJECT, "Python plugin", "is not loaded in the running Orthanc", "name its file in \"Plugins\" and "
                      "restart Orthanc")]
    numbers = version(text)
    if numbers and numbers < OLDEST_PLUGIN:
        return [error(SUBJECT, "Python plugin", f"{text} is older than 4.0, the oldest that Vigil was tested with",
                      "update the plugin")]
    trap = "; it has no AllowThreads, so no script here may have callbacks for stored or received instances" \
        if numbers < (4, 3) else ""
    return [good(SUBJECT, "Python plugin", text + trap)]


def _python(text: str) -> list[Check]:
    if version(text)[:2] not in PYTHONS:
        return [error(SUBJECT, "Python", f"Orthanc embeds Python {text}; the bundle has libraries for 3.11 to 3.14",
                      "use a Python plugin that embeds one of these")]
    return [good(SUBJECT, "Python", f"{text}, embedded in Orthanc")]


def version(text: str) -> tuple[int, ...]:
    """"1.12.7" as numbers; () where it has none, such as "mainline"."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
