"""Orthanc's side of a model's process: an order, its answer, and what is done where none comes."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

import vigil
from vigil.domain.errors import Category, VigilError
from vigil.inference.apart.channel import Channel
from vigil.inference.apart.errors import ChannelClosed, Garbled, ModelProcessEnded
from vigil.inference.apart.interpreter import own_version
from vigil.inference.apart.messages import READY, Answer, End, Failed, Gave, Made, Make, Ready, Run, answer_of, as_bytes
from vigil.inference.apart.process import ModelProcess
from vigil.inference.apart.tensors import taken
from vigil.inference.errors import (
    InferenceError,
    InferenceFailed,
    ModelInvalid,
    ModelNotLoaded,
    OutOfMemory,
)
from vigil.inference.leave import Leave

LOOK_EVERY_S = 0.05
START_WITHIN_S = 60.0
GRACE_S = 2.0
"""What a graph that was told to end has for the node that it is at. Then its process is ended."""
GONE_WITHIN_S = 1.0
"""Its end of the channel closes a little before it is gone."""

_RAISED: dict[Category, type[InferenceError]] = {
    Category.MODEL_INVALID: ModelInvalid, Category.MODEL_NOT_LOADED: ModelNotLoaded, Category.INFERENCE_FAILED: InferenceFailed,
    Category.OUT_OF_MEMORY: OutOfMemory,
}

Tensors = dict[str, NDArray[np.number]]


def folders_of_the_bundle() -> tuple[str, ...]:
    """Where this process has the bundle's code and libraries from."""
    modules = (vigil.__file__, np.__file__, onnxruntime.__file__)
    return tuple(dict.fromkeys(str(Path(str(file)).resolve().parents[1]) for file in modules))


class Child:
    """One process and the way to it. It ends when this is forgotten: whoever still runs a session of it holds it.

    ``most_bytes``: of tensors in one answer. ``grace_s``: see :data:`GRACE_S`.

    Raises: ModelNotLoaded, Stopping, VigilError of the category "library-missing": where it does not start. No model is in it
    yet, so none is to blame.
    """

    def __init__(self, interpreter: Path, *, most_bytes: int, leave: Leave, grace_s: float = GRACE_S) -> None:
        self._most_bytes = most_bytes
        self._grace_s = grace_s
        self._number: int = READY
        self._lock = threading.Lock()
        try:
            self._channel, theirs = Channel.pair()
        except OSError as error:
            raise ModelNotLoaded(f"no connection to a model's process can be made ({error.strerror}); see how many files "
                                 "Orthanc's user may have open") from None
        try:
            self._process = ModelProcess(interpreter, folders_of_the_bundle(), theirs)
        except BaseException:
            self._channel.close()
            raise
        weakref.finalize(self, _let_go, self._process, self._channel)
        self._greet(leave)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.runs

    def make(self, order: Callable[[int], Make], descriptor: int, leave: Leave) -> tuple[Made, Tensors]:
        """``order``: by its number."""
        answer, tensors = self._ordered(order, descriptor, leave)
        if not isinstance(answer, Made):
            raise self._put_down("it answered another order than was given")
        return answer, tensors

    def run(self, order: Callable[[int], Run], descriptor: int, leave: Leave) -> Tensors:
        answer, tensors = self._ordered(order, descriptor, leave)
        if not isinstance(answer, Gave):
            raise self._put_down("it answered another order than was given")
        return tensors

    def _greet(self, leave: Leave) -> None:
        """Waits until it has imported what it needs."""
        until_s = time.monotonic() + START_WITHIN_S
        while not self._channel.waits(LOOK_EVERY_S):
            if leave.over or time.monotonic() >= until_s:
                self._end()
                leave.look()
                raise ModelNotLoaded(f"the model's process did not start within {START_WITHIN_S:g} s; see what keeps this "
                                     "machine busy, and restart Orthanc")
        try:
            answer, _ = self._received(READY, leave)
        except ModelProcessEnded as ended:
            raise ModelNotLoaded(f"the model's process did not start: {ended.message}") from None
        if not isinstance(answer, Ready) or (answer.python, answer.vigil) != (own_version(), vigil.__version__):
            self._end()
            raise ModelNotLoaded(f"the model's process is of another bundle or Python than Orthanc's {vigil.__version__} on "
                                 f"{own_version()}; restart Orthanc after an update")

    def _ordered(self, order: Callable[[int], Make | Run], descriptor: int, leave: Leave) -> tuple[Answer, Tensors]:
        with self._lock:
            self._number += 1
            self._process.remember_memory()
            try:
                self._channel.send(as_bytes(order(self._number)), descriptor)
            except ChannelClosed:
                raise self._gone() from None
            self._wait(leave)
            return self._received(self._number, leave)

    def _wait(self, leave: Leave) -> None:
        """Until it answers, or is gone. Where the leave is over the graph is asked to end, and ended if it does not."""
        deadline_s: float | None = None
        while not self._channel.waits(LOOK_EVERY_S):
            if deadline_s is None:
                if leave.over:
                    deadline_s = time.monotonic() + self._grace_s
                    try:
                        self._channel.send(as_bytes(End(number=self._number)))
                    except ChannelClosed:
                        return  # which is what is received then
            elif time.monotonic() >= deadline_s:
                self._end()
                leave.look()

    def _received(self, number: int, leave: Leave) -> tuple[Answer, Tensors]:
        """An answer to this order; raises what it says went wrong."""
        descriptor = None
        try:
            content, descriptor = self._channel.receive()
            answer = answer_of(content)
            if answer.number != number:
                raise Garbled("an answer to another order")
            if isinstance(answer, Failed):
                if answer.category is Category.STOPPING:  # so it was asked to, or lies
                    leave.look()
                    raise Garbled("that it was asked to end")
                raise _error_of(answer)
            if isinstance(answer, Ready):
                return answer, {}
            if descriptor is None:
                raise Garbled("an answer without its tensors")
            return answer, taken(answer.tensors, descriptor, self._most_bytes)
        except Garbled as garbled:
            raise self._put_down(f"it answered {garbled}") from None
        except ChannelClosed:
            raise self._gone() from None
        except (OSError, MemoryError):  # no room for what it gave
            raise OutOfMemory("not enough memory to take what the network gave") from None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _gone(self) -> ModelProcessEnded:
        """What is raised where its end of the channel is closed."""
        ended = self._process.ended(GONE_WITHIN_S)
        if ended is None:
            return self._put_down("it closed its connection")
        self._channel.close()
        return ModelProcessEnded(ended.said(), for_memory=ended.killed_for_memory)

    def _put_down(self, why: str) -> ModelProcessEnded:
        """What is raised where it is not to be trusted any more. It is ended."""
        self._end()
        return ModelProcessEnded(f"the process that ran the model was ended, for {why}; tell the model's vendor")

    def _end(self) -> None:
        _let_go(self._process, self._channel)
        self._process.ended()


def _let_go(process: ModelProcess, channel: Channel) -> None:
    process.kill()
    channel.close()


def _error_of(answer: Failed) -> VigilError:
    message = "".join(letter if letter.isprintable() else " " for letter in answer.message)
    raised = _RAISED.get(answer.category)
    return VigilError(message, category=answer.category) if raised is None else raised(message)
