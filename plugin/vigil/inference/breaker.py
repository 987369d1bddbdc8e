"""A circuit breaker for each model: one that fails study after study pauses, so that it holds up no other, and is tried again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vigil.domain.answer import Reason
from vigil.domain.errors import Category, Stopping
from vigil.inference.errors import ModelPaused

FAILURES_IN_A_ROW = 5
PAUSE_S = 600.0


class Breaker:
    """``failures``: in a row, after which a model pauses for ``pause_s``; then one study is tried."""

    def __init__(
        self, failures: int = FAILURES_IN_A_ROW, pause_s: float = PAUSE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._failures = failures
        self._pause_s = pause_s
        self._clock = clock
        self._in_a_row: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def guarding(self, model_id: str) -> Iterator[None]:
        """Raises: ModelPaused, and what the run raises. A stop of Orthanc is no failure."""
        if (reason := self.reason(model_id)) is not None:
            raise ModelPaused(reason.text)
        try:
            yield
        except Stopping:
            raise
        except Exception:
            self._failed(model_id)
            raise
        with self._lock:
            self._in_a_row.pop(model_id, None)
            self._until.pop(model_id, None)

    def reason(self, model_id: str) -> Reason | None:
        """Why the model pauses; None where it does not."""
        with self._lock:
            left_s = self._until.get(model_id, 0.0) - self._clock()
            if model_id not in self._until or left_s <= 0:
                return None
            return Reason(
                Category.MODEL_PAUSED,
                f"the model failed {self._in_a_row[model_id]} times in a row and pauses; it is tried again in "
                f"{max(1, round(left_s / 60))} min, or at a restart",
            )

    def forget(self, model_id: str) -> None:
        """Another version stands in the model's place: it has not failed yet."""
        with self._lock:
            self._in_a_row.pop(model_id, None)
            self._until.pop(model_id, None)

    def _failed(self, model_id: str) -> None:
        with self._lock:
            self._in_a_row[model_id] = self._in_a_row.get(model_id, 0) + 1
            if self._in_a_row[model_id] >= self._failures:
                self._until[model_id] = self._clock() + self._pause_s
