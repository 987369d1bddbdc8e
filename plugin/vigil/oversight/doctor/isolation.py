"""Whether the models can have processes of their own here, where the site wants it (Runtime.Isolation)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vigil.inference.apart.errors import NoInterpreter
from vigil.inference.apart.interpreter import find_interpreter
from vigil.oversight.doctor.check import Check, error, good, warning
from vigil.oversight.doctor.service import unit_setting
from vigil.oversight.doctor.site import Site
from vigil.oversight.doctor.versions import embedded_python
from vigil.settings import Settings

SUBJECT, WHERE = "settings", "Vigil.Runtime.Isolation"


def look_at_isolation(site: Site, settings: Settings, unit_folders: tuple[Path, ...]) -> list[Check]:
    """Nothing where it is not wanted."""
    return [] if settings.runtime.isolation == "none" else list(_look(site, unit_folders))


def _look(site: Site, unit_folders: tuple[Path, ...]) -> Iterator[Check]:
    version = embedded_python(site)
    try:
        yield good(SUBJECT, WHERE, f"each model has a process of its own, of {find_interpreter(version)}")
    except NoInterpreter:
        yield error(SUBJECT, WHERE, f"is \"process\", and no program python{version} is on this machine to start one with: Vigil "
                    "does not start", f'apt-get install python{version}-minimal, or set "Runtime"."Isolation" to "none"')
    policy = unit_setting(unit_folders, "OOMPolicy")
    managed = any((folder / "orthanc.service").is_file() for folder in unit_folders)
    if managed and (policy is None or policy[0] != "continue"):
        yield warning(SUBJECT, WHERE, "is \"process\", and systemd stops all of Orthanc when the kernel ends a model's process "
                      "for lack of memory", "set OOMPolicy=continue in a drop-in: systemctl edit orthanc")
