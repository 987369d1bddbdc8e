"""What the interpreter of a model's process is given to run: it ties the process to Orthanc, then serves.

Arguments: the descriptor of the socket, Orthanc's process id, and the folders of the bundle's code and libraries. The standard
library alone until the bundle can be imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38


def main() -> None:
    descriptor, orthanc = map(int, sys.argv[1:3])
    sys.path[:0] = sys.argv[3:]
    _leave_the_end_to_orthanc()
    _tie_to(orthanc)
    _go_before_orthanc_where_memory_ends()
    _leave_no_image_of_memory()
    end = socket.socket(fileno=descriptor)
    try:
        from vigil.inference.apart.serving import serve
    except ImportError as error:
        end.send(json.dumps({
            "kind": "failed", "number": 0, "category": "library-missing",
            "message": f"the model's process cannot import '{error.name}' ({error})"[:400]}).encode())
        sys.exit(1)
    serve(end)


def _leave_the_end_to_orthanc() -> None:
    """systemd tells every process of a unit to stop: this one would be gone before Orthanc has heard of it, and its model be
    blamed for it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _tie_to(orthanc: int) -> None:
    """The kernel ends this process with Orthanc, also where that is killed. (It goes by the thread that started this one, which
    waits for it.)"""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != orthanc:  # it ended before
        os._exit(1)


def _go_before_orthanc_where_memory_ends() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def _leave_no_image_of_memory() -> None:
    """A core dump would hold a patient's images. Nor may what runs here get other rights than it has."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


if __name__ == "__main__":
    main()
