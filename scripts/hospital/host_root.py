"""Root file systems of the hosts that Vigil supports: each Debian with its Orthanc, plugin and Python, as apt installs them.

A root is made once by mmdebstrap and kept outside of the repository, under the name of its recipe, so that every clone on
the machine shares it. Nobody writes in it: a test works in a private copy, which costs nothing where overlayfs can be
mounted, and runs commands there by chroot, in a mount namespace of its own and in the caller's network. It needs root.

As a command, ``host_root.py HOST`` makes the root, if it is missing, and prints where it is; ``host_root.py HOST COMMAND...``
runs a command in a private copy that is thrown away.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

ORTHANC_PACKAGES = ("orthanc", "orthanc-python", "orthanc-dicomweb", "python3-venv", "ca-certificates")
RECEIVERS = ("dcmtk",)
"""The other side of a test, which in a hospital runs on another machine."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Recipe:
    """What mmdebstrap is told. The cache knows a root by it, so any change makes a new one."""

    suite: str
    packages: tuple[str, ...] = ORTHANC_PACKAGES + RECEIVERS
    apt_options: tuple[str, ...] = ()

    def command(self, folder: Path) -> list[str]:
        return ["mmdebstrap", "--variant=minbase", f"--include={','.join(self.packages)}",
                *(f"--aptopt={option}" for option in self.apt_options), self.suite, str(folder)]

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


HOSTS: Mapping[str, Recipe] = {
    "bookworm": Recipe("bookworm"),
    "trixie": Recipe("trixie"),
    # A suite that is still being made is not signed anew while nothing changes in it.
    "forky": Recipe("forky", apt_options=('Acquire::Check-Valid-Until "false"',)),
}
"""Debian 12 (the floor), Debian 13 (the reference) and what comes after."""


class HostRootMissing(Exception):
    """A root could not be made or entered here."""


@dataclass(frozen=True)
class Bind:
    """A file or folder of this machine that a private root sees at ``target`` (its own path by default)."""

    source: Path
    target: Path | None = None
    writable: bool = False


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vigil" / "hosts"


def host_root(host: str, cache: Path | None = None) -> Path:
    """The root of this host, made if the cache has none (one to three minutes, from Debian's mirror). Never write in it.

    Raises:
        HostRootMissing: with what to do about it.
    """
    recipe = HOSTS[host]
    home = (cache or cache_folder()) / f"{host}-{recipe.key}"
    root = home / "root"
    if root.exists():
        return root
    _insist_root()
    if shutil.which("mmdebstrap") is None:
        raise HostRootMissing("mmdebstrap is missing, which makes root file systems. Install it: apt-get install mmdebstrap")
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / "lock"):
        if root.exists():  # another one made it while we waited
            return root
        unfinished = home / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        log = home / "mmdebstrap.log"
        print(f"[hosts] Making the root file system of {host} (log: {log}).", file=sys.stderr, flush=True)
        with log.open("wb") as out:
            ended = subprocess.run(recipe.command(unfinished), stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
        if ended.returncode != 0:
            last_lines = "\n".join(log.read_text("utf-8", "replace").splitlines()[-12:])
            raise HostRootMissing(
                f"mmdebstrap could not make {host}. Check the network, then run this again. Log: {log}\n{last_lines}"
            )
        unfinished.rename(root)
    return root


class PrivateRoot:
    """A private copy of a host's root, to be entered and thrown away.

    ``folder``: of this copy alone; what changes lies in it. ``keep``: leave it there at the end.
    ``binds``: what of this machine is seen in there, read-only unless said otherwise. ``/dev``, ``/proc`` and ``/sys`` are.

    Commands run in the network of the thread that starts them.
    """

    def __init__(
        self, host: str, folder: Path, *, binds: Sequence[Bind] = (), keep: bool = False, cache: Path | None = None
    ) -> None:
        self.host = host
        self.folder = folder
        self.binds = tuple(binds)
        self.keep = keep
        self._cache = cache
        self._merged = folder / "root"
        self._holder: subprocess.Popen[bytes] | None = None

    def open(self) -> Self:
        """Mounts the copy in a mount namespace that lives as long as this object, and no longer than this process."""
        base = host_root(self.host, self._cache)
        _insist_root()
        for name in ("changes", "work", "root"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-euc", self._mounting(base)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        assert self._holder.stdout is not None and self._holder.stderr is not None
        if self._holder.stdout.readline() != b"mounted\n":
            said = self._holder.stderr.read().decode("utf-8", "replace").strip()
            self.close()
            raise HostRootMissing(f"The root of {self.host} could not be mounted: {said}")
        return self

    def close(self) -> None:
        """Ends every process in there, and the copy with them."""
        if self._holder is not None:
            self.end_processes()
            assert self._holder.stdin is not None
            self._holder.stdin.close()  # it reads until then; its mounts go with it
            self._holder.wait(10)
            for stream in (self._holder.stdout, self._holder.stderr):
                assert stream is not None
                stream.close()
            self._holder = None
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def end_processes(self, timeout_s: float = 10) -> None:
        """Kills what runs in there, also what outlived the command that started it."""
        deadline = time.monotonic() + timeout_s
        while (inside := list(self._processes())) and time.monotonic() < deadline:
            for pid in inside:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def path(self, inside: str | Path) -> Path:
        """Where this process finds a file of the root: ``path("/etc/orthanc/orthanc.json")``. An absolute link in there
        would lead out of it."""
        return Path(f"/proc/{self._opened.pid}/root{self._merged}") / str(inside).lstrip("/")

    def command(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: str = "/", user: str = "root"
    ) -> list[str]:
        """The command that runs this one in there. It becomes that one, so that its signals and its exit code are its."""
        variables = {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8"} | dict(environment or {})
        return [
            "nsenter", f"--mount=/proc/{self._opened.pid}/ns/mnt", "--", "chroot", f"--userspec={user}", str(self._merged),
            "env", "-i", "-C", cwd, *(f"{name}={value}" for name, value in variables.items()), *command,
        ]

    def run(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: str = "/", user: str = "root",
        timeout_s: float | None = None, check: bool = True, capture: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end. ``capture``: its output is in the answer, else it goes where ours goes."""
        whole = self.command(command, environment=environment, cwd=cwd, user=user)
        return subprocess.run(
            whole, stdin=subprocess.DEVNULL, capture_output=capture, text=True, timeout=timeout_s, check=check
        )

    def popen(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: str = "/", user: str = "root",
        stdout: int | IO[bytes] | None = None, stderr: int | IO[bytes] | None = None, start_new_session: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Starts a command."""
        whole = self.command(command, environment=environment, cwd=cwd, user=user)
        if threading.current_thread() is threading.main_thread():
            # Ends with this process, even when that is killed. (Linux ties it to the thread that started it.)
            whole = ["setpriv", "--pdeathsig", "KILL", "--", *whole]
        return subprocess.Popen(
            whole, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=start_new_session
        )

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _opened(self) -> subprocess.Popen[bytes]:
        if self._holder is None or self._holder.poll() is not None:
            raise HostRootMissing(f"The private root of {self.host} in {self.folder} is not open.")
        return self._holder

    def _mounting(self, base: Path) -> str:
        """The script of the process that holds the mounts."""
        merged = _quoted(self._merged)
        lines = [
            # Not on another overlay, as in many containers: a real copy then.
            f"mount -t overlay overlay -o lowerdir={_quoted(base)},upperdir={_quoted(self.folder / 'changes')},"
            f"workdir={_quoted(self.folder / 'work')} {merged} 2>/dev/null || cp -a --reflink=auto {_quoted(base)}/. {merged}",
            f"mount -t proc proc {merged}/proc",
            f"mount --rbind /dev {merged}/dev",
            f"mount --rbind -o ro /sys {merged}/sys",
            f"[ -s {merged}/etc/hosts ] || echo '127.0.0.1 localhost' >{merged}/etc/hosts",
        ]
        for bind in self.binds:
            source = _quoted(bind.source)
            target = _quoted(self._merged / str(bind.target or bind.source).lstrip("/"))
            made = f"mkdir -p {target}" if bind.source.is_dir() else f"mkdir -p $(dirname {target}); touch {target}"
            lines += [made, f"mount --bind {source} {target}"]
            if not bind.writable:
                lines.append(f"mount -o remount,bind,ro {target}")
        return "\n".join([*lines, "echo mounted", "exec cat >/dev/null"])

    def _processes(self) -> Iterator[int]:
        """All in our mount namespace but the one that holds it."""
        holder = self._opened.pid
        ours = Path(f"/proc/{holder}/ns/mnt").readlink()
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != holder:
                with suppress(OSError):
                    if (entry / "ns" / "mnt").readlink() == ours:
                        yield int(entry.name)


def _quoted(path: Path) -> str:
    text = str(path)
    if set(text) & set("'\\:,\n"):  # overlayfs gives : , and \ a meaning of their own
        raise HostRootMissing(f"A path for a private root may hold no quote, backslash, colon or comma: {text}")
    return f"'{text}'"


def _insist_root() -> None:
    if os.geteuid() != 0:
        raise HostRootMissing("The root file systems of other hosts are made and entered by root only. Run this as root.")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One at a time, of all on this machine."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: Iterable[str]) -> int:
    host, *command = [*arguments] or ["--help"]
    if host not in HOSTS:
        print(f"Usage: host_root.py {{{'|'.join(HOSTS)}}} [COMMAND...]", file=sys.stderr)
        return 0 if host in ("-h", "--help") else 2
    try:
        if not command:
            print(host_root(host))
            return 0
        with PrivateRoot(host, Path(tempfile.mkdtemp(prefix="vigil-root-"))) as root:
            return root.run(command, check=False, capture=False).returncode
    except HostRootMissing as missing:
        print(f"[hosts] {missing}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
