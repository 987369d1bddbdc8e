"""How long to wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Doubles from ``first_s`` up to ``maximum_s``."""

    first_s: float
    maximum_s: float

    def delay_s(self, attempt: int) -> float:
        """The wait after the ``attempt``-th try (1 is the first)."""
        return float(min(self.maximum_s, self.first_s * 2.0 ** min(attempt - 1, 30)))
