"""Tensors from one process to the other: in memory without a name (memfd_create(2)), written once and sealed.

What is sealed can be neither changed nor cut any more, by nobody: so what was looked at stays as it was, and no reader is ended
by a page that is gone. The order and the places of the tensors follow from their heads.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vigil.inference.apart.errors import Garbled
from vigil.inference.apart.message import Message
from vigil.inference.errors import InferenceFailed, OutOfMemory

Type = Literal[
    "bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
]
TYPES = frozenset(("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
                   "uint64"))
MOST_TENSORS = 64
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
ALIGNED_BYTES = 64
AT_ONCE_BYTES = 1 << 30
"""Linux writes no more than 2 GiB at once."""


class Head(Message):
    """What a tensor is; its values lie in the memory that goes with the message."""

    name: Annotated[str, Field(max_length=256)]
    type: Type
    shape: Annotated[tuple[Annotated[int, Field(ge=0, le=1 << 40)], ...], Field(max_length=16)]

    @property
    def size_bytes(self) -> int:
        return np.dtype(self.type).itemsize * prod(self.shape)


Heads = Annotated[tuple[Head, ...], Field(max_length=MOST_TENSORS)]


def sealed(tensors: Mapping[str, NDArray[np.number]], most_bytes: int | None = None) -> tuple[tuple[Head, ...], int]:
    """The heads, and the descriptor of the memory with the values, which is the caller's to close.

    Raises: InferenceFailed for what is no tensor of numbers; OutOfMemory, also for more than ``most_bytes``.
    """
    heads = tuple(_head(name, values) for name, values in tensors.items())
    if most_bytes is not None and (needed := _places(heads)[-1]) > most_bytes:
        raise OutOfMemory(f"the network gave {needed >> 20} MiB, more than the {most_bytes >> 20} MiB of "
                          "Runtime.MemoryBudgetMiB; raise it")
    descriptor = -1
    try:
        descriptor = os.memfd_create("vigil-tensors", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        places = _places(heads)
        for values, place in zip(tensors.values(), places, strict=False):
            _write(descriptor, np.asarray(values, order="C").reshape(-1).view(np.uint8), place)
        os.ftruncate(descriptor, places[-1])
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS | fcntl.F_SEAL_SEAL)
    except (OSError, MemoryError) as error:
        if descriptor >= 0:
            os.close(descriptor)
        why = f" ({error.strerror})" if isinstance(error, OSError) else ""
        raise OutOfMemory(f"not enough memory to hand the tensors over to the model's process, or back{why}") from None
    return heads, descriptor


def opened(heads: Sequence[Head], descriptor: int, most_bytes: int) -> dict[str, NDArray[np.number]]:
    """The tensors, without a copy; what is written into one stays with the reader. A descriptor stays open as long as they do.

    Raises: Garbled where the memory is not what the heads say, is not sealed, or is more than ``most_bytes``.
    """
    whole = _looked_at(heads, descriptor, most_bytes)
    held = np.frombuffer(mmap.mmap(descriptor, whole, access=mmap.ACCESS_COPY), np.uint8) if whole else np.empty(0, np.uint8)
    return _tensors(heads, held)


def taken(heads: Sequence[Head], descriptor: int, most_bytes: int) -> dict[str, NDArray[np.number]]:
    """The same as a copy, which leaves nothing open: a run may keep the outputs of each of a thousand slices.

    Raises: Garbled, as :func:`opened`; OSError.
    """
    whole = _looked_at(heads, descriptor, most_bytes)
    held = np.empty(whole, np.uint8)
    done = 0
    while done < whole:
        done += os.preadv(descriptor, [held[done:done + AT_ONCE_BYTES].data], done)
    return _tensors(heads, held)


def _looked_at(heads: Sequence[Head], descriptor: int, most_bytes: int) -> int:
    """How many bytes there are, of which all can be read, now and later."""
    whole = _places(heads)[-1]
    if whole > most_bytes:
        raise Garbled(f"tensors of {whole >> 20} MiB, where at most {most_bytes >> 20} MiB may come")
    try:
        sealed_with = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:
        raise Garbled("tensors in something that is no memory") from None
    if sealed_with & SEALS != SEALS:
        raise Garbled("tensors in memory that could still be changed")
    if os.fstat(descriptor).st_size != whole or len({head.name for head in heads}) != len(heads):
        raise Garbled("tensors that are not what their heads say")
    return whole


def _tensors(heads: Sequence[Head], held: NDArray[np.uint8]) -> dict[str, NDArray[np.number]]:
    return {head.name: held[at:at + head.size_bytes].view(head.type).reshape(head.shape)
            for head, at in zip(heads, _places(heads), strict=False)}


def _head(name: str, values: object) -> Head:
    if not isinstance(values, np.ndarray) or values.dtype.name not in TYPES:
        raise InferenceFailed(f"the output '{name}' is no tensor of numbers")
    return Head(name=name, type=values.dtype.name, shape=values.shape)


def _write(descriptor: int, content: NDArray[np.uint8], place: int) -> None:
    done = 0
    while done < content.size:
        done += os.pwrite(descriptor, content[done:done + AT_ONCE_BYTES].data, place + done)


def _places(heads: Sequence[Head]) -> list[int]:
    """Where each begins, and where the last one ends."""
    places = [0]
    for head in heads:
        places.append(-(-(places[-1] + head.size_bytes) // ALIGNED_BYTES) * ALIGNED_BYTES)
    return places
