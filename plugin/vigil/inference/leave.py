"""How long a run may go on: until Orthanc stops, or until its own time is over."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from vigil.domain.errors import Stopping
from vigil.inference.errors import TimeLimitReached


@dataclass(frozen=True)
class Leave:
    """``stop``: Orthanc is stopping. ``until``: of :func:`time.monotonic`; None for no limit. ``limit_s``: what is said."""

    stop: threading.Event
    until: float | None = None
    limit_s: float = 0.0

    @classmethod
    def within(cls, limit_s: float, stop: threading.Event) -> Leave:
        return cls(stop, time.monotonic() + limit_s, limit_s)

    def later(self, seconds: float) -> Leave:
        """The same, ending so much later."""
        return self if self.until is None else replace(self, until=self.until + seconds)

    @property
    def over(self) -> bool:
        return self.stop.is_set() or (self.until is not None and time.monotonic() >= self.until)

    def look(self) -> None:
        """Raises: Stopping; TimeLimitReached."""
        if self.stop.is_set():
            raise Stopping("Orthanc is stopping; the model runs again after its start")
        if self.over:
            raise TimeLimitReached(
                f"the model took longer than the {self.limit_s:g} s of its time_limit_s and was ended; give it more time or a "
                "smaller field of view"
            )
