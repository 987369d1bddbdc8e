"""The first configuration of a new Orthanc: the reference with one user, whose password is made here and nowhere known before."""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import vigil
from vigil.domain.errors import Category, VigilError

RELEASE = Path(vigil.__file__).resolve().parents[2]
PASSWORD_BYTES = 24
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}")
_NOBODY = '"RegisteredUsers" : { }'
_SCRIPT = re.compile(r'(?<="PythonScript" : )"[^"]*"')


class FirstNotWritten(VigilError):
    """The file was not written."""

    category = Category.SETTINGS_INVALID


@dataclass(frozen=True)
class First:
    """What was written. The password is for the person at the terminal, once."""

    file: Path
    user: str
    password: str


def write_first(file: Path, user: str, release: Path = RELEASE) -> First:
    """Writes a whole configuration for Orthanc, mode 0600; a file that is there already is never touched.

    Raises :class:`FirstNotWritten`.
    """
    if not _USER.fullmatch(user):
        raise FirstNotWritten("a user's name has 1 to 32 letters, digits, points, - and _, and begins with a letter or digit")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    source = release / "orthanc.json"
    try:
        reference = source.read_text("utf-8")
    except OSError as error:
        raise FirstNotWritten(f"{source} cannot be read ({error.strerror}); install the bundle again") from error
    if reference.count(_NOBODY) != 1 or len(_SCRIPT.findall(reference)) != 1:
        raise FirstNotWritten(f"{source} is not the one of the bundle; install the bundle again")
    text = reference.replace(_NOBODY, f'"RegisteredUsers" : {{ {json.dumps(user)} : {json.dumps(password)} }}')
    text = _SCRIPT.sub(lambda _: json.dumps(str(_script(release))), text)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise FirstNotWritten(f"{file} is there already; name a file that is not") from error
    except OSError as error:
        raise FirstNotWritten(f"{file} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise FirstNotWritten(f"{file} cannot be written: {error.strerror}") from error
    return First(file, user, password)


def _script(release: Path) -> Path:
    """Of an installed release by the link of the one in use, which an update moves."""
    current = release.parent.parent / "current"
    return (current if release.parent.name == "releases" and current.is_symlink() else release) / "plugin" / "vigil_plugin.py"
