"""What can go wrong when a person acknowledges."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class LinkInvalid(VigilError):
    """A link that was not made here, was changed, or has expired."""

    category = Category.POLICY


class NameInvalid(VigilError):
    """What was given as a person's name is none."""

    category = Category.POLICY
