"""In a model's process: makes and runs the sessions that Orthanc orders, one order after another."""

from __future__ import annotations

import os
import queue
import resource
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vigil
from vigil.domain.errors import Category, VigilError, in_words
from vigil.inference.apart.channel import Channel
from vigil.inference.apart.errors import ChannelClosed, Garbled
from vigil.inference.apart.interpreter import own_version
from vigil.inference.apart.messages import (
    CONTENT,
    Answer,
    End,
    Failed,
    Gave,
    Made,
    Make,
    Order,
    Ready,
    Run,
    as_bytes,
    order_of,
)
from vigil.inference.apart.tensors import Head, opened, sealed
from vigil.inference.leave import Leave
from vigil.inference.session import NetworkSession
from vigil.inference.sessions import Graph, Means, one_made_here

Tensors = Mapping[str, NDArray[np.number]]


@dataclass(frozen=True)
class _Ordered:
    """``stop``: set when Orthanc wants it left."""

    order: Make | Run
    descriptor: int
    stop: threading.Event


class _Desk:
    """Takes orders from Orthanc in a thread of its own, so that the end of a run is heard while it runs."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._orders: queue.SimpleQueue[_Ordered] = queue.SimpleQueue()
        self._newest: _Ordered | None = None
        threading.Thread(target=self._listen, name="orders", daemon=True).start()

    def next(self) -> _Ordered:
        return self._orders.get()

    def _listen(self) -> None:
        while True:
            try:
                content, descriptor = self._channel.receive()
                self._take(order_of(content), descriptor)
            except (ChannelClosed, Garbled):
                os._exit(0)  # nobody waits for an answer any more
            except BaseException:  # noqa: BLE001 - the edge of a thread: without it nothing would be heard any more
                os._exit(1)

    def _take(self, order: Order, descriptor: int | None) -> None:
        if isinstance(order, End):
            if self._newest is not None and self._newest.order.number == order.number:
                self._newest.stop.set()
            return
        if descriptor is None:
            raise Garbled("an order without tensors")
        self._newest = _Ordered(order, descriptor, threading.Event())
        self._orders.put(self._newest)


class _Sessions:
    """``room_bytes``: what one answer may take, known with the first session."""

    def __init__(self) -> None:
        self._made: list[NetworkSession] = []
        self.room_bytes: int | None = None

    def fulfil(self, order: Make | Run, given: Tensors, leave: Leave) -> tuple[NetworkSession, Tensors]:
        if isinstance(order, Make):
            return self._make(order, given, leave)
        session = self._made[order.session]
        return session, session.run(given, leave)

    def _make(self, order: Make, given: Tensors, leave: Leave) -> tuple[NetworkSession, Tensors]:
        if self.room_bytes is None and not order.accelerator.on_a_gpu:
            _take_no_more_than(order.room_bytes)
        self.room_bytes = order.room_bytes
        means = Means(order.accelerator, order.threads, order.allow_cpu_fallback, order.room_bytes)
        session = one_made_here(Graph(given[CONTENT].tobytes(), order.network, order.form), means, leave)
        outputs, session.warm_outputs = session.warm_outputs, {}
        self._made.append(session)
        return session, outputs


def serve(end: socket.socket) -> None:
    """Until Orthanc is gone."""
    channel = Channel(end)
    desk, sessions = _Desk(channel), _Sessions()
    channel.send(as_bytes(Ready(python=own_version(), vigil=vigil.__version__)))
    while True:
        answer, descriptor = _answered(desk.next(), sessions)
        try:
            channel.send(as_bytes(answer), descriptor)
        except ChannelClosed:
            sys.exit(0)
        finally:
            if descriptor is not None:
                os.close(descriptor)


def _answered(ordered: _Ordered, sessions: _Sessions) -> tuple[Answer, int | None]:
    order = ordered.order
    try:
        given = opened(order.tensors, ordered.descriptor, sys.maxsize)
        session, outputs = sessions.fulfil(order, given, Leave(ordered.stop))
        heads, descriptor = sealed(outputs, sessions.room_bytes)
    except MemoryError:
        return Failed(number=order.number, category=Category.OUT_OF_MEMORY, message="not enough memory for the network"), None
    except VigilError as error:
        return _failed(order.number, error.category, error.message), None
    except Exception as error:  # noqa: BLE001 - the edge of the process: Orthanc is told, and decides
        return _failed(order.number, Category.INTERNAL, in_words(error)), None
    finally:
        os.close(ordered.descriptor)
    return _told(order, session, heads), descriptor


def _told(order: Make | Run, session: NetworkSession, heads: tuple[Head, ...]) -> Answer:
    if isinstance(order, Run):
        return Gave(number=order.number, tensors=heads)
    return Made.model_validate({
        "number": order.number, "provider": session.provider, "described": session.describe(),
        "warm_shape": session.warm_shape, "tensors": heads})


def _failed(number: int, category: Category, message: str) -> Failed:
    return Failed.model_validate({"number": number, "category": category, "message": message[:1000] or category.value})


def _take_no_more_than(room_bytes: int) -> None:
    """Beside what the libraries took: what is asked for beyond fails where it is asked for, and ends nothing. (CUDA maps more
    than it takes, so a limit would say nothing there.)"""
    status = Path("/proc/self/status").read_text("ascii", "replace")
    taken_kib = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:")), 0)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = (taken_kib << 10) + room_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
