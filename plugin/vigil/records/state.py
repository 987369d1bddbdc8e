"""The state directory: everything of Vigil's that must outlive a restart, and the lock that keeps a second process out."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from vigil.records.errors import StateInUse, StateUnusable
from vigil.records.private import keep_private


class StatePaths:
    """Where things lie in the state directory. Makes nothing and locks nothing: a reader beside Orthanc uses this."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.sqlite"

    @property
    def ledger_url(self) -> str:
        return f"sqlite:///{self.ledger}"

    @property
    def workflows(self) -> Path:
        return self.path / "workflows.sqlite"

    @property
    def key(self) -> Path:
        return self.path / "sealing.key"

    @property
    def next_key(self) -> Path:
        """Is there while a rotation is under way (:mod:`vigil.records.rotation`)."""
        return self.path / "sealing.key.new"

    @property
    def logs(self) -> Path:
        return self.path / "log"

    @property
    def marker(self) -> Path:
        """Names the model in flight (law 1)."""
        return self.path / "model-in-flight.json"

    @property
    def reading_marker(self) -> Path:
        """Names the analysis whose images are being read (law 1)."""
        return self.path / "reading-in-flight.json"

    @property
    def engines(self) -> Path:
        """What TensorRT built of a network for this GPU; it is built again where it is gone."""
        return self.path / "engines"

    @property
    def lock(self) -> Path:
        return self.path / "state.lock"


@contextmanager
def beside(paths: StatePaths, *, alone: bool = False) -> Iterator[None]:
    """While a command works with the ledger, beside other commands and a running Orthanc; ``alone``: beside no other command.

    Raises :class:`StateInUse`. The lock lies on the folder itself (flock), so a command needs no file of its own for it.
    """
    descriptor = os.open(paths.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            what = "another vigil command works with it" if alone else "its sealing key is being changed"
            raise StateInUse(f"the state directory {paths.path} is in use: {what}; wait until that has ended, then try "
                             "again") from error
        yield
    finally:
        os.close(descriptor)


class StateFolder(StatePaths):
    """The state directory, made where it is absent (mode 0700), and held for this process alone until :meth:`close`. Its user's
    alone, too: ``narrowed`` is what other users could read before (:mod:`vigil.records.private`). ``by_command``: root may hold
    it in the place of its user.

    Raises :class:`StateInUse` where another process holds it, :class:`StateUnusable` where it cannot be made or written, or where
    other users could reach in. The lock is the operating system's (flock): it goes with the process, however that ends.
    """

    def __init__(self, path: Path, *, by_command: bool = False) -> None:
        super().__init__(path)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.narrowed = keep_private(path, self.key, root_may=by_command)
            self._descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateUnusable(
                f"the state directory {path} cannot be used: {error.strerror}; make it a folder that the user of Orthanc may "
                "write, or name another as Vigil.StateDirectory") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StateInUse(
                f"the state directory {path} is held by another process (its id: {holder}); end that one, or give each "
                "Orthanc a Vigil.StateDirectory of its own") from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Lets the folder go. The lock file stays: to remove it would let two processes hold two files of one name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> StateFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
