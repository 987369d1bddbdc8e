"""A model's process as Orthanc sees it: started, kept, ended, and told apart by how it ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vigil.inference.apart.interpreter import ALONE
from vigil.inference.errors import ModelNotLoaded

ENTRY = Path(__file__).with_name("entry.py")
ENDED_WITHIN_S = 5.0
"""A process that is killed is gone at once, unless the kernel still writes or frees its memory."""
LET_THROUGH = (
    "CUDA_CACHE_PATH", "CUDA_DEVICE_ORDER", "CUDA_HOME", "CUDA_MODULE_LOADING", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "HOME",
    "LANG", "LC_ALL", "LD_LIBRARY_PATH", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES", "OPENBLAS_NUM_THREADS",
    "TMPDIR", "TZ",
)
"""Of Orthanc's environment, in which a site may keep secrets."""
VM_STATISTICS = Path("/proc/vmstat")
CRASHES = frozenset({signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGTRAP, signal.SIGSYS})


@dataclass(frozen=True)
class HowItEnded:
    """``code``: as subprocess has it, negative for a signal; None where it is not known. ``for_memory``: whether the kernel
    ended a process for lack of memory meanwhile."""

    code: int | None
    for_memory: bool = False

    @property
    def killed_for_memory(self) -> bool:
        return self.code == -signal.SIGKILL and self.for_memory

    def said(self) -> str:
        """For people, with what to do."""
        if self.code is None:
            return "the process that ran the model is gone, and nobody knows how it ended; look at the kernel's log"
        if self.code >= 0:
            return f"the process that ran the model ended by itself (exit code {self.code}); tell the model's vendor"
        name = _name_of(-self.code)
        if self.killed_for_memory:
            return (f"the kernel ended the process that ran the model ({name}), for memory ran out; give this machine, or "
                    "Orthanc's container, more of it")
        if -self.code == signal.SIGKILL:
            return f"the process that ran the model was killed from outside ({name}); the kernel's log or its sender knows why"
        if -self.code in CRASHES:
            return (f"the process that ran the model crashed ({name}), in ONNX Runtime or in a library of its; tell the model's "
                    "vendor")
        return f"the process that ran the model was ended by a signal ({name})"


class ModelProcess:
    """One that runs. ``folders``: of the code and libraries that it imports. ``theirs``: its end of the channel.

    A thread of its own starts it and waits for it as long as it lives: Linux ends a child with the *thread* that started it, and
    one that nobody waits for stays as a zombie.

    Raises: ModelNotLoaded where it cannot be started.
    """

    def __init__(self, interpreter: Path, folders: Sequence[str], theirs: socket.socket) -> None:
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._gone = threading.Event()
        self.pid = 0
        self._code: int | None = None
        self._failed: BaseException | None = None
        self._killed_for_memory_before = _killed_for_memory()
        command = [str(interpreter), *ALONE, str(ENTRY), str(theirs.fileno()), str(os.getpid()), *folders]
        threading.Thread(target=self._keep, args=(command, theirs), name="vigil-model-process", daemon=True).start()
        self._started.wait()
        self._insist_it_started(interpreter)

    def _insist_it_started(self, interpreter: Path) -> None:
        if self._failed is not None:
            why = self._failed.strerror if isinstance(self._failed, OSError) else type(self._failed).__name__
            raise ModelNotLoaded(f"the model's process cannot be started ({why}); see that Orthanc's user may run {interpreter}, "
                                 "how many processes it may have, and how much memory is free")

    @property
    def runs(self) -> bool:
        return not self._gone.is_set()

    def kill(self) -> None:
        """Ends it at once, where it has not ended."""
        with self._lock:  # as long as this is held its number is not another's
            if self.pid > 0 and not self._gone.is_set():  # 0 would be this process, and all that were started with it
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)

    def ended(self, timeout_s: float = ENDED_WITHIN_S) -> HowItEnded | None:
        """How it ended; None where it still runs after this time."""
        if not self._gone.wait(timeout_s):
            return None
        return HowItEnded(self._code, _killed_for_memory() > self._killed_for_memory_before)

    def remember_memory(self) -> None:
        """What the kernel ends from now on counts."""
        self._killed_for_memory_before = _killed_for_memory()

    def _keep(self, command: list[str], theirs: socket.socket) -> None:
        try:
            process = subprocess.Popen(  # noqa: S603 - the interpreter that was found, without a shell
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                env={name: os.environ[name] for name in LET_THROUGH if name in os.environ}, pass_fds=(theirs.fileno(),),
                start_new_session=True)
        except BaseException as error:  # noqa: BLE001 - the edge of a thread: who waits for the process is told
            self._failed = error
            self._gone.set()
            return
        else:
            self.pid = process.pid
        finally:
            theirs.close()
            self._started.set()
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # its number stays its own until it is reaped below
        with self._lock:
            self._code = _reaped(process.pid)
            process.returncode = -1 if self._code is None else self._code
            self._gone.set()


def _reaped(pid: int) -> int | None:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:  # another part of Orthanc waits for every child
        return None
    return os.waitstatus_to_exitcode(status)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _killed_for_memory() -> int:
    """How many processes of this machine the kernel ended for lack of memory, since it started."""
    try:
        lines = VM_STATISTICS.read_text("ascii", "replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
