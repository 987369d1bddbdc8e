"""Where a mask meets the borders of its array: how much of a structure the images may have cut off (law 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vigil.inference.morphology import Mask


@dataclass(frozen=True)
class Border:
    """``end``: 0 or -1. ``share``: area of the mask in it, of the mask's largest section along that axis."""

    axis: int
    end: int
    share: float


def borders(mask: Mask) -> Iterator[Border]:
    """All six, both ends of each axis in turn."""
    for axis in range(3):
        sections = np.count_nonzero(mask, axis=tuple(other for other in range(3) if other != axis))
        for end in (0, -1):
            yield Border(axis, end, float(sections[end]) / float(sections.max()) if sections.any() else 0.0)
