"""What keeps a model package from being approved, retired or brought back."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class PackageUnknown(VigilError):
    """No installed package bears this name."""

    category = Category.MODEL_FILE_MISSING


class NotAccepted(VigilError):
    """The package did not pass its test on this machine, or has none."""

    category = Category.MODEL_NOT_APPROVED


class NothingToChange(VigilError):
    """It stands as it was asked to already, or there is nothing to go back to."""

    category = Category.MODEL_NOT_APPROVED


class NoPackageMade(VigilError):
    """A graph that no manifest can describe, or a folder that is there already."""

    category = Category.MODEL_INVALID


class NoGoldenCase(VigilError):
    """There is nothing to run, or it does not run here."""

    category = Category.MODEL_INVALID
