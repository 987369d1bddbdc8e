"""Messages between the two processes: whole, bounded, each with one descriptor at most."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from vigil.inference.apart.channel import LARGEST_MESSAGE_BYTES, Channel
from vigil.inference.apart.errors import ChannelClosed, Garbled


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_message_comes_whole_with_its_descriptor() -> None:
    ours, end = Channel.pair()
    theirs = Channel(end)
    reading, writing = os.pipe()
    ours.send(b"one", writing)
    ours.send(b"x" * LARGEST_MESSAGE_BYTES)
    os.close(writing)
    assert theirs.waits(1)
    content, descriptor = theirs.receive()
    assert content == b"one"
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    os.write(descriptor, b"through")
    assert os.read(reading, 10) == b"through"
    os.close(descriptor)
    os.close(reading)
    assert theirs.receive() == (b"x" * LARGEST_MESSAGE_BYTES, None)
    assert not theirs.waits(0)


def test_a_message_that_is_too_long_is_none() -> None:
    ours, end = Channel.pair()
    end.send(b"x" * (LARGEST_MESSAGE_BYTES + 1))
    with pytest.raises(Garbled):
        ours.receive()
    with pytest.raises(ValueError, match="65537"):
        ours.send(b"x" * (LARGEST_MESSAGE_BYTES + 1))


@pytest.mark.parametrize("count", [2, 3, 40])
def test_more_descriptors_than_one_are_refused_and_none_stays_open(count: int) -> None:
    ours, end = Channel.pair()
    reading, writing = os.pipe()
    before = descriptors()
    socket.send_fds(end, [b"m"], [writing] * count)
    with pytest.raises(Garbled):
        ours.receive()
    assert descriptors() == before
    os.close(reading)
    os.close(writing)


def test_who_listens_waits_as_long_as_nothing_is_said_and_who_speaks_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigil.inference.apart.channel.SEND_WITHIN_S", 1)
    ours, end = Channel.pair()
    theirs = Channel(end)
    threading.Timer(1.5, ours.send, [b"at last"]).start()
    assert theirs.receive() == (b"at last", None)
    with pytest.raises(ChannelClosed):
        for _ in range(1000):  # until the socket has no room, for nobody reads
            theirs.send(b"x" * LARGEST_MESSAGE_BYTES)


def test_an_end_that_is_closed_is_told_on_both_ways() -> None:
    ours, end = Channel.pair()
    end.close()
    assert ours.waits(1)
    with pytest.raises(ChannelClosed):
        ours.receive()
    with pytest.raises(ChannelClosed):
        ours.send(b"m")
    ours.close()
    with pytest.raises(ChannelClosed):
        ours.receive()
