"""Images and studies that were deleted from Orthanc before anybody could look at them: a script that deletes what it forwards.

Nothing can be answered of them, and nothing was begun that could say so; so the health answer does, with what to do.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

TOLD_FOR = timedelta(minutes=10)
MANY_IMAGES = 10
MANY_STUDIES = 3
"""One study that somebody deletes by hand is nobody's mistake."""


class Vanishing:
    """Counts those of the last minutes."""

    def __init__(self) -> None:
        self._images: deque[datetime] = deque(maxlen=100_000)
        self._studies: deque[datetime] = deque(maxlen=100_000)

    def image(self, at: datetime) -> None:
        self._images.append(at)

    def study(self, at: datetime) -> None:
        self._studies.append(at)

    def missing(self, now: datetime) -> list[str]:
        images, studies = (_since(found, now - TOLD_FOR) for found in (self._images, self._studies))
        if images < MANY_IMAGES and studies < MANY_STUDIES:
            return []
        return [f"{images} images and {studies} studies were deleted from Orthanc within the last 10 minutes, before a model "
                "could look at them, so nothing is said of them: let the script that deletes wait until a study is answered "
                "(docs/coexistence.md)"]


def _since(moments: deque[datetime], oldest: datetime) -> int:
    while moments and moments[0] < oldest:
        moments.popleft()
    return len(moments)
