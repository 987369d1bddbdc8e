"""Images of one series in the order of space, not of arrival."""

from __future__ import annotations

from dataclasses import dataclass

from vigil.intake.header import ImageHeader


@dataclass(frozen=True)
class SliceStack:
    """Parallel slices, ordered by their position along the normal (row direction x column direction), ascending.

    ``spacing_mm``: slice (along the normal), row, column. ``gaps_mm``: the n - 1 distances between neighbours.
    """

    headers: tuple[ImageHeader, ...]
    normal: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    gaps_mm: tuple[float, ...]
    coverage_mm: float
