"""The Orthanc of this host: which, with which plugin and Python, under which user, with which configuration.

Asked of Orthanc itself: it is started for a moment, without network, storage or any configuration of the site, with a script
that says what is there. So what is said is true of the interpreter inside Orthanc, of which no program on the disk need exist.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from installer.refused import Cause, Refused

BINARIES = (Path("/usr/sbin/Orthanc"), Path("/usr/local/sbin/Orthanc"), Path("/usr/bin/Orthanc"))
PLUGIN_FOLDERS = (
    Path("/usr/share/orthanc/plugins"),
    Path("/usr/local/share/orthanc/plugins"),
    Path("/usr/share/orthanc/plugins-available"),
)
PLUGIN = "libOrthancPython.so"
UNIT_FOLDERS = tuple(map(Path, ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")))
"""The first that has the unit counts; drop-ins of all of them are laid over it."""
LEAST_ORTHANC, LEAST_PLUGIN = (1, 10, 1), (4, 0)
PLUGIN_WITH_THREADS = (4, 3)
"""From here on ``Python.AllowThreads`` exists."""
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_PLUGIN_SAYS = re.compile(r"Registering plugin 'python' \(version ([\w.]+)\)")
_MARK = "VIGIL-SAYS "


@dataclass(frozen=True)
class Service:
    """How the site starts its Orthanc, as far as systemd's unit tells."""

    user: str | None
    configuration: Path | None
    binary: Path | None


@dataclass(frozen=True)
class Host:
    binary: Path
    orthanc: str
    plugin_file: Path
    plugin: str
    python: str
    user: str

    @property
    def knows_threads(self) -> bool:
        return numbers(self.plugin) >= PLUGIN_WITH_THREADS

    @property
    def uid(self) -> int:
        return pwd.getpwnam(self.user).pw_uid

    @property
    def gid(self) -> int:
        return pwd.getpwnam(self.user).pw_gid

    @property
    def group(self) -> str:
        return grp.getgrgid(self.gid).gr_name


def numbers(version: str) -> tuple[int, ...]:
    """``1.12.7+dfsg`` is (1, 12, 7); ``mainline`` is newer than all."""
    found = re.findall(r"\d+", version.split("+", maxsplit=1)[0].split("~", maxsplit=1)[0])
    return tuple(map(int, found)) if found else (9999,)


def service(folders: Sequence[Path] = UNIT_FOLDERS) -> Service:
    """``folders``: of systemd's units, the strongest first."""
    unit = next((folder / "orthanc.service" for folder in folders if (folder / "orthanc.service").is_file()), None)
    if unit is None:
        return Service(None, None, None)
    drop_ins = {path.name: path for folder in reversed(folders) for path in sorted(folder.glob("orthanc.service.d/*.conf"))}
    value: dict[str, str] = {}
    for file in (unit, *(drop_ins[name] for name in sorted(drop_ins))):
        try:
            lines = file.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, text = line.partition("=")
            if not key.lstrip().startswith(("#", ";")):
                value[key.strip()] = text.strip()
    try:
        words = shlex.split(value.get("ExecStart", "").lstrip("-@:+!"))
    except ValueError:
        words = []
    paths = [Path(word) for word in words[1:] if word.startswith("/")]
    return Service(value.get("User") or None, paths[-1] if paths else None, Path(words[0]) if words else None)


def find(binary: Path | None, plugin: Path | None, user: str | None) -> Host:
    """Raises :class:`Refused` where there is no Orthanc that Vigil runs in."""
    unit = service()
    program = binary or unit.binary or next((path for path in BINARIES if path.exists()), None)
    if program is None or not program.exists():
        raise Refused(
            Cause.ORTHANC_NOT_FOUND,
            f"No Orthanc was found{f' at {program}' if program else ''}. Install it, or name its program: --orthanc FILE.",
        )
    orthanc = _version(program)
    if numbers(orthanc) < LEAST_ORTHANC:
        raise Refused(
            Cause.ORTHANC_TOO_OLD,
            f"Orthanc {orthanc} ({program}) is older than {_dotted(LEAST_ORTHANC)}, the oldest that Vigil "
            "runs in. Update Orthanc first.",
        )
    file = plugin or next((folder / PLUGIN for folder in PLUGIN_FOLDERS if (folder / PLUGIN).exists()), None)
    if file is None or not file.exists():
        raise Refused(
            Cause.PLUGIN_MISSING,
            f"Orthanc's Python plugin ({PLUGIN}) was not found. Install it (Debian: orthanc-python), or name "
            "it: --plugin FILE.",
        )
    said, log = ask(program, file, "import sys\nsay({'python': '%d.%d' % sys.version_info[:2]})\n")
    if said is None:
        raise Refused(Cause.PLUGIN_MISSING, f"Orthanc does not run a script with {file}. It says: {_last(log)}")
    known = _PLUGIN_SAYS.search(log)
    version = known[1] if known else "?"
    if known is None or numbers(version) < LEAST_PLUGIN:
        raise Refused(
            Cause.ORTHANC_TOO_OLD,
            f"Orthanc's Python plugin {version} ({file}) is older than {_dotted(LEAST_PLUGIN)}, the oldest "
            "that Vigil runs in. Update it first.",
        )
    python = str(said["python"])
    if python not in PYTHONS:
        raise Refused(
            Cause.PYTHON_UNSUPPORTED,
            f"The Python plugin of this Orthanc embeds Python {python}. Vigil runs in Python {PYTHONS[0]} to {PYTHONS[-1]}.",
        )
    return Host(program, orthanc, file, version, python, _user(user or unit.user))


def ask(
    program: Path, plugin: Path, script: str, *, user: str | None = None, timeout_s: float = 120
) -> tuple[dict[str, object] | None, str]:
    """Runs a script in an Orthanc that is started for it and ends with it. The script calls ``say`` with what it found.
    Returns that (None: it did not come so far) and Orthanc's log."""
    with tempfile.TemporaryDirectory(prefix="vigil-ask-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        (home / "vigil_asks.py").write_text(
            "import json, os, sys\n"
            "def say(found):\n"
            f"    os.write(1, ('\\n{_MARK}' + json.dumps(found) + '\\n').encode())\n"
            "    os._exit(0)\n"
            "try:\n" + "".join(f"    {line}\n" for line in script.splitlines()) + "except BaseException as error:\n"
            "    say({'error': type(error).__name__ + ': ' + str(error)})\n",
            "utf-8",
        )
        (home / "orthanc.json").write_text(
            json.dumps(
                {
                    "HttpServerEnabled": False,
                    "DicomServerEnabled": False,
                    "Plugins": [str(plugin)],
                    "PythonScript": str(home / "vigil_asks.py"),
                    "StorageDirectory": str(home / "db"),
                    "IndexDirectory": str(home / "db"),
                }
            ),
            "utf-8",
        )
        command = [str(program), str(home / "orthanc.json")]
        if user is not None and os.geteuid() == 0:
            command = ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--init-groups", "--", *command]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                cwd="/",
                check=False,
                env=_environment(),
            )
            output = done.stdout.decode("utf-8", "replace")
        except subprocess.TimeoutExpired as expired:
            output = (expired.stdout or b"").decode("utf-8", "replace") + f"\nno answer within {timeout_s:g} s"
        except OSError as error:
            return None, f"{program}: {error.strerror}"
    said = [line for line in output.splitlines() if line.startswith(_MARK)]
    return (json.loads(said[-1].removeprefix(_MARK)) if said else None), output


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _version(program: Path) -> str:
    try:
        done = subprocess.run(
            [str(program), "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        raise Refused(
            Cause.ORTHANC_NOT_FOUND, f"{program} says no version within a minute. Name Orthanc's program: --orthanc FILE."
        ) from None
    except OSError as error:
        raise Refused(
            Cause.ORTHANC_NOT_FOUND, f"{program} cannot be run: {error.strerror}. Name Orthanc's program: --orthanc FILE."
        ) from None
    found = re.search(r"^\S*Orthanc (?:version: )?(\S+)", done.stdout, re.MULTILINE)
    if found is None:
        raise Refused(
            Cause.ORTHANC_NOT_FOUND, f"{program} does not say that it is Orthanc. Name Orthanc's program: --orthanc FILE."
        )
    return found[1]


def _user(name: str | None) -> str:
    """The user that Orthanc runs as: of its service, else "orthanc" where there is one, else whoever installs."""
    if name is not None:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            raise Refused(
                Cause.ORTHANC_NOT_FOUND, f"Orthanc is said to run as {name!r}, and there is no such user. Name it: --user NAME."
            ) from None
    try:
        return pwd.getpwnam("orthanc").pw_name
    except KeyError:
        return pwd.getpwuid(os.geteuid()).pw_name


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def _last(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"
