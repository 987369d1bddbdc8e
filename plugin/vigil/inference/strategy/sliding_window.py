"""Window by window over a volume, or tile by tile over an image, the results blended by an importance that falls off from the
middle of each window.

The places of the windows, the importance and its least value are those of MONAI 1.x (``SlidingWindowInferer``,
``dense_patch_slices``, ``compute_importance_map``), so that a network answers here as where it was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product, zip_longest
from math import ceil

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest.strategy import SlidingWindow, Tiles
from vigil.inference.errors import InferenceFailed

Values = NDArray[np.float32]
LEAST_IMPORTANCE = 1e-3


Rule = SlidingWindow | Tiles
Window = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Slid:
    """``maps``: blended, [channels, ...]. ``entries``: of the other outputs, one for each window. ``corners``: first place of
    each window, below 0 where it begins with padding."""

    maps: dict[str, Values]
    entries: dict[str, list[Values]]
    corners: tuple[tuple[int, ...], ...]


def slid(
    tensor: Values, rule: Rule, run: Callable[[Values], Iterable[Mapping[str, Values]]], names: Sequence[str]
) -> Slid:
    """``tensor``: [C, D, H, W] for windows, [C, H, W] for tiles. ``run``: of some windows [N, C, ...], in one piece or several.
    ``names``: of the outputs that are blended.

    Raises: InferenceFailed where an output has not the window's shape; what ``run`` raises.
    """
    padded, inner = _padded(tensor, rule)
    shape = padded.shape[1:]
    windows = [
        tuple(slice(start, start + side) for start, side in zip(place, rule.sides, strict=True))
        for place in product(*(_starts(count, side, rule.overlap) for count, side in zip(shape, rule.sides, strict=True)))
    ]
    batches = [windows[first:first + rule.batch] for first in range(0, len(windows), rule.batch)]
    blend = _Blend(rule, shape, names)

    def stacked(chosen: Sequence[Window]) -> Values:
        return np.stack([padded[(slice(None), *window)] for window in chosen])

    # While the network runs on one batch, the next is stacked and what the last one gave is blended: a GPU would wait for both.
    with ThreadPoolExecutor(1, "vigil-blend") as beside:
        given = beside.submit(stacked, batches[0])
        added: Future[None] | None = None
        for chosen, following in zip_longest(batches, batches[1:]):
            batch = given.result()
            if following is not None:
                given = beside.submit(stacked, following)
            pieces = list(run(batch))
            if added is not None:
                added.result()
            added = beside.submit(blend.add, chosen, pieces)
        if added is not None:
            added.result()
    corners = tuple(tuple(at.start - start.start for at, start in zip(window, inner, strict=True)) for window in windows)
    return Slid(blend.maps(inner), blend.entries, corners)


class _Blend:
    """Sums up what the windows gave, each by its importance."""

    def __init__(self, rule: Rule, shape: tuple[int, ...], names: Sequence[str]) -> None:
        self.entries: dict[str, list[Values]] = {}
        self._sides, self._names, self._shape = rule.sides, names, shape
        self._importance = importance_map(rule)
        self._weights = np.zeros(shape, np.float32)
        self._sums: dict[str, Values] = {}
        # Of one channel, so that nothing is taken and given back while the network's threads run.
        self._weighted = np.empty(rule.sides, np.float32)

    def add(self, windows: Sequence[Window], pieces: Sequence[Mapping[str, Values]]) -> None:
        """Raises: InferenceFailed where an output has not the window's shape."""
        for name in self._names:
            values = [value for piece in pieces for value in piece[name]]
            for window, value in zip(windows, values, strict=True):
                if value.shape[1:] != self._sides:
                    raise InferenceFailed(f"the output '{name}' has shape {value.shape}, not that of its window {self._sides}")
                if name not in self._sums:
                    self._sums[name] = np.zeros((len(value), *self._shape), np.float32)
                for total, channel in zip(self._sums[name], value, strict=True):
                    np.multiply(channel, self._importance, out=self._weighted)
                    total[window] += self._weighted
        for window in windows:
            self._weights[window] += self._importance
        for piece in pieces:
            for name in piece.keys() - set(self._names):
                self.entries.setdefault(name, []).extend(piece[name])

    def maps(self, inner: Window) -> dict[str, Values]:
        """The means, of what lies within the padding; the last that is asked of it."""
        for total in self._sums.values():
            np.divide(total, self._weights, out=total)
        return {name: np.ascontiguousarray(total[(slice(None), *inner)]) for name, total in self._sums.items()}


def importance_map(rule: Rule) -> Values:
    """Of a window: 1 everywhere, or a Gaussian that is never less than a thousandth."""
    if rule.blend == "constant":
        return np.ones(rule.sides, np.float32)
    importance = np.ones((), np.float32)
    for side in rule.sides:
        places = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
        bell = np.exp(places**2 / np.float32(-2 * (side * rule.sigma) ** 2))
        importance = importance[..., None] * bell
    return np.maximum(importance, np.float32(max(float(importance.min()), LEAST_IMPORTANCE)))


def _starts(count: int, side: int, overlap: float) -> list[int]:
    """Of the windows along an axis; the last one ends with it."""
    step = max(1, int(side * (1 - overlap)))
    needed = next(index for index in range(ceil(count / step)) if index * step + side >= count)
    return [min(index * step, count - side) for index in range(needed + 1)]


def _padded(tensor: Values, rule: Rule) -> tuple[Values, tuple[slice, ...]]:
    """At least as large as a window, and where the tensor lies in it."""
    missing = [max(0, side - count) for side, count in zip(rule.sides, tensor.shape[1:], strict=True)]
    before = [gap // 2 for gap in missing]
    inner = tuple(slice(start, start + count) for start, count in zip(before, tensor.shape[1:], strict=True))
    if not any(missing):
        return tensor, inner
    widths = [(0, 0), *((start, gap - start) for start, gap in zip(before, missing, strict=True))]
    return np.pad(tensor, widths, constant_values=rule.padding), inner
