"""What can go wrong with what Vigil remembers."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class LedgerUnavailable(VigilError):
    """The ledger cannot be opened, read or written: a damaged file, a full disk, a lock that is not let go, a newer schema."""

    category = Category.LEDGER_UNAVAILABLE


class LedgerRefused(VigilError):
    """The ledger works, but what it was given does not fit what it holds: a fault of the program, not of the site."""

    category = Category.INTERNAL


class SealBroken(VigilError):
    """A sealed value cannot be opened: another key, a changed value, or a value that belongs to another row."""

    category = Category.LEDGER_UNAVAILABLE


class RotationRefused(VigilError):
    """The sealing key cannot be changed now; nothing was changed."""

    category = Category.LEDGER_UNAVAILABLE


class StateUnusable(VigilError):
    """The state directory cannot be made or written."""

    category = Category.LEDGER_UNAVAILABLE


class BackupInvalid(VigilError):
    """A copy of the state that cannot be made, or that is not whole, not ours or too new."""

    category = Category.LEDGER_UNAVAILABLE


class StateInUse(StateUnusable):
    """Another process holds the state directory."""
