"""What a process takes of the machine, seen from outside, and how late the machine by itself wakes a thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

PROBE = """
import sys, time
with open(sys.argv[1], "w", buffering=1) as file:
    while True:
        begun = time.monotonic(); time.sleep(0.005); woken = time.monotonic()
        file.write(f"{woken} {woken - begun - 0.005}\\n")
"""


@dataclass(frozen=True)
class Times:
    """Seconds, of many."""

    count: int
    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        assert seconds, "nothing was measured"
        p50, p99, worst = (float(value) for value in np.percentile(seconds, (50, 99, 100)))
        return cls(len(seconds), p50, p99, worst)

    def __str__(self) -> str:
        return f"p50 {1000 * self.p50:.2f} p99 {1000 * self.p99:.1f} max {1000 * self.worst:.1f} ms of {self.count}"


@dataclass
class Window:
    """A time, by the clock that all processes of the machine share."""

    begun: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    def of(self, measured: Sequence[tuple[float, float]]) -> Times:
        return Times.of([seconds for moment, seconds in measured if self.begun <= moment <= self.ended])


@contextmanager
def window() -> Iterator[Window]:
    opened = Window()
    yield opened
    opened.ended = time.monotonic()


class QuietProcess:
    """A process that does nothing but sleep 5 ms, again and again, and notes in ``path`` how late it woke."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, "-c", PROBE, str(self._path)])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def late(self, when: Window) -> Times:
        lines = self._path.read_text().splitlines()[:-1]
        return when.of([(float(moment), float(late)) for moment, late in map(str.split, lines)])


def processor_s(pid: int) -> float:
    """What a process has taken of the processors so far (utime and stime of proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> int:
    return memory_kib(pid, "VmRSS") >> 10


def memory_kib(pid: int, name: str) -> int:
    """``name``: a line of /proc/PID/status, "VmRSS" (now) or "VmHWM" (the most, since it was forgotten)."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(name))


def forget_peak(pid: int) -> None:
    """From now on "VmHWM" counts anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class ProcessorCurve:
    """What a process took of the processors, as a curve over the wall clock, read every ``every_s`` while it is open."""

    def __init__(self, pid: int, every_s: float = 0.02) -> None:
        self._pid = pid
        self._every_s = every_s
        self._moments: list[float] = []
        self._taken_s: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="processor-curve", daemon=True)

    def __enter__(self) -> Self:
        self._read()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._read()

    def between(self, begun: float, ended: float) -> float:
        """Processor seconds between two moments of :func:`time.time`."""
        first, last = np.interp([begun, ended], self._moments, self._taken_s)
        return float(last - first)

    def wait_quiet(self, share: float, for_s: float, timeout_s: float) -> bool:
        """Until the process took no more than ``share`` of a core for ``for_s``; False where it never came to that."""
        deadline = time.monotonic() + timeout_s
        begun = time.time()
        while time.monotonic() < deadline:
            now = time.time()
            if now - begun >= for_s and self.between(now - for_s, now) <= share * for_s:
                return True
            self._stop.wait(0.05)
        return False

    def _follow(self) -> None:
        while not self._stop.wait(self._every_s):
            self._read()

    def _read(self) -> None:
        try:
            taken = processor_s(self._pid)
        except OSError:  # the process is gone; the curve ends there
            return
        self._moments.append(time.time())
        self._taken_s.append(taken)
