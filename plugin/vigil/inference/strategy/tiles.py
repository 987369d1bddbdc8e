"""Tile by tile over each slice across the first axis: an image that is larger than what its network takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest.strategy import Tiles
from vigil.inference.forward import Forward
from vigil.inference.strategy.sliding_window import slid

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Tile:
    """A part of a slice. ``corner``: its first row and column, below 0 where it begins with padding. ``sides``: rows and
    columns."""

    index: int
    corner: tuple[int, int]
    sides: tuple[int, int]


def tile_by_tile(
    tensor: Values, rule: Tiles, forward: Forward
) -> tuple[dict[str, Values], dict[str, list[Values]], tuple[Tile, ...]]:
    """``tensor``: [C, D, H, W]. Outputs that have the input's axes, blended, [channels, D, H, W]; an entry of the others for each
    tile; and the tiles.

    Raises: InferenceFailed where an output has not the tile's shape; what ``forward`` raises.
    """
    names = sorted(forward.spatial)
    maps: dict[str, list[Values]] = {name: [] for name in names}
    entries: dict[str, list[Values]] = {}
    tiles: list[Tile] = []
    for index in range(tensor.shape[1]):
        done = slid(tensor[:, index], rule, lambda windows: forward.batched(windows, rule.batch), names)
        for name in names:
            maps[name].append(done.maps[name])
        for name, values in done.entries.items():
            entries.setdefault(name, []).extend(values)
        tiles.extend(Tile(index, (rows, columns), rule.tile) for rows, columns in done.corners)
    return {name: np.stack(slices, axis=1) for name, slices in maps.items()}, entries, tuple(tiles)
