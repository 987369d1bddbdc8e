"""Which slices of the source show a region best."""

from __future__ import annotations

import numpy as np

from vigil.imaging.volume import Volume
from vigil.inference.morphology import Mask

MOST = 3
APART_MM = 10.0


def key_slices(region: Mask, volume: Volume) -> tuple[int, ...]:
    """Slices of the source, the largest section first, then others well away from those chosen."""
    areas = np.count_nonzero(region, axis=(1, 2))
    apart = APART_MM / volume.spacing_mm[0]
    chosen: list[int] = []
    for index in np.argsort(-areas, kind="stable").tolist():
        if areas[index] == 0 or len(chosen) == MOST:
            break
        if all(abs(index - other) >= apart for other in chosen):
            chosen.append(index)
    return tuple(chosen)
