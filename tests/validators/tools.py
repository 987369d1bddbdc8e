"""Where the validators are, and how one is run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class ValidatorMissing(Exception):
    """A validator is not installed, or died: nothing was validated."""


@dataclass(frozen=True)
class Verdict:
    """What a validator said. ``errors``: its lines that are errors, as they stand."""

    returned: int
    errors: tuple[str, ...]
    output: str

    @property
    def clean(self) -> bool:
        return self.returned == 0 and not self.errors


def beside_python(name: str) -> str:
    """A program that came with a Python package of the development environment."""
    path = Path(sys.prefix) / "bin" / name
    if not path.exists():
        raise ValidatorMissing(f"{name} is not in {path.parent}. Install the development requirements.")
    return str(path)


def from_system(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ValidatorMissing(f"{name} is not installed. Install the Debian package {package}.")
    return path


def run(command: Sequence[str], error_prefix: str, timeout_s: float = 120) -> Verdict:
    """Runs a validator; ``error_prefix`` starts the lines that are errors."""
    done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    errors = tuple(line for line in output.splitlines() if line.startswith(error_prefix))
    return Verdict(done.returncode, errors, output)
