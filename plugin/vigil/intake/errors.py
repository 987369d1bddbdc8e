"""What can be wrong with what arrived. Messages name counts, positions and attributes, never a value that a patient
could be known by."""

from __future__ import annotations

from vigil.domain.errors import Category, VigilError


class UnreadableInstance(VigilError):
    """The bytes are not a DICOM file that can be read up to its pixels."""

    category = Category.UNREADABLE_INSTANCE


class TruncatedInstance(UnreadableInstance):
    """The file ends before its header or its pixel data does."""


class StackError(VigilError):
    """The images of a series do not make a volume."""


class TooFewSlices(StackError):
    """Fewer than two slices: no direction, no spacing."""

    category = Category.INCOMPLETE


class SliceMissing(StackError):
    """There are holes between slices. ``between_mm``: the positions along the normal on both sides of each hole;
    ``missing``: how many slices are missing in all."""

    category = Category.SLICE_MISSING

    def __init__(self, message: str, *, between_mm: tuple[tuple[float, float], ...], missing: int) -> None:
        super().__init__(message)
        self.between_mm = between_mm
        self.missing = missing


class SliceConflict(StackError):
    """Two different images claim one position. ``at_mm``: those positions along the normal."""

    category = Category.SLICE_CONFLICT

    def __init__(self, message: str, *, at_mm: tuple[float, ...]) -> None:
        super().__init__(message)
        self.at_mm = at_mm


class IrregularGeometry(StackError):
    """The images do not lie on one regular grid."""

    category = Category.IRREGULAR_GEOMETRY
