"""The ``vigil`` command, as a person runs it beside Orthanc: a process of its own with the bundle's libraries."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from hospital.orthanc import REPOSITORY, RUNTIME


def vigil(*arguments: str, python: Path = RUNTIME / "bin" / "python") -> subprocess.CompletedProcess[str]:
    """What it said. It never ends in a traceback."""
    done = subprocess.run(
        [str(python), "-m", "vigil", *arguments], check=False, capture_output=True, text=True, timeout=120,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "plugin"), "LANG": "C.UTF-8"})
    assert "Traceback" not in done.stdout + done.stderr
    return done
