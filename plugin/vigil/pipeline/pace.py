"""How fast images may be read while more of them arrive: Orthanc and whoever sends to it come first (law 1)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

SHARE_OF_THE_PROCESSORS = 0.05
"""What reading may take while images arrive: a tenth of one of two processors. What is left over is done in the quiet that every
study ends with, and is still done before Orthanc calls the study stable."""
QUIET_S = 0.1
"""Three C-STORE senders leave 20 to 30 ms between two images (docs/performance.md)."""
LONGEST_REST_S = 2.0


class Pace:
    """Shared by ``workers`` threads. ``share``: of all processors; None: as fast as they can. ``newest_image_at``: when
    Orthanc told of the newest image, by ``clock``."""

    def __init__(self, share: float | None, workers: int, newest_image_at: Callable[[], float], *,
                 clock: Callable[[], float] = time.monotonic, processors: int | None = None) -> None:
        self._clock = clock
        self._newest_image_at = newest_image_at
        usable = processors or len(os.sched_getaffinity(0))
        self._share = None if share is None else min(1.0, share * usable / workers)

    def rest_s(self, worked_s: float) -> float:
        """How long a thread rests that worked for ``worked_s`` of processor time; 0 once nothing arrives."""
        if self._share is None or self._quiet():
            return 0.0
        return min(LONGEST_REST_S, worked_s * (1.0 / self._share - 1.0))

    def rest(self, worked_s: float, stop: threading.Event) -> None:
        """Rests so long, and no longer than images arrive."""
        until = self._clock() + self.rest_s(worked_s)
        while (left := until - self._clock()) > 0 and not self._quiet():
            if stop.wait(min(left, QUIET_S / 2)):
                return

    def _quiet(self) -> bool:
        return self._clock() >= self._newest_image_at() + QUIET_S
