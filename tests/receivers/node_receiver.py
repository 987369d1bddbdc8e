"""A receiver of npm in a process of its own."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from hospital.network import free_port

SCRIPT = Path(__file__).resolve().parent / "receive.cjs"


class NodeReceiver:
    """``kind``: "simple-hl7", "medplum" or "node-hl7-server"."""

    def __init__(self, kind: str) -> None:
        self.port = free_port()
        node = shutil.which("node")
        assert node is not None, "node is missing: scripts/setup installs Debian's nodejs"
        self._process = subprocess.Popen(
            [node, str(SCRIPT), kind, str(self.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> NodeReceiver:
        self._reader.start()
        try:
            assert self.next() == {"ready": self.port}
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        self._reader.join(10)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def next(self, timeout_s: float = 30.0) -> dict[str, Any]:
        """What the receiver told next: a message as it parsed it."""
        try:
            return self._told.get(timeout=timeout_s)
        except queue.Empty:
            self._process.kill()
            errors = self._process.stderr.read() if self._process.stderr is not None else ""
            raise AssertionError(f"the receiver told nothing: {errors[-800:]}") from None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._told.put(json.loads(line))
