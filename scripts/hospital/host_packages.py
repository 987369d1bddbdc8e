"""The Python packages of a host: wheels for the Python that its Orthanc embeds, as the lock files pin them.

They are downloaded on this machine for that Python, and installed in a private copy of its root, where there is no network:
as on a hospital's server. What was installed is kept beside the root for every later run, under the name of the lock files.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hospital.host_root import Bind, HostRootMissing, PrivateRoot, host_root, locked

REPOSITORY = Path(__file__).resolve().parents[2]
INSIDE = Path("/opt/vigil-packages")
"""Where a root sees them. An environment cannot be moved, so it is made where it is used."""
MANYLINUX = ("2_28", "2_27", "2_26", "2_24", "2_17", "2014", "2_12", "2010", "2_5", "1")


def python_of(host: str) -> str:
    """The Python that this host's plugin is linked with: ``3.13``."""
    plugin = next(host_root(host).glob("usr/lib/x86_64-linux-gnu/libpython3.*.so.1.0"), None)
    if plugin is None:
        raise HostRootMissing(f"The root of {host} has no libpython3: its Orthanc has no Python plugin.")
    return plugin.name.removeprefix("libpython").removesuffix(".so.1.0")


def host_packages(host: str) -> Path:
    """The folder to bind at :data:`INSIDE`: ``venv-runtime``, what runs inside Orthanc, and ``venv-dev``, the same and the
    tests' tools. Made if it is missing (a minute, from the package index).

    Raises:
        HostRootMissing: with what to do about it.
    """
    root = host_root(host)
    python = python_of(host)
    locks = [REPOSITORY / "requirements" / f"{kind}-py{python}.txt" for kind in ("runtime", "dev")]
    if missing := [lock.name for lock in locks if not lock.exists()]:
        raise HostRootMissing(f"{host} embeds Python {python}; there is no requirements/{missing[0]}.")
    key = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()[:12]
    packages = root.parent / f"packages-{key}"
    if packages.exists():
        return packages
    with locked(root.parent / "lock"):
        if not packages.exists():
            _make(host, python, locks, packages)
    return packages


def _make(host: str, python: str, locks: Sequence[Path], packages: Path) -> None:
    print(f"[hosts] Installing the packages of Python {python} in {host}.", file=sys.stderr, flush=True)
    unfinished, folder = packages.with_name("packages-unfinished"), packages.with_name("wheels")
    for rest in (unfinished, folder):  # of a run that was ended
        shutil.rmtree(rest, ignore_errors=True)
        rest.mkdir()
    try:
        wheels = folder / "wheels"
        _said(_download(python, locks, wheels), "The wheels could not be downloaded. Check the network, then run this again.")
        binds = [Bind(wheels), Bind(REPOSITORY / "requirements"), Bind(unfinished, INSIDE, writable=True)]
        with PrivateRoot(host, folder / "private", binds=binds) as private:
            for name, lock in zip(("venv-runtime", "venv-dev"), locks, strict=True):
                venv = INSIDE / name
                for step in (
                    [f"/usr/bin/python{python}", "-m", "venv", str(venv)],
                    [f"{venv}/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-index",
                     "--find-links", str(wheels), "-r", str(lock)],
                    [f"{venv}/bin/python", "-c", ""],  # some packages finish their installation at the first start
                ):
                    _said(private.run(step, check=False), f"{lock.name} could not be installed in {host}.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    packages_of_runtime = INSIDE / "venv-runtime" / "lib" / f"python{python}" / "site-packages"
    beside = unfinished / "venv-dev" / "lib" / f"python{python}" / "site-packages" / "runtime.pth"
    beside.write_text(f"{packages_of_runtime}\n")
    unfinished.rename(packages)


def _download(python: str, locks: Sequence[Path], wheels: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
               "--require-hashes", "--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    for tag in MANYLINUX:
        separator = "_" if "_" in tag else ""
        command += ["--platform", f"manylinux{separator}{tag}_x86_64"]
    for lock in locks:
        command += ["-r", str(lock)]
    return subprocess.run(
        [*command, "--dest", str(wheels)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def _said(ended: subprocess.CompletedProcess[str], what: str) -> None:
    if ended.returncode != 0:
        raise HostRootMissing(f"{what}\n{(ended.stdout + ended.stderr)[-2000:]}")
