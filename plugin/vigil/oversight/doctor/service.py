"""What systemd is told of Orthanc's service: its unit and the drop-ins beside it, read where they lie."""

from __future__ import annotations

import pwd
import re
from pathlib import Path

UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "minutes": 60.0,
         "h": 3600.0}


def unit_setting(folders: tuple[Path, ...], *names: str) -> tuple[str, Path] | None:
    """The last value of any of ``names``, and the file that has this last word (systemd.unit(5))."""
    found: tuple[str, Path] | None = None
    files = [path for folder in folders
             for path in (folder / "orthanc.service", *sorted((folder / "orthanc.service.d").glob("*.conf")))]
    for file in files:
        try:
            text = file.read_text("utf-8", "replace")
        except OSError:
            continue
        for value in re.findall(rf"^\s*(?:{'|'.join(names)})\s*=[ \t]*(\S.*?)\s*$", text, re.MULTILINE):
            found = value, file
    return found


def service_user(folders: tuple[Path, ...]) -> pwd.struct_passwd | None:
    """Who runs Orthanc as a service; None where no unit says, or that user is not of this machine."""
    named = unit_setting(folders, "User")
    try:
        return None if named is None else pwd.getpwnam(named[0])
    except KeyError:
        return None


def seconds_of(text: str) -> float | None:
    """A time span of systemd.time(7). None for one that never ends, and for what is none."""
    parts = re.findall(r"([\d.]+)\s*([a-z]*)", text)
    if not parts or any(unit not in UNITS for _, unit in parts):
        return None
    return sum(float(number) * UNITS[unit] for number, unit in parts) or None  # 0: it waits for ever
