"""What can go wrong between the rooms."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class EngineNotStarted(VigilError):
    """The workflow store could not be opened."""

    category = Category.LEDGER_UNAVAILABLE
