"""The machine and the conditions of a run: what a figure is worth depends on them."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hospital.orthanc import REPOSITORY

BUSY_SHARE = 0.25
"""Load a core at the start beyond which the figures are not worth much."""
PACKAGES = ("numpy", "pydicom", "highdicom", "SimpleITK", "imagecodecs", "onnxruntime", "monai-deploy-app-sdk", "dicom-ai-router")


def conditions() -> dict[str, str]:
    """By name, for people."""
    load = os.getloadavg()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": _revision(),
        "processor": f"{cores()} cores, {_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.0f} GiB",
        "load at start": " ".join(f"{value:.2f}" for value in load),
        "system": f"{_system()}, Linux {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    }


def busy() -> str:
    """A warning where other work is on the machine; empty where it is idle."""
    load = os.getloadavg()[0]
    if load <= BUSY_SHARE * cores():
        return ""
    return f"Other work is on this machine (load {load:.1f} at the start): the figures are too high, and the ratios noisy."


def cores() -> int:
    return len(os.sched_getaffinity(0))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    return " / ".join(sorted(names)) or platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _revision() -> str:
    git = ["git", "-C", str(REPOSITORY)]
    try:
        revision = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "--", "plugin"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return revision.stdout.strip() + (" with changes" if changed.stdout.strip() else "")
