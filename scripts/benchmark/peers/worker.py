"""A peer's process: says when it is ready, does a round for each line that it is sent, and answers with what the round took.

Rounds of several peers can so be interleaved, each warm in its own process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmark.apart import environment
from benchmark.stopwatch import Spent, now


class PeerFailed(Exception):
    """The peer cannot be run here; the message says why."""


class Peer:
    """``module``: of this package, run with this interpreter; ``arguments``: handed on to it."""

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        self._command = [sys.executable, "-W", "ignore", "-m", f"benchmark.peers.{module}", *arguments]
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self.import_s = 0.0
        """Wall seconds until its libraries were imported; never part of a round."""

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment()
            )
        self.import_s = float(self._answer()["import_s"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()

    def round(self) -> Spent:
        """One round, and what it took."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write("round\n")
        self._process.stdin.flush()
        answer = self._answer()
        return Spent(float(answer["cpu_s"]), float(answer["wall_s"]))

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._log.read_text("utf-8", "replace").strip().splitlines()
            raise PeerFailed(said[-1] if said else "its process ended without a word")
        return dict(json.loads(line))


def serve(prepare: Callable[[], Callable[[], None]]) -> None:
    """The peer's side. ``prepare`` imports its libraries and returns the round, which raises where the peer did not do its
    work."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the peer prints goes into its log
    begun = time.perf_counter()
    work = prepare()
    print(json.dumps({"import_s": time.perf_counter() - begun}), file=answers, flush=True)
    for _ in sys.stdin:
        before = now()
        work()
        spent = now() - before
        print(json.dumps({"cpu_s": spent.cpu_s, "wall_s": spent.wall_s}), file=answers, flush=True)
