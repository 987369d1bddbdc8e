"""The wheels of the lock files, fetched with their hashes checked, and what each says of itself."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from hashlib import file_digest
from pathlib import Path, PurePosixPath

PLATFORMS = tuple(
    f"manylinux{tag}_x86_64" for tag in ("_2_28", "_2_27", "_2_26", "_2_24", "_2_17", "2014", "_2_12", "2010", "_2_5", "1")
)
"""What Debian 12's C library runs, and everything older."""
_LICENCE_NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")


class NotFetched(Exception):
    """A wheel could not be had, or is not the one that was locked."""


@dataclass(frozen=True)
class Wheel:
    """``licence``: as the package states it. ``spdx``: whether that is an expression of SPDX."""

    path: Path
    name: str
    version: str
    licence: str
    spdx: bool
    home: str
    summary: str
    sha256: str


def fetch(lock: Path, python: str, target: Path) -> None:
    """Every wheel of a lock file into ``target``. Raises :class:`NotFetched`."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--implementation",
        "cp",
        "--python-version",
        python,
        "--requirement",
        str(lock),
        "--dest",
        str(target),
    ]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise NotFetched(f"The libraries for Python {python} could not be fetched: {said[-1] if said else 'no reason given'}")


def described(paths: Iterable[Path]) -> Iterator[Wheel]:
    for path in sorted(paths):
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            metadata = next(
                name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1
            )
            fields = HeaderParser().parsestr(archive.read(metadata).decode("utf-8", "replace"))
            urls = dict(text.split(", ", 1) for text in fields.get_all("Project-URL", []) if ", " in text)
            yield Wheel(
                path,
                fields["Name"],
                fields["Version"],
                _licence(fields.get("License-Expression"), fields.get("License"), fields.get_all("Classifier", [])),
                fields.get("License-Expression") is not None,
                fields.get("Home-page") or next(iter(urls.values()), ""),
                fields.get("Summary") or "",
                file_digest(file, "sha256").hexdigest(),
            )


def licence_texts(wheel: Wheel) -> Iterator[tuple[str, bytes]]:
    """File name and content of every licence text in the wheel; the name tells nested ones apart."""
    with zipfile.ZipFile(wheel.path) as archive:
        for name in archive.namelist():
            parts = PurePosixPath(name).parts
            if (
                not name.endswith("/")
                and any(part.endswith(".dist-info") for part in parts[:1])
                and parts[-1].upper().startswith(_LICENCE_NAMES)
            ):
                yield "-".join(parts[1:]).removeprefix("licenses-"), archive.read(name)


def _licence(expression: str | None, text: str | None, classifiers: list[str]) -> str:
    if expression:
        return expression
    if text and "\n" not in text.strip() and len(text) < 80 and text.strip().upper() != "UNKNOWN":
        return text.strip()
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    return ", ".join(named) or "see licences/"
