"""Stopwatches inside Orthanc's Python, for a site's own script to lay around the bundle.

How late a Python thread wakes that slept 5 ms (it can only be late when the processor or the interpreter's lock was kept from
it), how long the OnChange callback takes, and when Orthanc said that a study is stable.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

SLEEP_S = 0.005


class Stopwatches:
    """Orthanc's module, with a stopwatch around the callback that is registered.

    ``late`` and ``callbacks``: (moment of the monotonic clock, seconds); ``stable``: (moment of the wall clock, Orthanc id).
    """

    def __init__(self, orthanc: Any) -> None:
        self._orthanc = orthanc
        self.late: list[tuple[float, float]] = []
        self.callbacks: list[tuple[float, float]] = []
        self.stable: list[tuple[float, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._orthanc, name)

    def RegisterOnChangeCallback(self, callback: Callable[[Any, Any, str], None]) -> None:  # noqa: N802 - Orthanc's name
        def timed(change: Any, level: Any, resource_id: str) -> None:
            if change == self._orthanc.ChangeType.STABLE_STUDY:
                self.stable.append((time.time(), resource_id))
            begun = time.perf_counter()
            try:
                callback(change, level, resource_id)
            finally:
                self.callbacks.append((time.monotonic(), time.perf_counter() - begun))

        self._orthanc.RegisterOnChangeCallback(timed)

    def start(self) -> None:
        """From now on a thread of its own tells how late it wakes."""
        threading.Thread(target=self._wake, name="site-probe", daemon=True).start()

    def measured(self) -> dict[str, Any]:
        return {"late": self.late, "callbacks": self.callbacks, "stable": self.stable}

    def _wake(self) -> None:
        while True:
            begun = time.monotonic()
            time.sleep(SLEEP_S)
            woken = time.monotonic()
            self.late.append((woken, woken - begun - SLEEP_S))
