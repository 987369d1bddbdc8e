"""A small disk of its own, that a test fills: a tmpfs in a mount namespace that nobody else sees."""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
MNT_DETACH = 2
BLOCK = 4096


class DiskUnavailable(Exception):
    """This machine does not let us mount."""


class SmallDisk:
    """``size_mib`` of memory at ``folder``, for this process and those that it starts from now on."""

    def __init__(self, folder: Path, size_mib: int) -> None:
        self.folder = folder
        self._size_mib = size_mib
        self._ballast = folder / "ballast"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"size={self._size_mib}m".encode()
        try:
            _insist(libc.unshare(CLONE_NEWNS))
            _insist(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
            _insist(libc.mount(b"tmpfs", bytes(self.folder), b"tmpfs", 0, options))
        except OSError as error:
            raise DiskUnavailable(f"Cannot mount a small disk ({error.strerror}): run this as root.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ctypes.CDLL(None).umount2(bytes(self.folder), MNT_DETACH)

    def fill(self) -> None:
        """Takes all space that is left, to the last block."""
        with self._ballast.open("ab", buffering=0) as file:
            for piece in (1 << 20, BLOCK, 1):
                with suppress(_Full):
                    while True:
                        _write(file.fileno(), piece)

    def free(self) -> None:
        """Gives back what :meth:`fill` took."""
        self._ballast.unlink(missing_ok=True)


class _Full(Exception):
    """No space is left for a piece of this size."""


def _write(descriptor: int, size: int) -> None:
    try:
        os.write(descriptor, b"\0" * size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _Full from error


def _insist(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
