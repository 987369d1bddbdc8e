"""What the command line says when it cannot do what was asked."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class NothingFound(VigilError):
    """The ledger knows no such study."""

    category = Category.INTERNAL
