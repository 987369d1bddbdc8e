"""The minimal lower layer protocol: one message out, its own acknowledgement back, within a time limit."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from types import TracebackType

from vigil.delivery.destination import Connection, RisDestination
from vigil.delivery.errors import DestinationRefused, DestinationSilent, DestinationUnreachable, ProtocolError
from vigil.delivery.hl7.acknowledgement import (
    CARRIAGE_RETURN,
    END,
    START,
    Acknowledgement,
    BlockReader,
    parse_acknowledgement,
)
from vigil.domain.errors import Stopping

_LOOK_S = 0.2
"""How often a wait looks at the stop flag."""


class _ConnectionLost(Exception):
    """The connection ended before the acknowledgement; ``detail`` in words."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class MllpClient:
    """Sends to one destination, one message at a time (others wait for their turn).

    A persistent connection that the receiver closed in the meantime is opened again, and the same bytes are sent once
    more: the control id (MSH-10) tells the receiver that it is the same message.
    """

    def __init__(self, destination: RisDestination, ssl_context: ssl.SSLContext | None = None) -> None:
        self._destination = destination
        self._ssl = ssl_context
        self._turn = threading.Lock()
        self._socket: socket.socket | None = None
        self._blocks = BlockReader()

    def __enter__(self) -> MllpClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next message opens another."""
        with self._turn:
            self._disconnect()

    def send(self, message: bytes, control_id: str, stop: threading.Event) -> Acknowledgement:
        """Send one message and wait for the acknowledgement whose MSA-2 is ``control_id``.

        Raises
        ------
        DestinationUnreachable
            No connection: nothing was sent.
        DestinationSilent
            Sent, and no acknowledgement of it in time: the receiver may have it. Send the same bytes again.
        DestinationRefused
            TLS failed.
        ProtocolError
            What came back is not HL7.
        Stopping
            ``stop`` was set while waiting.
        """
        self._take_turn(stop)
        try:
            return self._exchange(message, control_id, stop)
        except BaseException:
            self._disconnect()  # a late acknowledgement must not meet the next message
            raise
        finally:
            if self._destination.connection is Connection.PER_MESSAGE:
                self._disconnect()
            self._turn.release()

    def _take_turn(self, stop: threading.Event) -> None:
        while not self._turn.acquire(timeout=_LOOK_S):
            if stop.is_set():
                raise Stopping(f"{self._destination.label}: stopped before sending")

    def _exchange(self, message: bytes, control_id: str, stop: threading.Event) -> Acknowledgement:
        if stop.is_set():
            raise Stopping(f"{self._destination.label}: stopped before sending")
        reused = self._still_open()
        if reused:
            with contextlib.suppress(_ConnectionLost):
                return self._attempt(message, control_id, stop)
            self._disconnect()
        self._connect()
        try:
            return self._attempt(message, control_id, stop)
        except _ConnectionLost as lost:
            raise DestinationSilent(
                f"{self._destination.label} {lost.detail} before it acknowledged the message; it may have received it. "
                "It is sent again with the same control id"
                + (". A receiver that asks for a client certificate and gets none closes like this" if self._ssl else "")
            ) from lost

    def _attempt(self, message: bytes, control_id: str, stop: threading.Event) -> Acknowledgement:
        deadline = time.monotonic() + self._destination.timeout_s
        self._write(START + message + END + CARRIAGE_RETURN, deadline, stop)
        others, unreadable = 0, None
        while True:
            try:
                blocks = self._blocks.feed(self._read(deadline, stop))
            except TimeoutError:
                break
            for block in blocks:
                try:
                    acknowledgement = parse_acknowledgement(block)
                except ProtocolError as error:
                    unreadable = error
                    continue
                if acknowledgement.control_id == control_id:
                    return acknowledgement
                others += 1
        label, seconds = self._destination.label, f"{self._destination.timeout_s:g} s"
        if unreadable is not None:
            raise ProtocolError(f"{label}: {unreadable.message}; no acknowledgement of this message within {seconds}")
        if others:
            raise DestinationSilent(
                f"{label} acknowledged {others} other message(s) but not this one within {seconds}: check that it "
                "returns MSH-10 in MSA-2"
            )
        raise DestinationSilent(
            f"{label} took the message and did not acknowledge it within {seconds}: check that its HL7 interface runs "
            "and answers"
        )

    def _connect(self) -> None:
        target = self._destination
        try:
            raw = socket.create_connection((target.host, target.port), timeout=target.connect_timeout_s)
        except OSError as error:
            raise DestinationUnreachable(
                f"{target.label} cannot be reached: {_words(error)}. Check host and port, the receiver's listener and "
                "the firewall"
            ) from error
        try:
            _keep_alive(raw)
            self._socket = self._secured(raw)
        except BaseException:
            raw.close()
            raise
        self._blocks = BlockReader()

    def _secured(self, raw: socket.socket) -> socket.socket:
        if self._ssl is None:
            return raw
        try:
            return self._ssl.wrap_socket(raw, server_hostname=self._destination.host)
        except TimeoutError as error:
            raise DestinationSilent(
                f"{self._destination.label} took the connection and did not answer the TLS handshake within "
                f"{self._destination.connect_timeout_s:g} s: does this port speak TLS?"
            ) from error
        except OSError as error:
            raise DestinationRefused(
                f"{self._destination.label}: TLS failed: {_words(error)}. Check the certificates of both sides and "
                "whether this port speaks TLS"
            ) from error

    def _write(self, block: bytes, deadline: float, stop: threading.Event) -> None:
        view = memoryview(block)
        self._patience(deadline, stop)
        while view:
            try:
                view = view[self._live().send(view) :]
            except TimeoutError as error:
                if self._patience(deadline, stop) <= 0:
                    raise DestinationSilent(
                        f"{self._destination.label} took the connection and reads nothing: check that its HL7 "
                        "interface runs"
                    ) from error
            except OSError as error:
                raise _ConnectionLost("broke the connection off") from error

    def _read(self, deadline: float, stop: threading.Event) -> bytes:
        """The next bytes; TimeoutError at the deadline."""
        while True:
            left = self._patience(deadline, stop)
            if left <= 0:
                raise TimeoutError
            try:
                received = self._live().recv(65536)
            except TimeoutError:
                continue
            except ssl.SSLError as error:
                # With TLS 1.3 a missing client certificate shows only here, at the first read.
                raise DestinationRefused(
                    f"{self._destination.label} ended TLS after the handshake: {_words(error)}. It probably asks for a "
                    "client certificate, or does not trust ours"
                ) from error
            except OSError as error:
                raise _ConnectionLost("broke the connection off") from error
            if not received:
                raise _ConnectionLost("closed the connection")
            return received

    def _patience(self, deadline: float, stop: threading.Event) -> float:
        """Seconds left; sets the socket's timeout to the next look at the stop flag."""
        if stop.is_set():
            raise Stopping(f"{self._destination.label}: stopped while waiting for the acknowledgement")
        left = deadline - time.monotonic()
        self._live().settimeout(max(0.001, min(_LOOK_S, left)))
        return left

    def _still_open(self) -> bool:
        """Whether the connection of the last message is there. Throws away what came since: acknowledgements of
        messages that nobody waits for any more."""
        if self._socket is None:
            return False
        try:
            self._socket.settimeout(0.0)
            while self._socket.recv(65536):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            self._blocks = BlockReader()
            self._socket.settimeout(_LOOK_S)
            return True
        except OSError:
            pass
        self._disconnect()
        return False

    def _live(self) -> socket.socket:
        if self._socket is None:
            raise _ConnectionLost("is not connected")
        return self._socket

    def _disconnect(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None


def _keep_alive(raw: socket.socket) -> None:
    """Let the kernel find out that a receiver is gone, and keep firewalls from forgetting an idle connection."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "the host name is unknown"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens on this port"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS error").replace("_", " ").lower()
    return error.strerror or type(error).__name__
