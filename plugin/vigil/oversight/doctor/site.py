"""What the doctor looks at: the configuration as it lies there, the settings where they are valid, the Orthanc that runs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from vigil.domain.clock import Clock
from vigil.oversight.doctor.running import Running
from vigil.settings import Settings

DEFAULT_STORAGE = "/var/lib/orthanc/db"
UNIT_FOLDERS = tuple(map(Path, ("/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system", "/etc/systemd/system")))
"""Where systemd reads units, the last word last."""
LIBRARY_FOLDERS = (Path("/usr/lib"), Path("/usr/local/lib"))
TIME_ERROR = 5


@dataclass(frozen=True)
class Surroundings:
    """What is no part of the site's configuration. ``synchronised``: whether the kernel's clock follows another; None where
    it does not say."""

    clock: Clock
    bundled_models: Path
    synchronised: Callable[[], bool | None]
    unit_folders: tuple[Path, ...] = UNIT_FOLDERS
    library_folders: tuple[Path, ...] = LIBRARY_FOLDERS


@dataclass(frozen=True)
class Site:
    """``configuration``: Orthanc's, as far as it can be read. ``settings``: None where they are not valid; a check that needs
    them is then left out. ``running``: None where Orthanc does not answer."""

    place: Path
    configuration: Mapping[str, Any]
    settings: Settings | None
    running: Running | None
    now: datetime

    @property
    def folder(self) -> Path:
        return folder_of(self.place)

    @property
    def vigil(self) -> Mapping[str, Any]:
        return section(self.configuration, "Vigil")

    @property
    def state_directory(self) -> Path | None:
        """Also where the rest of the settings is not valid."""
        named = self.vigil.get("StateDirectory")
        return Path(named) if isinstance(named, str) and named.startswith("/") else None

    @property
    def storage_directory(self) -> Path:
        named = self.configuration.get("StorageDirectory")
        return Path(named) if isinstance(named, str) else Path(DEFAULT_STORAGE)


def folder_of(place: Path) -> Path:
    """What Orthanc counts the relative paths of a configuration from."""
    return place if place.is_dir() else place.parent


def section(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object of a configuration; empty where there is none, or something else stands there."""
    found = of.get(key)
    return found if isinstance(found, Mapping) else {}


def kernel_is_synchronised() -> bool | None:
    """adjtimex(2): whether a time service keeps this machine's clock."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR
