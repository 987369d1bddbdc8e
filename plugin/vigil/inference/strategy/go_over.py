"""A prepared volume through its network, by the manifest's strategy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest.strategy import PerSlice, SlidingWindow, Strategy, Tiles
from vigil.inference.errors import InferenceFailed
from vigil.inference.finite import insist_finite
from vigil.inference.forward import Forward
from vigil.inference.strategy.per_slice import slice_by_slice
from vigil.inference.strategy.sliding_window import slid
from vigil.inference.strategy.tiles import Tile, tile_by_tile

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Given:
    """What a network gave of a volume. ``maps``: outputs of the volume's own axes, [channels, D, H, W]. ``entries``: the others,
    one entry for each slice, for each of the ``tiles`` where there are any, or a single one of the whole."""

    maps: dict[str, Values] = field(default_factory=dict)
    entries: dict[str, list[Values]] = field(default_factory=dict)
    tiles: tuple[Tile, ...] = ()


def go_over(tensor: Values, strategy: Strategy, forward: Forward) -> Given:
    """``tensor``: [C, D, H, W].

    Raises: InferenceFailed where an output has not the shape that it must have, or holds a value that is no number; what
    ``forward`` raises.
    """
    given = _gone_over(tensor, strategy, forward)
    for name, values in given.maps.items():
        insist_finite(f"the output '{name}'", values)
    return given


def _gone_over(tensor: Values, strategy: Strategy, forward: Forward) -> Given:
    if isinstance(strategy, SlidingWindow):
        names = sorted(forward.spatial)
        return Given(slid(tensor, strategy, lambda windows: forward.batched(windows, strategy.batch), names).maps)
    if isinstance(strategy, Tiles):
        return Given(*tile_by_tile(tensor, strategy, forward))
    if isinstance(strategy, PerSlice):
        entries = slice_by_slice(tensor, strategy, forward)
        maps = {name: _stacked(name, entries.pop(name), tensor.shape[1:]) for name in sorted(forward.spatial)}
        return Given(maps, entries)
    outputs = forward(tensor[None])
    maps = {name: outputs[name][0] for name in sorted(forward.spatial)}
    for name, values in maps.items():
        _insist_on(name, values, tensor.shape[1:])
    return Given(maps, {name: list(values) for name, values in outputs.items() if name not in maps})


def _stacked(name: str, slices: list[Values], shape: tuple[int, ...]) -> Values:
    if any(values.ndim != 3 for values in slices):
        raise InferenceFailed(f"the output '{name}' has {slices[0].ndim} axes for a slice; it must have channels, rows "
                              "and columns")
    values = np.stack(slices, axis=1)
    _insist_on(name, values, shape)
    return values


def _insist_on(name: str, values: Values, shape: tuple[int, ...]) -> None:
    if values.ndim != 4 or values.shape[1:] != shape:
        raise InferenceFailed(f"the output '{name}' has shape {values.shape}; it must be channels of its input's shape {shape}")
