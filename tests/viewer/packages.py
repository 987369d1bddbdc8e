"""Fetches the viewer and the hand that drives a browser: OHIF's own built application, and Playwright's client.

    build/venv-dev/bin/python tests/viewer/packages.py

The npm client downloads them into ``build/viewer``; nothing is compiled and no script of theirs is run. The second time
it only looks. Both are used in the tests alone.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build" / "viewer"


class PackageUnavailable(Exception):
    """A package was not fetched, or is not the one that was pinned."""


@dataclass(frozen=True)
class Package:
    """A package of npm. ``integrity``: SHA-512 of its archive, base64, as npm's own lock files state it."""

    name: str
    version: str
    integrity: str

    @property
    def folder(self) -> Path:
        return FOLDER / f"{self.name.replace('@', '').replace('/', '-')}-{self.version}"

    @property
    def is_here(self) -> bool:
        return self.folder.is_dir()


VIEWER = Package(
    "@ohif/app", "3.12.10", "0kuF66Mq9c9dMD++bUsTjMrJpXJwaZhz9B4uS244DawAjSkTwIYFU93pxPuRUQixaRi7QAHlF3Fe1qudBlZrmA=="
)
DRIVER = Package(
    "playwright-core", "1.57.0", "agTcKlMw/mjBWOnD6kFZttAAGHgi/Nw0CZ2o6JqWSbMlI219lAFLZZCyqByTsvVAJq5XA5H8cA6PrvBRpBWEuQ=="
)


def fetch(package: Package) -> None:
    """Makes ``package.folder``, whole or not at all.

    Raises:
        PackageUnavailable: npm is missing or failed, or the archive is another one.
    """
    if package.is_here:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise PackageUnavailable("npm was not found. Install Node.js 20 or later with npm.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as made:
        folder = Path(made)
        packed = subprocess.run(
            [npm, "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        archives = list(folder.glob("*.tgz"))
        if packed.returncode != 0 or len(archives) != 1:
            raise PackageUnavailable(f"npm could not fetch {package.name} {package.version}: {packed.stderr.strip()}")
        integrity = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
        if integrity != package.integrity:
            raise PackageUnavailable(f"{package.name} {package.version} is not the archive that was pinned: {integrity}")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(folder)  # its content is the one that was pinned
        (folder / "package").rename(package.folder)


def main() -> None:
    for package in (VIEWER, DRIVER):
        try:
            fetch(package)
        except PackageUnavailable as error:
            sys.exit(str(error))
        print(f"{package.name} {package.version}: {package.folder}")


if __name__ == "__main__":
    main()
