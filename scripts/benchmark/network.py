"""The model's network, run once and then replayed: what is measured is everything around it.

A stopwatch stands at the door of ``session.run``. What is spent before its first call is the way to the network, what is spent
after its last is the way from it; what lies between is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from benchmark.stopwatch import NOTHING, Spent, now
from vigil.inference.leave import Leave
from vigil.inference.session import NetworkSession

Outputs = Mapping[str, NDArray[np.number]]
Key = tuple[int, tuple[int, ...]]


class NetworkDoor:
    """``entered`` and ``left``: readings at the first call's begin and the last call's end since :meth:`watch`;
    ``inside``: what the calls took. ``ran``: what the networks themselves took when they really ran."""

    def __init__(self) -> None:
        self._known: dict[Key, Outputs] = {}
        self.ran = NOTHING
        self.entered: Spent | None = None
        self.left: Spent | None = None
        self.inside = NOTHING

    def watch(self) -> None:
        self.entered = self.left = None
        self.inside = NOTHING

    def forget(self) -> None:
        """The networks really run once more."""
        self._known.clear()
        self.ran = NOTHING

    @contextmanager
    def open(self) -> Iterator[NetworkDoor]:
        """While open, every session's ``run`` goes through this door."""
        real = NetworkSession.run

        def run(session: NetworkSession, tensor: NDArray[np.float32], leave: Leave) -> Outputs:
            begun = now()
            if self.entered is None:
                self.entered = begun
            key = (id(session), tensor.shape)
            if key not in self._known:
                self._known[key] = real(session, tensor, leave)
                self.ran += now() - begun
            outputs = {name: values.copy() for name, values in self._known[key].items()}
            self.left = now()
            self.inside += self.left - begun
            return outputs

        NetworkSession.run = run  # type: ignore[method-assign, assignment]  # the one door that all models' networks have
        try:
            yield self
        finally:
            NetworkSession.run = real  # type: ignore[method-assign]
