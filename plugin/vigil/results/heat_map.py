"""Where a model looked, as numbers of a unit: drawn through a scale that stands beside the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_OPAQUE = 0.4
"""The anatomy below must stay readable."""
_STOPS = np.array(
    [(40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (250, 193, 39), (252, 255, 164)], np.float32
)
"""The inferno scale (https://bids.github.io/colormap, CC0) from a fifth upwards: it grows lighter all the way, so that
its order is read without telling colours apart."""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """``values``: [slice, row, column] in the geometry of the voxels, of ``unit`` (empty where there is none). Drawn from
    ``low`` to ``high``; what lies below ``low`` is not drawn."""

    label: str
    unit: str
    values: NDArray[np.float32]
    low: float
    high: float

    def words(self, value: float) -> str:
        return f"{value:g} {self.unit}".strip()


def colours(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """RGB [..., 3] from 0 to 255 of shares from 0 (low) to 1 (high)."""
    place = np.clip(share, 0, 1) * (len(_STOPS) - 1)
    below = np.minimum(place.astype(np.intp), len(_STOPS) - 2)
    part = (place - below)[..., None]
    return np.asarray(_STOPS[below] * (1 - part) + _STOPS[below + 1] * part, dtype=np.float32)


def blend(rgb: NDArray[np.uint8], heat_map: HeatMap, plane: NDArray[np.float32]) -> None:
    """Draws a plane of the heat map's values over ``rgb`` [row, column, 3], in place; stronger where there is more."""
    shown = plane >= heat_map.low
    share = np.clip((plane[shown] - heat_map.low) / max(heat_map.high - heat_map.low, 1e-9), 0, 1).astype(np.float32)
    opacity = (MOST_OPAQUE * (0.5 + 0.5 * share))[:, None]
    rgb[shown] = np.rint(rgb[shown] * (1 - opacity) + colours(share) * opacity).astype(np.uint8)


def scale_picture(height: int, width: int) -> NDArray[np.uint8]:
    """The colours from high (above) to low, as RGB [row, column, 3]."""
    column = np.rint(colours(np.linspace(1, 0, height, dtype=np.float32))).astype(np.uint8)
    return np.repeat(column[:, None], width, axis=1)
