"""A network of its own for a hospital of test servers.

Orthanc binds its DICOM port to every interface, whatever its configuration says. So the demo and the tests run it in a
Linux network namespace that holds nothing but a loopback interface: nothing outside can reach it, and its ports clash
with nobody's. The namespace belongs to the processes in it and is gone when the last of them ends.

As a command, ``network.py COMMAND...`` runs the command in such a namespace.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import socket
import struct
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
OWN_NETWORK = "VIGIL_OWN_NETWORK"
"""Environment: ``ns:<inode>`` of the namespace that was entered; or ``container``, set by a person whose container
already has a network of its own and may not make namespaces."""

LOWEST_PORT, PORTS = 10_240, 20_000
_given: set[int] = set()


class NamespaceUnavailable(Exception):
    """This machine does not let us make a network namespace."""


def enter_namespace() -> None:
    """Moves this thread, and every thread and process it starts from now on, into a fresh network namespace with
    loopback up. Does nothing when the process is in one already.

    Call it before threads are started: without root it needs a single-threaded process.

    Raises:
        NamespaceUnavailable: with what to do about it.
    """
    if in_own_network():
        return
    uid, gid = os.geteuid(), os.getegid()
    try:
        try:
            if uid != 0:
                raise PermissionError
            _unshare(CLONE_NEWNET)
        except PermissionError:
            # Inside a user namespace anyone may make a network namespace; user and group keep their numbers.
            _unshare(CLONE_NEWUSER | CLONE_NEWNET)
            _identity_map(uid, gid)
        _bring_loopback_up()
    except OSError as error:
        raise NamespaceUnavailable(
            f"Cannot make a network namespace ({error.strerror}). Run it as root, allow unprivileged user namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0), "
            f"or, in a container whose network nobody else can reach, set {OWN_NETWORK}=container."
        ) from error
    os.environ[OWN_NETWORK] = _this_namespace()


def in_own_network() -> bool:
    """Whether this process runs in a network that the hospital has for itself."""
    return os.environ.get(OWN_NETWORK) in ("container", _this_namespace())


def free_port() -> int:
    """A TCP port that nobody listens on, below the range that outgoing connections take theirs from, so that the port
    is still free when the server that is given it starts, and starts again. No process is given the same one twice: a
    hospital asks for all of its ports before its first server listens."""
    for _ in range(200):
        port = LOWEST_PORT + secrets.randbelow(PORTS)
        if port in _given:
            continue
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("0.0.0.0", port))  # noqa: S104 - Orthanc binds so; the probe never listens
                _given.add(port)
                return port
    raise OSError(f"No free TCP port between {LOWEST_PORT} and {LOWEST_PORT + PORTS}.")


class Relay:
    """A door from the machine's loopback into the namespace, for a person's browser.

    Made before :func:`enter_namespace` (a socket stays in the namespace it was made in), opened after it.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def open(self, inner_port: int) -> None:
        """Passes every connection on to ``127.0.0.1:inner_port`` of the namespace."""
        threading.Thread(target=self._accept, args=(inner_port,), name=f"relay-{inner_port}", daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self, inner_port: int) -> None:
        while True:
            try:
                outer, _ = self._listener.accept()
            except OSError:
                return
            try:
                inner = socket.create_connection(("127.0.0.1", inner_port), timeout=5)
            except OSError:
                outer.close()
                continue
            inner.settimeout(None)
            for source, target in ((outer, inner), (inner, outer)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Copies one direction until it ends; the sockets are closed when both directions have let go of them."""
    with suppress(OSError):
        while block := source.recv(65_536):
            target.sendall(block)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _this_namespace() -> str:
    # The namespace of the thread: /proc/self would be that of the process's first thread.
    return f"ns:{Path('/proc/thread-self/ns/net').stat().st_ino}"


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _identity_map(uid: int, gid: int) -> None:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _bring_loopback_up() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack_from("h", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("Usage: network.py COMMAND [ARGUMENT...]   (runs the command in a network namespace of its own)")
    try:
        enter_namespace()
    except NamespaceUnavailable as error:
        sys.exit(str(error))
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the caller's own command, without a shell


if __name__ == "__main__":
    main()
