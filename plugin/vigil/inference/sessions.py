"""What a model's networks run in: sessions in Orthanc's process, or (:mod:`vigil.inference.apart`) in one of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest import Network
from vigil.inference.leave import Leave
from vigil.inference.providers import Accelerator
from vigil.inference.session import Given, NetworkSession
from vigil.inference.tensor_form import TensorForm


class Session(Protocol):
    """One network, made and warm. What each part means, and what is raised: :class:`vigil.inference.session.NetworkSession`."""

    warm_outputs: Mapping[str, NDArray[np.number]]

    @property
    def provider(self) -> str: ...
    @property
    def warm_shape(self) -> tuple[int, ...]: ...
    @property
    def alive(self) -> bool:
        """False where it cannot run any more and another must be made in its place."""
        ...

    def describe(self) -> str: ...
    def run(self, given: Given, leave: Leave) -> Mapping[str, NDArray[np.number]]: ...


@dataclass(frozen=True, eq=False)
class Graph:
    """A network of a model: its file's bytes, and what it will be given."""

    content: bytes
    network: Network
    form: TensorForm


@dataclass(frozen=True)
class Means:
    """What sessions are made with. ``room_bytes``: what one run may take."""

    accelerator: Accelerator
    threads: int
    allow_cpu_fallback: bool
    room_bytes: int


class SessionMaker(Protocol):
    """Makes the sessions of one model, in the order of its graphs. They are let go by being forgotten.

    Raises: what :class:`vigil.inference.session.NetworkSession` does; ModelProcessEnded.
    """

    def __call__(self, graphs: Sequence[Graph], means: Means, leave: Leave) -> list[Session]: ...


def made_here(graphs: Sequence[Graph], means: Means, leave: Leave) -> list[Session]:
    """In this process."""
    return [one_made_here(graph, means, leave) for graph in graphs]


def one_made_here(graph: Graph, means: Means, leave: Leave) -> NetworkSession:
    return NetworkSession(
        graph.content, graph.network, graph.form, accelerator=means.accelerator, threads=means.threads,
        allow_cpu_fallback=means.allow_cpu_fallback, room_bytes=means.room_bytes, leave=leave)
