"""What lies on this machine: the state directory and who may read it, the disks, the clock, the files of secrets."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from vigil.domain.errors import VigilError
from vigil.oversight.doctor.check import Check, error, good, warning
from vigil.oversight.doctor.service import service_user
from vigil.oversight.doctor.site import Site
from vigil.records.glance import glance
from vigil.records.private import unfit_place
from vigil.records.state import StatePaths

FULL_MIB, NEARLY_FULL_MIB = 100, 1024
SKEW = timedelta(minutes=2)
SECRET_FILES = ("SecretFile", "PasswordFile", "KeyFile")


def look_at_state(site: Site, unit_folders: tuple[Path, ...]) -> list[Check]:
    """The state directory. That it is not there before the first start is well."""
    path = site.state_directory
    if path is None:
        return []  # told with the settings
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return [_where_it_will_be(path)]
    except OSError as failure:
        return [error("state", str(path), f"cannot be used: {failure.strerror}", "make it a folder that the user of Orthanc "
                      "may write")]
    if not stat.S_ISDIR(mode):
        return [error("state", str(path), "is no folder", "name a folder of Vigil's own as Vigil.StateDirectory")]
    checks = []
    if (unfit := unfit_place(path)) is not None:
        checks.append(error("state", str(path), unfit.what, unfit.remedy))
    if stat.S_IMODE(mode) & 0o077:
        checks.append(error("state", str(path), f"is open to other users (mode {stat.S_IMODE(mode):04o}): the sealing key lies "
                            "in it",
                            f"chmod 0700 {path}"))
    if _read_only(path):
        checks.append(error("state", str(path), "cannot be written: nothing can be remembered, so nothing is analysed",
                            "mount it writable, and give it to the user of Orthanc (chown)"))
    paths = StatePaths(path)
    checks += _strangers(site, paths, unit_folders)
    if paths.key.exists() and stat.S_IMODE(paths.key.stat().st_mode) & 0o077:
        checks.append(error("state", str(paths.key), "the sealing key may be read by other users", f"chmod 0600 {paths.key}"))
    if paths.ledger.exists() and not paths.key.exists():
        checks.append(error("state", str(paths.key), "is missing beside the ledger: what is sealed in it cannot be opened",
                            "restore the sealing.key that was kept with this ledger"))
    if paths.next_key.exists() and site.running is None:
        checks.append(warning("state", str(paths.next_key), "a change of the sealing key was interrupted",
                              "start Orthanc, or run vigil key rotate again: either brings it to an end"))
    checks += _ledger(paths)
    return checks or [good("state", str(path), "there, and open to its user alone")]


def _where_it_will_be(path: Path) -> Check:
    above = next(folder for folder in path.parents if folder.exists())
    if not above.is_dir() or _read_only(above):
        return error("state", str(path), f"is not there and cannot be made in {above}",
                     "make it a folder of the user of Orthanc, mode 0700")
    return good("state", str(path), "is made at the first start")


def _read_only(folder: Path) -> bool:
    return not os.access(folder, os.W_OK | os.X_OK)


def _strangers(site: Site, paths: StatePaths, unit_folders: tuple[Path, ...]) -> Iterator[Check]:
    """Files that Orthanc's user does not own, and so cannot write: left by a command that root ran before the first start."""
    user = _process_user(paths) if site.running is not None else service_user(unit_folders)
    if user is None or user.pw_uid == 0:
        return
    for file in (paths.path, paths.ledger, paths.workflows, paths.key, paths.logs):
        if file.exists() and file.stat().st_uid != user.pw_uid:
            yield error("state", str(file), f"does not belong to {user.pw_name}, as whom Orthanc runs: it cannot be written",
                        f"chown -R {user.pw_name}: {paths.path}")
            return


def _process_user(paths: StatePaths) -> pwd.struct_passwd | None:
    """Of the process that holds the state directory."""
    try:
        return pwd.getpwuid(Path("/proc", paths.lock.read_text("ascii").strip()).stat().st_uid)
    except (OSError, KeyError, ValueError):
        return None


def _ledger(paths: StatePaths) -> Iterator[Check]:
    if not paths.ledger.exists():
        return
    try:
        seen = glance(paths.ledger)
    except VigilError as failure:
        yield error("state", str(paths.ledger), failure.message,
                    "stop Orthanc and restore the whole state directory from a backup, or move it away to begin anew")
        return
    if parked := seen.counts["deliveries"].get("parked", 0):
        yield warning("deliveries", "parked", f"{parked} were refused for good, or too late", "vigil deliveries list says why; "
                      "vigil deliveries resend sends one again")
    if seen.held_by_a_restore:
        yield warning("alerts", "restore", f"{seen.held_by_a_restore} are held since a backup was put back, told before or not: "
                      "nobody has acknowledged them or let them go", "vigil alerts list shows them, vigil deliveries list what "
                      "is no alarm; vigil alerts resend or vigil alerts acknowledge, vigil deliveries resend")


def look_at_disks(site: Site) -> list[Check]:
    checks = []
    places = {"Orthanc's storage": site.storage_directory}
    index = site.configuration.get("IndexDirectory")
    if isinstance(index, str) and Path(index) != site.storage_directory:
        places["Orthanc's index"] = Path(index)
    if site.state_directory is not None:
        places["Vigil's state"] = site.state_directory
    for name, place in places.items():
        existing = next(folder for folder in (place, *place.parents) if folder.exists())
        try:
            free = shutil.disk_usage(existing).free >> 20
        except OSError as failure:
            checks.append(error("disk", f"{name}, {place}", f"cannot be asked: {failure.strerror}", "mount it"))
            continue
        cure = "make room, or move it to a larger disk: Orthanc refuses images when it is full, and results wait"
        if free < FULL_MIB:
            checks.append(error("disk", f"{name}, {place}", f"{free} MiB are free", cure))
        elif free < NEARLY_FULL_MIB:
            checks.append(warning("disk", f"{name}, {place}", f"{free} MiB are free", cure))
        else:
            checks.append(good("disk", f"{name}, {place}", f"{free} MiB are free"))
    return checks


def look_at_clock(site: Site, synchronised: bool | None) -> list[Check]:
    """Times stand in results and alerts, and decide what is too old. Judged by what was written here before, and by the kernel;
    what other machines say of the time comes with the destinations."""
    checks = []
    state = site.state_directory
    cure = "set the clock by a time service (timedatectl set-ntp true), then restart Orthanc"
    if state is not None and StatePaths(state).ledger.exists():
        try:
            newest = glance(StatePaths(state).ledger).newest_at
        except VigilError:
            newest = None  # told with the state
        if newest is not None and newest > site.now + SKEW:
            checks.append(error("clock", "this machine", f"says {site.now:%Y-%m-%d %H:%M} UTC, and Vigil wrote its last entry at "
                                f"{newest:%Y-%m-%d %H:%M} UTC: the clock went back, or was ahead", cure))
    if synchronised is False:
        checks.append(warning("clock", "this machine", "no time service keeps it: it will drift",
                              "switch one on (timedatectl set-ntp true, or chrony), on the host where this is a container"))
    return checks or [good("clock", "this machine", f"{site.now:%Y-%m-%d %H:%M:%S} UTC")]


def look_at_secrets(site: Site) -> list[Check]:
    """Files of secrets: there, not empty, and read by their user alone. What is in them is not shown."""
    checks = []
    for key, file in files_named(site.vigil, SECRET_FILES, "Vigil"):
        try:
            mode, size = file.stat().st_mode, file.stat().st_size
        except OSError as failure:
            checks.append(error("secrets", key, f"{file} cannot be read ({failure.strerror})",
                                "put it there, readable by the user of Orthanc alone (mode 0600)"))
            continue
        if size == 0:
            checks.append(error("secrets", key, f"{file} is empty", "write the secret into it, on one line"))
        elif mode & 0o077 and not _group_alone(mode):
            checks.append(error("secrets", key, f"{file} may be read by every user (mode {stat.S_IMODE(mode):04o})",
                                f"chmod 0600 {file}"))
    return checks


def _group_alone(mode: int) -> bool:
    """0640 with a group of Orthanc's is what Debian's own packages use."""
    return mode & 0o037 == 0


def files_named(section: Mapping[str, Any], keys: tuple[str, ...], place: str) -> Iterator[tuple[str, Path]]:
    """Every file that stands under one of these keys, with its place; also where the settings are not valid."""
    for key, value in section.items():
        here = f"{place}.{key}"
        if isinstance(value, Mapping):
            yield from files_named(value, keys, here)
        elif key in keys and isinstance(value, str) and value.startswith("/"):
            yield here, Path(value)
