"""Tensors that go from one process to the other: the same bytes, and nothing that could still change or end its reader."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from apart_cases import opened as descriptors

from vigil.inference.apart.errors import Garbled
from vigil.inference.apart.tensors import SEALS, TYPES, Head, opened, sealed, taken
from vigil.inference.errors import InferenceFailed, OutOfMemory

MOST = 1 << 20


@pytest.mark.parametrize("back_by", [opened, taken])
@pytest.mark.parametrize("type_", sorted(TYPES))
def test_every_type_comes_back_as_it_was(type_: str, back_by: Callable[..., dict[str, Any]]) -> None:
    values = np.random.default_rng(1).integers(0, 100, (3, 4, 5)).astype(type_)
    heads, descriptor = sealed({"values": values})
    back = back_by(heads, descriptor, MOST)["values"]
    os.close(descriptor)  # what was opened needs it no more
    assert (back.dtype, back.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("back_by", [opened, taken])
def test_scalars_nothing_and_what_does_not_lie_in_order(back_by: Callable[..., dict[str, Any]]) -> None:
    tensors = {"scalar": np.array(7, np.int64), "none": np.empty((0, 3), np.float32),
               "turned": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)[:, ::-1]}
    heads, descriptor = sealed(tensors)
    back = back_by(heads, descriptor, MOST)
    os.close(descriptor)
    assert list(back) == list(tensors)
    for name, values in tensors.items():
        assert back[name].shape == values.shape
        np.testing.assert_array_equal(back[name], values)


def test_nothing_at_all() -> None:
    heads, descriptor = sealed({"none": np.empty((0,), np.float32)})
    assert opened(heads, descriptor, MOST)["none"].shape == (0,)
    os.close(descriptor)


def test_what_is_taken_as_a_copy_keeps_nothing_open() -> None:
    """A run may keep the outputs of each of a thousand slices, and Orthanc may open no more files than a thousand."""
    before, kept = descriptors(), []
    for _ in range(20):
        heads, descriptor = sealed({"values": np.ones(5000, np.float32)})
        kept.append(taken(heads, descriptor, MOST))
        os.close(descriptor)
    assert descriptors() == before
    assert all(values["values"].all() for values in kept)


def test_where_no_more_files_may_be_opened_that_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", none)
    with pytest.raises(OutOfMemory, match="Too many open files"):
        sealed({"values": np.ones(5, np.float32)})


def test_what_a_reader_writes_stays_with_it() -> None:
    heads, descriptor = sealed({"values": np.zeros(4, np.float32)})
    one, other = (opened(heads, descriptor, MOST)["values"] for _ in range(2))
    one[:] = 5
    assert not other.any()
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"1", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


@pytest.mark.parametrize("missing", [fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_WRITE])
def test_memory_that_could_still_be_cut_or_changed_is_refused(missing: int) -> None:
    descriptor = os.memfd_create("m", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 64)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS & ~missing)
    with pytest.raises(Garbled, match="could still be changed"):
        opened([Head(name="y", type="float32", shape=(16,))], descriptor, MOST)
    os.close(descriptor)


def test_something_that_is_no_memory_is_refused() -> None:
    reading, writing = os.pipe()
    with pytest.raises(Garbled, match="no memory"):
        opened([Head(name="y", type="float32", shape=(16,))], reading, MOST)
    os.close(reading)
    os.close(writing)


def test_what_is_not_as_large_as_it_says_is_refused() -> None:
    _, descriptor = sealed({"y": np.zeros(16, np.float32)})
    for shape in ((17,), (1 << 18,), (2, 3, 4)):
        with pytest.raises(Garbled, match="not what their heads say"):
            opened([Head(name="y", type="float32", shape=shape)], descriptor, MOST)
    with pytest.raises(Garbled, match="not what their heads say"):
        opened([Head(name="y", type="uint8", shape=(0,)), Head(name="y", type="float32", shape=(16,))], descriptor, MOST)
    os.close(descriptor)


def test_more_than_may_come_is_refused_before_anything_of_that_size_is_asked_for() -> None:
    _, descriptor = sealed({"y": np.zeros(16, np.float32)})
    for shape in ((1 << 40,), (1 << 40, 1 << 40), ((MOST >> 2) + 1,)):
        with pytest.raises(Garbled, match="at most 1 MiB may come"):
            opened([Head(name="y", type="float32", shape=shape)], descriptor, MOST)
    os.close(descriptor)


def test_who_gives_more_than_there_is_room_for_is_told_so() -> None:
    with pytest.raises(OutOfMemory, match=r"gave 2 MiB, more than the 1 MiB of Runtime\.MemoryBudgetMiB"):
        sealed({"y": np.zeros(1 << 19, np.float32)}, MOST)


@pytest.mark.parametrize("values", [np.array(["text"]), np.array([None]), [np.zeros(3)]])
def test_what_is_no_tensor_of_numbers_is_refused_by_its_name(values: object) -> None:
    with pytest.raises(InferenceFailed, match="the output 'y' is no tensor of numbers"):
        sealed({"y": values})  # type: ignore[dict-item]
