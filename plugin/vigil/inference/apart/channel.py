"""One end of the way between Orthanc and a model's process: whole messages of bounded size, each with one descriptor at most.

A socket of Unix that keeps the bounds of messages (SOCK_SEQPACKET), so that there is no framing of ours to get wrong: half a
message cannot come, and one that is too large is seen as such.
"""

from __future__ import annotations

import array
import os
import select
import socket
import struct

from vigil.inference.apart.errors import ChannelClosed, Garbled

LARGEST_MESSAGE_BYTES = 64 << 10
SEND_WITHIN_S = 10
"""A message of this size finds room in the socket at once, unless the other side reads nothing."""


class Channel:
    """``end``: the socket, which this owns from now on."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        # Of sending alone: between two studies nobody has anything to say for hours.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_WITHIN_S, 0))

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """Ours, and the other side's end, to be handed to it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), theirs

    def send(self, content: bytes, descriptor: int | None = None) -> None:
        """Raises: ChannelClosed."""
        if not 0 < len(content) <= LARGEST_MESSAGE_BYTES:
            raise ValueError(f"a message of {len(content)} bytes")
        try:
            socket.send_fds(self._socket, [content], [] if descriptor is None else [descriptor])
        except OSError:
            raise ChannelClosed from None

    def waits(self, timeout_s: float) -> bool:
        """Whether there is something to receive, an end included, within this time."""
        waiting = select.poll()  # select(2) knows no descriptor above 1023, and Orthanc may have as many
        try:
            waiting.register(self._socket, select.POLLIN)
        except (OSError, ValueError):
            return True
        return bool(waiting.poll(timeout_s * 1000))

    def receive(self) -> tuple[bytes, int | None]:
        """A message, and the descriptor that came with it, which is the caller's to close.

        Raises: ChannelClosed; Garbled for what is no message.
        """
        room = socket.CMSG_SPACE(2 * array.array("i").itemsize)  # for one more than there may be
        try:
            content, ancillary, flags, _ = self._socket.recvmsg(LARGEST_MESSAGE_BYTES, room, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            raise ChannelClosed from None
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(data[:len(data) - len(data) % descriptors.itemsize])
        if len(descriptors) > 1 or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            _close(*descriptors)
            raise Garbled("a message that is too long, or brings too much with it")
        if not content:
            _close(*descriptors)
            raise ChannelClosed
        return content, descriptors[0] if descriptors else None

    def close(self) -> None:
        self._socket.close()


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
