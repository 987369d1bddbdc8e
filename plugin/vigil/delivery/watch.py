"""A time limit, and a stop, on everything that waits for a network."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

GRACE_S = 1.0
"""What the watch allows beyond a library's own time limits before it cuts the connection."""
_LOOK_S = 0.1


class ConnectionWatch:
    """Shuts a socket when ``stop`` is set or the time for a step is over: that is the one thing which ends every wait of a
    library, also a send into a window that the other side closed. ``current_socket`` is asked each time."""

    def __init__(self, name: str, current_socket: Callable[[], socket.socket | None], stop: threading.Event) -> None:
        self._current_socket = current_socket
        self._stop = stop
        self._deadline = float("inf")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._done.set()

    def expect(self, seconds: float) -> float:
        """Sets the time for one step; returns now."""
        now = time.monotonic()
        self._deadline = now + seconds + GRACE_S
        return now

    def _look(self) -> None:
        while not self._done.wait(_LOOK_S):
            if self._stop.is_set() or time.monotonic() > self._deadline:
                found = self._current_socket()
                if found is not None:
                    with contextlib.suppress(OSError):
                        found.shutdown(socket.SHUT_RDWR)
