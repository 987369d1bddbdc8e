"""Fetches the HL7 receivers that the tests send to and the project did not write.

    build/venv-dev/bin/python tests/receivers/packages.py

The npm client fetches what ``package-lock.json`` pins by version and hash into ``build/receivers``; no script of theirs is
run at installation. The second time it only looks. They are used in the tests alone.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "build" / "receivers"
PINNED = ("package.json", "package-lock.json")


class PackagesUnavailable(Exception):
    """npm is missing or failed."""


def wanted() -> str:
    """A name for what the folder should hold."""
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in PINNED)).hexdigest()


def are_here() -> bool:
    stamp = FOLDER / ".stamp"
    return stamp.exists() and stamp.read_text(encoding="ascii") == wanted()


def fetch() -> None:
    """Makes ``FOLDER``. Raises :class:`PackagesUnavailable`."""
    if are_here():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise PackagesUnavailable("npm was not found. Install Debian's packages nodejs and npm.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in PINNED:
        shutil.copy(HERE / name, FOLDER / name)
    made = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=peer"], cwd=FOLDER, capture_output=True,
        text=True, check=False)
    if made.returncode != 0:
        raise PackagesUnavailable(f"npm could not fetch the receivers: {made.stderr.strip()}")
    (FOLDER / ".stamp").write_text(wanted(), encoding="ascii")


if __name__ == "__main__":
    try:
        fetch()
    except PackagesUnavailable as error:
        sys.exit(str(error))
    print(f"HL7 receivers: {FOLDER}")
