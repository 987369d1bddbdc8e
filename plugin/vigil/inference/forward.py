"""A network as the strategies see it: channels first in, named tensors out, whatever the graph's own layout and type are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest.strategy import LARGEST_BATCH
from vigil.inference.errors import InferenceFailed, OutOfMemory
from vigil.inference.finite import insist_finite
from vigil.inference.leave import Leave
from vigil.inference.sessions import Session

Values = NDArray[np.float32]
Outputs = Mapping[str, Values]


@dataclass
class Batch:
    """How many inputs at a time the memory held, as far as this run has found out."""

    most: int


@dataclass(frozen=True, eq=False)
class Forward:
    """``layout`` and ``dtype``: of the graph. ``spatial``: outputs that have the input's axes; they come back channels first.
    ``detections``: outputs of boxes with those of their scores; both come back with a batch axis, which a graph for one image
    may lack."""

    session: Session
    layout: str
    dtype: str
    spatial: frozenset[str]
    detections: tuple[tuple[str, str], ...]
    leave: Leave
    ports: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By input of the graph, which channels it is given; empty where it has one input for all."""
    channels: int = 1
    """Of the prepared tensor: a slice with neighbours has them again for each."""
    batch: Batch = field(default_factory=lambda: Batch(LARGEST_BATCH))

    def __call__(self, batch: Values) -> Outputs:
        """``batch``: [N, C, ...]. Every output in float32. Those that have the input's axes are not looked at for what is no
        number: that is cheaper where they are whole.

        Raises: InferenceFailed for a value of the others that is no number; those of
        :meth:`vigil.inference.session.NetworkSession.run`.
        """
        given = {port: self._tensor(batch[:, self._of_every_neighbour(chosen, batch.shape[1])])
                 for port, chosen in self.ports.items()}
        outputs = self.session.run(given or self._tensor(batch), self.leave)
        for name in outputs.keys() - self.spatial:
            insist_finite(f"the output '{name}'", outputs[name])
        return self.told(outputs, len(batch))

    def told(self, outputs: Mapping[str, NDArray[np.number]], count: int) -> Outputs:
        """Outputs of ``count`` inputs in one type and one order of axes.

        Raises: InferenceFailed where one has not so many entries.
        """
        told = {name: self._channels_first(name, values.astype(np.float32, copy=False)) for name, values in outputs.items()}
        for boxes, scores in self.detections:
            if told[boxes].ndim == 2:
                told[boxes], told[scores] = told[boxes][None], told[scores][None]
        for name, values in told.items():
            if values.ndim == 0 or len(values) != count:
                raise InferenceFailed(f"the output '{name}' has shape {values.shape}; its first axis must be the {count} of "
                                      "the batch")
        return told

    def batched(self, items: Values, size: int) -> list[Outputs]:
        """``items``: [N, C, ...], run ``size`` at a time; where memory does not suffice, half as many, down to one."""
        done: list[Outputs] = []
        start, size = 0, min(size, self.batch.most)
        while start < len(items):
            try:
                done.append(self(items[start:start + size]))
            except OutOfMemory:
                if size == 1:
                    raise
                size = self.batch.most = size // 2
                continue
            start += size
        return done

    def _tensor(self, batch: Values) -> NDArray[np.number]:
        turned = np.moveaxis(batch, 1, -1) if self.layout.endswith("C") else batch
        return np.ascontiguousarray(_as(self.dtype, turned))

    def _of_every_neighbour(self, chosen: tuple[int, ...], count: int) -> list[int]:
        return [first + channel for first in range(0, count, self.channels) for channel in chosen]

    def _channels_first(self, name: str, values: Values) -> Values:
        if name in self.spatial and self.layout.endswith("C") and values.ndim == len(self.layout):
            return np.moveaxis(values, -1, 1)
        return values


def _as(dtype: str, values: Values) -> NDArray[np.number]:
    """Whole numbers are rounded and kept within what the type holds, never wrapped around."""
    if dtype == "float32":
        return values
    if dtype == "float16":
        return values.astype(np.float16)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
