"""What can go wrong between the rooms."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class EngineNotStarted(VigilError):
    """The workflow store could not be opened."""

    category = Category.LEDGER_UNAVAILABLE


class AlertUnknown(VigilError):
    """No alert, or several, bear what was given as an id."""

    category = Category.POLICY


class AlertUnchanged(VigilError):
    """What was asked of an alert cannot be done with it as it is."""

    category = Category.POLICY
