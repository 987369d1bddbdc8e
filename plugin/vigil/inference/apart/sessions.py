"""The sessions of a model whose networks run in a process of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest import Network
from vigil.inference.apart.child import GRACE_S, Child
from vigil.inference.apart.messages import CONTENT, Made, Make, Run
from vigil.inference.apart.tensors import sealed
from vigil.inference.leave import Leave
from vigil.inference.session import Given
from vigil.inference.sessions import Graph, Means, Session


class ApartSession:
    """One network in the process. ``place``: which of those that were made there."""

    def __init__(
        self, child: Child, place: int, network: Network, made: Made, warm_outputs: Mapping[str, NDArray[np.number]]
    ) -> None:
        self._child = child
        self._place = place
        self._input = network.input or ""
        self._described = made.described
        self.provider: str = made.provider
        self.warm_shape = made.warm_shape
        self.warm_outputs = warm_outputs

    @property
    def alive(self) -> bool:
        return self._child.alive

    def describe(self) -> str:
        return self._described

    def run(self, given: Given, leave: Leave) -> Mapping[str, NDArray[np.number]]:
        """As :meth:`vigil.inference.session.NetworkSession.run`. Raises also: ModelProcessEnded."""
        leave.look()
        heads, descriptor = sealed(given if isinstance(given, Mapping) else {self._input: given})
        try:
            outputs = self._child.run(lambda number: Run(number=number, session=self._place, tensors=heads), descriptor, leave)
        finally:
            os.close(descriptor)
        return outputs


class MadeApart:
    """Makes the sessions of each model in a process of their own, which is there for that model alone. ``grace_s``: see
    :data:`vigil.inference.apart.child.GRACE_S`."""

    def __init__(self, interpreter: Path, *, grace_s: float = GRACE_S) -> None:
        self._interpreter = interpreter
        self._grace_s = grace_s

    def __call__(self, graphs: Sequence[Graph], means: Means, leave: Leave) -> list[Session]:
        begun_s = time.monotonic()
        # The model's time is for the model: how long a process takes to start is the machine's business.
        child = Child(self._interpreter, most_bytes=means.room_bytes, leave=Leave(leave.stop), grace_s=self._grace_s)
        leave = leave.later(time.monotonic() - begun_s)
        return [_made(child, place, graph, means, leave) for place, graph in enumerate(graphs)]


def _made(child: Child, place: int, graph: Graph, means: Means, leave: Leave) -> ApartSession:
    heads, descriptor = sealed({CONTENT: np.frombuffer(graph.content, np.uint8)})
    try:
        made, warm_outputs = child.make(lambda number: Make(
            number=number, network=graph.network, form=graph.form, accelerator=means.accelerator, threads=means.threads,
            allow_cpu_fallback=means.allow_cpu_fallback, room_bytes=means.room_bytes, tensors=heads), descriptor, leave)
    finally:
        os.close(descriptor)
    return ApartSession(child, place, graph.network, made, warm_outputs)
