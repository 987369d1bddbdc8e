"""What can go wrong while a result is written as DICOM."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class ResultNotMade(VigilError):
    """A result object could not be written; the message says which and why."""

    category = Category.RESULT_NOT_MADE


class ReferenceUnusable(ResultNotMade):
    """The reference instance lacks what every object of its study must carry."""


class RequestContradicts(ResultNotMade):
    """Slices, voxels and masks of a request do not describe the same images."""
