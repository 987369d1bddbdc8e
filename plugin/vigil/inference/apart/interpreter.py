"""The Python that a model's process is started with: inside Orthanc ``sys.executable`` is Orthanc.

Debian's Python plugin brings the library of an interpreter (libpython3.N) and its modules, and only suggests the program. A
program of the same minor version can use the same libraries of the bundle; without one there is no such process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from vigil.inference.apart.errors import NoInterpreter

USUAL_FOLDERS = ("/usr/bin", "/usr/local/bin", "/opt/python/bin")
ANSWER_WITHIN_S = 20.0
ALONE = ("-I", "-S", "-B")
"""No environment, no user's packages, no site-packages but the bundle's, and nothing written beside the code."""
_ASK = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name, getattr(sys, 'abiflags', ''))"


def own_version() -> str:
    """"3.11"."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def find_interpreter(version: str | None = None, folders: Iterable[str] | None = None) -> Path:
    """``version``: "3.11", this interpreter's by default. ``folders``: where to look.

    Raises: NoInterpreter.
    """
    wanted = version or own_version()
    for folder in dict.fromkeys(_folders() if folders is None else folders):
        program = Path(folder) / f"python{wanted}"
        if os.access(program, os.X_OK) and _is(program, wanted):
            return program
    raise NoInterpreter(
        f'Runtime.Isolation is "process", and this machine has no program python{wanted} to start one with (Orthanc brings its '
        f'library alone); install it (Debian: apt-get install python{wanted}-minimal), or set Runtime.Isolation to "none"')


def _folders() -> Iterator[str]:
    """Where the interpreter that Orthanc was linked with was installed to, before the usual places."""
    for folder in (sysconfig.get_config_var("BINDIR"), f"{sys.base_prefix}/bin", *USUAL_FOLDERS):
        if isinstance(folder, str) and folder.startswith("/"):
            yield folder


def _is(program: Path, wanted: str) -> bool:
    """Whether it is what its name says, and not a free-threaded or a debugging one, whose libraries are others."""
    try:
        said = subprocess.run(  # noqa: S603 - one of the names above, without a shell
            [str(program), *ALONE, "-c", _ASK], stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, env={},
            timeout=ANSWER_WITHIN_S)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return False
    return said.returncode == 0 and said.stdout.split() == [wanted, "cpython"]
