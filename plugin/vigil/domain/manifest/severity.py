"""How severe a finding is: grades, each from a lower bound of what is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from vigil.domain.codes import CERTAINTIES
from vigil.domain.concepts import Code
from vigil.domain.manifest.operating import OperatingPoint
from vigil.domain.manifest.strict import CodeEntry, Finite, Strict

if TYPE_CHECKING:
    from vigil.domain.manifest.finding import FindingEntry

MOST_GRADES = 8


class Grade(Strict):
    code: CodeEntry
    """SNOMED CT's Mild (255604002), Moderate (6736007) and Severe (24484000), or a code of the author's own."""
    lowest: Finite = Field(alias="from")
    """Of the measurement that decides: from this value, which belongs to it, up to the next grade."""


class Severity(Strict):
    """A grade ends where the next one begins, and the last has no end: so there is no gap between them."""

    unit: str
    """That of the finding, in which the bounds are written."""
    grades: tuple[Grade, ...] = Field(min_length=2, max_length=MOST_GRADES)
    """The least severe first."""

    @model_validator(mode="after")
    def _ordered(self) -> Severity:
        for one, two in zip(self.grades, self.grades[1:], strict=False):
            if one.lowest >= two.lowest:
                raise ValueError(f"severity: '{two.code.meaning}' must begin above '{one.code.meaning}'; name the least "
                                 "severe first")
        for grade in self.grades:
            if grade.lowest != round(grade.lowest, 1):
                raise ValueError(f"severity: '{grade.code.meaning}' begins at {grade.lowest}; a value is told, and graded, with "
                                 "one decimal")
        if len({grade.code.code() for grade in self.grades}) != len(self.grades):
            raise ValueError("severity: each grade needs a code of its own")
        return self

    def of(self, value: float) -> Code | None:
        """The grade of a value in the unit of the finding, as it is told; None below the first."""
        reached = [grade for grade in self.grades if value >= grade.lowest]
        return reached[-1].code.code() if reached else None

    @property
    def gravest(self) -> Code:
        return self.grades[-1].code.code()


def insist_severity_fits(where: str, entry: FindingEntry, points: Mapping[str, OperatingPoint]) -> None:
    """``where``: the key of the finding. ``points``: those that it is decided at; none of one that is only measured.

    Raises: ValueError.
    """
    scale = entry.severity
    if scale is None:
        return
    if scale.unit != entry.unit:
        raise ValueError(f"{where}.severity.unit is '{scale.unit}', and the finding is told in '{entry.unit}'; write the bounds "
                         "in that unit")
    if entry.measurement.code() in CERTAINTIES:
        raise ValueError(f"{where}.severity: a score says how certain the model is, not how severe the finding is; decide by a "
                         "measurement, or take it out")
    first, second = scale.grades[:2]
    for name, point in points.items():
        if point.positive < first.lowest:
            raise ValueError(f"{where}.severity begins at {first.lowest:g}, and operating point '{name}' is positive from "
                             f"{point.positive:g} on; begin at that or lower, so that no positive is without a grade")
    if points and all(point.positive >= second.lowest for point in points.values()):
        raise ValueError(f"{where}.severity: '{first.code.meaning}' can never be told, because every operating point is positive "
                         f"only from {second.lowest:g} on or above; take it out")
