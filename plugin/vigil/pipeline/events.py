"""Orthanc's events, taken in its thread in microseconds and made durable in ours.

``OnChange`` is the only callback that Vigil registers: stored- and received-instance callbacks deadlock Orthanc when Python
threads post instances (all versions without AllowThreads). An event that is lost here, by a kill or by a full queue, is found
again by the reconciler.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

CAPACITY = 200_000
"""Events kept while the bundle starts or the ledger is locked: some 20 MB."""


class EventKind(Enum):
    NEW_INSTANCE = auto()
    STABLE_STUDY = auto()
    STUDY_DELETED = auto()
    SERIES_WHOLE = auto()
    """Of our own: a series has as many images as its scanner declared."""


@dataclass(frozen=True, slots=True)
class Event:
    kind: EventKind
    resource_id: str


class EventQueue:
    """First in, first out; when full, the oldest event is dropped (and found again by the reconciler).

    ``newest_image_at``: by the monotonic clock.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._events: deque[Event] = deque(maxlen=capacity)
        self._arrived = threading.Event()
        self._urgent = threading.Event()
        self.newest_image_at = float("-inf")

    def put(self, event: Event) -> None:
        """Called in Orthanc's thread: never blocks."""
        self._events.append(event)
        if event.kind is EventKind.NEW_INSTANCE:
            self.newest_image_at = time.monotonic()
        else:
            self._urgent.set()
        self._arrived.set()

    def take(self, limit: int, timeout_s: float, linger_s: float = 0.0) -> list[Event]:
        """Up to ``limit`` events, or none after ``timeout_s``. Images come by the hundred: after the first it waits up to
        ``linger_s``, so that they are noted together, but for nothing where an event is there that is no image."""
        if not self._events and not self._arrived.wait(timeout_s):
            return []
        if linger_s and len(self._events) < limit:
            self._urgent.wait(linger_s)
        self._arrived.clear()
        self._urgent.clear()
        taken: list[Event] = []
        while self._events and len(taken) < limit:
            taken.append(self._events.popleft())
        if self._events:
            self._arrived.set()
            self._urgent.set()
        return taken

    def wake(self) -> None:
        self._urgent.set()
        self._arrived.set()
