"""What Orthanc says to a model's process, and what that may answer. JSON, read by its form alone.

Each order has a number, and is answered once, with that number. One order is under way at a time.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from vigil.domain.errors import Category
from vigil.domain.manifest import Network
from vigil.inference.apart.errors import Garbled
from vigil.inference.apart.message import Message
from vigil.inference.apart.tensors import Heads
from vigil.inference.providers import Accelerator
from vigil.inference.tensor_form import TensorForm

READY: Literal[0] = 0
"""The number of what the process says by itself, when it has started."""
CONTENT = "content"
"""The name of the tensor that is the file of a network."""

Number = Annotated[int, Field(ge=0)]
Said = Annotated[str, Field(min_length=1, max_length=1000)]


class Make(Message):
    """Make the next session and warm it."""

    kind: Literal["make"] = "make"
    number: Number
    network: Network
    form: TensorForm
    accelerator: Accelerator
    threads: int
    allow_cpu_fallback: bool
    room_bytes: int
    tensors: Heads


class Run(Message):
    """Run the session that was made as the ``session``-th, from 0."""

    kind: Literal["run"] = "run"
    number: Number
    session: Number
    tensors: Heads


class End(Message):
    """Leave what was ordered under this number, if it is still under way."""

    kind: Literal["end"] = "end"
    number: Number


class Ready(Message):
    """``python``: "3.11". ``vigil``: the version of the bundle that it runs."""

    kind: Literal["ready"] = "ready"
    number: Literal[0] = READY
    python: Annotated[str, Field(max_length=16)]
    vigil: Annotated[str, Field(max_length=64)]


class Made(Message):
    """``described``: for people. ``tensors``: what the run on zeros gave."""

    kind: Literal["made"] = "made"
    number: Number
    provider: Literal["cpu", "cuda", "tensorrt"]
    described: Annotated[str, Field(pattern=r"^[ -~]{1,100}$")]
    warm_shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=16)]
    tensors: Heads


class Gave(Message):
    kind: Literal["gave"] = "gave"
    number: Number
    tensors: Heads


class Failed(Message):
    """An error of the sessions' own, by its category and in its words."""

    kind: Literal["failed"] = "failed"
    number: Number
    category: Literal[
        Category.MODEL_INVALID, Category.MODEL_NOT_LOADED, Category.INFERENCE_FAILED, Category.OUT_OF_MEMORY,
        Category.STOPPING, Category.LIBRARY_MISSING, Category.INTERNAL,
    ]
    message: Said


Order = Make | Run | End
Answer = Ready | Made | Gave | Failed
_ORDERS: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="kind")])
_ANSWERS: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="kind")])


def as_bytes(message: Order | Answer) -> bytes:
    return message.model_dump_json().encode()


def order_of(content: bytes) -> Order:
    """Raises: Garbled."""
    try:
        return _ORDERS.validate_json(content)
    except ValidationError:
        raise Garbled("no order") from None


def answer_of(content: bytes) -> Answer:
    """Raises: Garbled."""
    try:
        return _ANSWERS.validate_json(content)
    except ValidationError:
        raise Garbled("no answer") from None
