"""The unpacked bundle that the installer stands in: whether it is whole, for which Python, and how a release is made of it."""

from __future__ import annotations

import compileall
import errno
import hashlib
import os
import re
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from installer.refused import Cause, Refused

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
COPIED = (
    "plugin",
    "models",
    "docs",
    "installer",
    "licences",
    "requirements",
    "install",
    "orthanc.json",
    "LICENSE",
    "VERSION",
    "sbom.cdx.json",
)
_NAME = re.compile(r"[-_.]+")


@dataclass(frozen=True)
class Bundle:
    folder: Path

    @property
    def version(self) -> str:
        return (self.folder / "VERSION").read_text("utf-8").strip()

    def insist_whole(self, public_key: Path | None) -> str:
        """Every file is as it was when the bundle was made. Returns what is known about who made it."""
        sums = self.folder / SUMS
        try:
            lines = (line.split("  ", 1) for line in sums.read_text("utf-8").splitlines())
            listed = {name: wanted for wanted, name in lines}
        except (OSError, ValueError):
            raise Refused(
                Cause.BUNDLE_BROKEN,
                f"{self.folder} is no bundle of Vigil ({SUMS} is missing or broken). Unpack the archive again.",
            ) from None
        signer = self._signer(sums, public_key)
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder))
            if path.is_symlink() or (path.is_file() and name not in listed and name not in (SUMS, SIGNATURE)):
                raise Refused(
                    Cause.BUNDLE_BROKEN,
                    f"The bundle holds {name}, which was not in it when it was made. Unpack the archive into an empty folder.",
                )
        for name, wanted in listed.items():
            try:
                with (self.folder / name).open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                raise Refused(
                    Cause.BUNDLE_BROKEN, f"The bundle is not whole: {name} is missing. Unpack the archive again."
                ) from None
            if found != wanted:
                raise Refused(
                    Cause.BUNDLE_BROKEN,
                    f"The bundle is damaged: {name} is not what it was when the bundle was made. Copy the archive "
                    "again, and compare its checksum.",
                )
        return signer

    def wheels(self, python: str) -> list[Path]:
        """Those of the lock file of this Python, in its order."""
        lock = self.folder / "requirements" / f"runtime-py{python}.txt"
        if not lock.exists():
            made_for = sorted(
                path.stem.removeprefix("runtime-py") for path in (self.folder / "requirements").glob("runtime-py*.txt")
            )
            raise Refused(
                Cause.PYTHON_UNSUPPORTED,
                f"This bundle was made for Python {', '.join(made_for)}; this Orthanc embeds Python {python}. "
                "Take a bundle that holds it.",
            )
        tag = "cp" + python.replace(".", "")
        there: dict[tuple[str, str], list[Path]] = {}
        for path in sorted((self.folder / "wheels").glob("*.whl")):
            name, version = path.name.split("-")[:2]
            there.setdefault((_NAME.sub("-", name).lower(), version), []).append(path)
        found = []
        for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text("utf-8"), re.MULTILINE):
            fitting = [path for path in there.get((_NAME.sub("-", name).lower(), version), []) if _fits(path, tag)]
            if not fitting:
                raise Refused(
                    Cause.LIBRARY_MISSING,
                    f"The bundle lacks the library {name} {version} for Python {python}. Take a whole bundle.",
                )
            found.append(fitting[0])
        return found

    def _signer(self, sums: Path, public_key: Path | None) -> str:
        if public_key is None:
            return "its signature was not checked (--public-key FILE checks it)"
        openssl = shutil.which("openssl")
        if openssl is None:
            raise Refused(
                Cause.SIGNATURE_WRONG, "openssl is missing, which checks the signature. Install it, or leave --public-key out."
            )
        done = subprocess.run(
            [
                openssl,
                "pkeyutl",
                "-verify",
                "-pubin",
                "-inkey",
                str(public_key),
                "-rawin",
                "-in",
                str(sums),
                "-sigfile",
                str(self.folder / SIGNATURE),
            ],
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise Refused(
                Cause.SIGNATURE_WRONG,
                f"The signature of the bundle is not one of {public_key}. Do not install it; ask where it came from.",
            )
        return f"signed by the key in {public_key}"


def _fits(wheel: Path, tag: str) -> bool:
    python, abi, platform = wheel.stem.split("-")[-3:]
    if "any" not in platform.split(".") and "x86_64" not in platform:
        return False
    pythons = python.split(".")
    if tag in pythons or "py3" in pythons:
        return True
    # The stable interface: made for an older Python, and good for all later ones.
    return abi == "abi3" and any(name.startswith("cp3") and int(name[3:]) <= int(tag[3:]) for name in pythons)


def unpacked_bytes(wheels: list[Path], bundle: Path) -> int:
    total = 0
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            total += sum(item.file_size for item in archive.infolist())
    for name in COPIED:
        for folder, _, files in os.walk(bundle / name):
            total += sum((Path(folder) / file).stat().st_size for file in files)
    return total


def unpack(bundle: Bundle, wheels: list[Path], target: Path, python: str, orthanc: tuple[Path, Path] | None = None) -> Path:
    """Makes the release that is to lie at ``target``, whole or not at all, beside it, and returns where. ``orthanc``: its
    program and its Python plugin, for a host that has no program of that Python.

    Raises :class:`Refused` where the disk is full or the place cannot be written."""
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name in COPIED:
            source = bundle.folder / name
            if source.is_dir():
                shutil.copytree(source, unfinished / name)
            elif source.exists():
                shutil.copy2(source, unfinished / name)
        packages = unfinished / "venv" / "lib" / f"python{python}" / "site-packages"
        for wheel in wheels:
            _unpack_wheel(wheel, packages)
        compileall.compile_dir(str(packages), quiet=2, force=False, stripdir=str(unfinished), prependdir=str(target))
        compileall.compile_dir(str(unfinished / "plugin"), quiet=2, stripdir=str(unfinished), prependdir=str(target))
        _launcher(unfinished / "bin" / "vigil", target, python, orthanc)
        _readable_by_all(unfinished)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise not_written(error, target.parent) from None
    return unfinished


def put_in_place(unfinished: Path, target: Path) -> None:
    """Also where the same version lies there already, damaged perhaps."""
    old = target.with_name(f".{target.name}.old")
    try:
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        unfinished.rename(target)
    except OSError as error:
        raise not_written(error, target.parent) from None
    shutil.rmtree(old, ignore_errors=True)


def _unpack_wheel(wheel: Path, packages: Path) -> None:
    """PEP 427: what lies under ``*.data/purelib`` and ``platlib`` belongs beside the rest; scripts are not wanted."""
    with zipfile.ZipFile(wheel) as archive:
        for item in archive.infolist():
            parts = PurePosixPath(item.filename).parts
            if not parts or ".." in parts or parts[0] == "/":
                raise Refused(
                    Cause.BUNDLE_BROKEN, f"{wheel.name} holds a path that leads out of it ({item.filename}). Do not install it."
                )
            if parts[0].endswith(".data"):
                if len(parts) < 3 or parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            target = packages.joinpath(*parts)
            if item.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(item) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def _readable_by_all(folder: Path) -> None:
    """Orthanc's user reads what root unpacked, whatever root's umask is, and writes none of it."""
    runs = {folder / "install", folder / "bin" / "vigil"}
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path in runs else 0o644)


_LAUNCHER = """\
#!/bin/sh
# vigil on the command line, in the Python that Orthanc embeds: a program of that version, or Orthanc itself.
set -eu
PYTHONPATH={packages}:{plugin}
export PYTHONPATH
for python in python{python} python3; do
  if "$python" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "{python}")' 2>/dev/null; then
    exec "$python" -m vigil "$@"
  fi
done
{otherwise}"""
_NOBODY = """\
echo 'vigil: python{python} is not on this host. Debian: apt-get install python{python}-minimal' >&2
exit 1
"""
_BY_ORTHANC = """\
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/vigil_runs.py" <<'PYTHON'
import os, runpy, sys
sys.path[:0] = os.environ["PYTHONPATH"].split(":")
sys.argv = ["vigil", *os.environ["VIGIL_ARGUMENTS"].split(chr(10))[:-1]]
code = 1
try:
    runpy.run_module("vigil", run_name="__main__", alter_sys=True)
    code = 0
except SystemExit as end:
    code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
except BaseException as error:
    print("vigil: %s: %s" % (type(error).__name__, error), file=sys.stderr)
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)
PYTHON
cat >"$folder/orthanc.json" <<JSON
{{"HttpServerEnabled": false, "DicomServerEnabled": false, "Plugins": ["{library}"],
 "PythonScript": "$folder/vigil_runs.py", "StorageDirectory": "$folder", "IndexDirectory": "$folder"}}
JSON
VIGIL_ARGUMENTS=
for word in "$@"; do VIGIL_ARGUMENTS="$VIGIL_ARGUMENTS$word
"; done
export VIGIL_ARGUMENTS
set +e
{program} --logfile="$folder/orthanc.log" "$folder/orthanc.json"
code=$?
[ "$code" -ne 255 ] || tail -n 3 "$folder/orthanc.log" >&2
exit "$code"
"""


def _launcher(path: Path, release: Path, python: str, orthanc: tuple[Path, Path] | None) -> None:
    otherwise = _NOBODY.format(python=python)
    if orthanc is not None:
        otherwise = _BY_ORTHANC.format(program=orthanc[0], library=orthanc[1])
    path.parent.mkdir(parents=True)
    path.write_text(
        _LAUNCHER.format(
            packages=f"{release}/venv/lib/python{python}/site-packages",
            plugin=f"{release}/plugin",
            python=python,
            otherwise=otherwise,
        ),
        "utf-8",
    )


def not_written(error: OSError, place: Path) -> Refused:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused(Cause.DISK_FULL, f"The disk of {place} is full. Make room, or install elsewhere: --prefix FOLDER.")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return Refused(
            Cause.NOT_WRITABLE,
            f"{place} cannot be written ({os.strerror(error.errno)}). Run this as root, or install elsewhere: --prefix FOLDER.",
        )
    return Refused(Cause.NOT_WRITABLE, f"{error.filename or place}: {error.strerror}.")
