"""One connection to one address of a receiver: opened, kept alive, written and read with a limit to every wait."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator

from vigil.delivery.connection import network_words
from vigil.delivery.destination import Address, RisDestination
from vigil.delivery.errors import DestinationRefused, DestinationSilent, DestinationUnreachable
from vigil.delivery.hl7.acknowledgement import CARRIAGE_RETURN, END, START, BlockReader
from vigil.delivery.tls import client_context, failure
from vigil.domain.errors import Stopping

LOOK_S = 0.2
"""How often a wait looks at the stop flag."""


class ConnectionLost(Exception):
    """The connection ended before the acknowledgement; ``detail`` in words."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Line:
    """Opened by its making.

    Raises
    ------
    DestinationUnreachable, DestinationSilent, DestinationRefused, DestinationInvalid
        No connection, no TLS handshake in time, TLS refused by one of the sides, or files of TLS that cannot be used.
    """

    def __init__(self, destination: RisDestination, address: Address) -> None:
        self.address = address
        self.label = destination.label_at(address)
        self._tls = destination.tls
        self._connect_timeout_s = destination.connect_timeout_s
        self._blocks = BlockReader()
        self.heard = False
        """Whether the receiver ever said anything."""
        context = None if self._tls is None else client_context(self._tls, self.label)
        try:
            raw = socket.create_connection((address.host, address.port), timeout=self._connect_timeout_s)
        except OSError as error:
            raise DestinationUnreachable(
                f"{self.label} cannot be reached: {network_words(error)}. Check host and port, the receiver's listener and "
                "the firewall"
            ) from error
        try:
            _keep_alive(raw)
            self._socket = raw if context is None else self._secured(raw, context)
        except BaseException:
            raw.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def still_open(self) -> bool:
        """Whether the connection of the last message is there. Throws away what came since: acknowledgements of
        messages that nobody waits for any more."""
        try:
            self._socket.settimeout(0.0)
            while self._socket.recv(65536):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            self._blocks = BlockReader()
            self._socket.settimeout(LOOK_S)
            return True
        except OSError:
            pass
        return False

    def write(self, message: bytes, deadline: float, stop: threading.Event) -> None:
        """One message in its MLLP frame."""
        view = memoryview(START + message + END + CARRIAGE_RETURN)
        self._patience(deadline, stop)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError as error:
                if self._patience(deadline, stop) <= 0:
                    raise DestinationSilent(
                        f"{self.label} took the connection and reads nothing: check that its HL7 interface runs"
                    ) from error
            except OSError as error:
                raise ConnectionLost("broke the connection off") from error

    def blocks(self, deadline: float, stop: threading.Event) -> Iterator[bytes]:
        """What comes back, block for block, until the deadline."""
        while (received := self._read(deadline, stop)) is not None:
            self.heard = True
            yield from self._blocks.feed(received)

    def _read(self, deadline: float, stop: threading.Event) -> bytes | None:
        """The next bytes; None at the deadline."""
        while self._patience(deadline, stop) > 0:
            try:
                received = self._socket.recv(65536)
            except TimeoutError:
                continue
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
                raise ConnectionLost("closed the connection") from error
            except ssl.SSLError as error:
                # With TLS 1.3 a missing client certificate shows only here, at the first read.
                raise self._refused(error, "ended TLS after the handshake") from error
            except OSError as error:
                raise ConnectionLost("broke the connection off") from error
            if not received:
                raise ConnectionLost("closed the connection")
            return received
        return None

    def _patience(self, deadline: float, stop: threading.Event) -> float:
        """Seconds left; sets the socket's timeout to the next look at the stop flag."""
        if stop.is_set():
            raise Stopping(f"{self.label}: stopped while waiting for the acknowledgement")
        left = deadline - time.monotonic()
        self._socket.settimeout(max(0.001, min(LOOK_S, left)))
        return left

    def _secured(self, raw: socket.socket, context: ssl.SSLContext) -> socket.socket:
        try:
            return context.wrap_socket(raw, server_hostname=self._asked_for)
        except TimeoutError as error:
            raise DestinationSilent(
                f"{self.label} took the connection and did not answer the TLS handshake within "
                f"{self._connect_timeout_s:g} s: does this port speak TLS?"
            ) from error
        except OSError as error:
            raise self._refused(error, "TLS failed") from error

    @property
    def _asked_for(self) -> str:
        return (self._tls.server_name if self._tls is not None else None) or self.address.host

    def _refused(self, error: OSError, how: str) -> DestinationRefused:
        return DestinationRefused(f"{self.label}: {how}: {failure(error, self._asked_for)}")


def _keep_alive(raw: socket.socket) -> None:
    """Let the kernel find out that a receiver is gone, and keep firewalls from forgetting an idle connection."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
