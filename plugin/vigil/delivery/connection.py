"""A connection to a server of the site (mail, webhook) that ends in time: where it is silent or slow, and when Orthanc stops."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vigil.delivery.errors import DestinationInvalid, DestinationUnreachable
from vigil.domain.errors import Stopping

CONNECT_S = 5.0
"""Opening a connection cannot be interrupted by a stop, and takes milliseconds where it works at all."""
_LOOK_S = 0.1


@contextmanager
def connected(label: str, host: str, port: int, timeout_s: float, stop: threading.Event) -> Iterator[socket.socket]:
    """A TCP connection, cut when ``stop`` is set and after ``timeout_s`` in all: whatever waits on it then fails.

    Raises :class:`DestinationUnreachable`, and :class:`Stopping` where ``stop`` is set.
    """
    if stop.is_set():
        raise Stopping(f"{label}: stopped before sending")
    try:
        raw = socket.create_connection((host, port), timeout=min(timeout_s, CONNECT_S))
    except OSError as error:
        raise DestinationUnreachable(
            f"{label} cannot be reached ({network_words(error)}). Check host and port, that it runs, and the firewall") from error
    raw.settimeout(timeout_s)
    over = threading.Event()
    handle = socket.socket(fileno=os.dup(raw.fileno()))  # TLS takes the first one over; this one stays ours to cut
    watch = threading.Thread(target=_watch, args=(handle, over, stop, time.monotonic() + timeout_s), name="vigil-watch",
                             daemon=True)
    watch.start()
    try:
        yield raw
    except Exception as error:
        if stop.is_set():
            raise Stopping(f"{label}: stopped while talking to it") from error
        raise
    finally:
        over.set()
        watch.join()
        handle.close()
        raw.close()


def _watch(handle: socket.socket, over: threading.Event, stop: threading.Event, deadline: float) -> None:
    while not over.wait(_LOOK_S):
        if stop.is_set() or time.monotonic() > deadline:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
            return


def read_secret(label: str, file: Path | None, variable: str | None) -> bytes:
    """From a file (its last line break is not part of it) or from the environment. Raises :class:`DestinationInvalid`."""
    if file is not None:
        try:
            secret = file.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
        except OSError as error:
            raise DestinationInvalid(f"{label}: its secret cannot be read from {file} ({error.strerror})") from error
        place = str(file)
    else:
        secret, place = os.environ.get(variable or "", "").encode(), f"the environment variable {variable}"
    if not secret:
        raise DestinationInvalid(f"{label}: {place} holds no secret")
    return secret


def tls_words(error: ssl.SSLError) -> str:
    """What went wrong with TLS, for a person who can mend it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (f"its certificate is not accepted: {error.verify_message}; renew it, use the name that it bears, or name its "
                "authority as AuthorityFile")
    return f"TLS failed ({(error.reason or 'error').replace('_', ' ').lower()}); check Security and port on both sides"


def network_words(error: OSError) -> str:
    """Why a connection was not made, or broke."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "the host name is unknown"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens on this port"
    return error.strerror or type(error).__name__
