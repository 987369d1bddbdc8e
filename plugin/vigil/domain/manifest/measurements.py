"""What is measured of regions and outputs, and in which unit it is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.domain.codes import UNITS
from vigil.domain.manifest.strict import CodeEntry, Name, Strict


class _Measurement(Strict):
    name: Name
    concept: CodeEntry | None = None
    """What is measured. Left out, as ``unit``, in the measurement that decides: the finding names both."""
    unit: str | None = None

    @model_validator(mode="after")
    def _known(self) -> _Measurement:
        if (self.concept is None) != (self.unit is None):
            raise ValueError("concept and unit are given together, or both are left to the finding")
        if self.unit is not None and self.unit not in UNITS:
            raise ValueError(f"unit '{self.unit}' is not known; one of {', '.join(UNITS)}")
        return self


class VolumeOf(_Measurement):
    kind: Literal["volume"]
    region: Name


class LongestDiameter(_Measurement):
    """The longest line between two voxels of one slice of the source that both belong to the region."""

    kind: Literal["longest-diameter"]
    region: Name


class Count(_Measurement):
    """Parts of a region, or the region of a detection: boxes that touch in neighbouring slices are one."""

    kind: Literal["count"]
    region: Name


class MeanValue(_Measurement):
    """Mean of the source's own values inside a region."""

    kind: Literal["mean-value"]
    region: Name


class Ratio(_Measurement):
    """Volume of a region as a share of another's."""

    kind: Literal["ratio"]
    region: Name
    of: Name


class Score(_Measurement):
    """The probability of a class, or the largest score of a detection or a heat map."""

    kind: Literal["score"]
    output: Name
    class_name: Name | None = None
    """Of a classification."""


class Value(_Measurement):
    """The number that a regression gives."""

    kind: Literal["value"]
    output: Name


MeasurementRule = Annotated[
    VolumeOf | LongestDiameter | Count | MeanValue | Ratio | Score | Value, Field(discriminator="kind")]

UNITS_OF: dict[str, frozenset[str]] = {
    "volume": frozenset({"mL", "cm3"}),
    "longest-diameter": frozenset({"mm"}),
    "count": frozenset({"1"}),
    "mean-value": frozenset({"[hnsf'U]", "1", "g/ml{SUVbw}"}),
    "ratio": frozenset({"%"}),
    "score": frozenset({"%"}),
    "value": frozenset(UNITS),
}
"""A share is told in per cent: one decimal of a number from 0 to 1 would decide too coarsely."""


def region_of(rule: MeasurementRule) -> str | None:
    """The region that it is measured in, where it is of one."""
    return None if isinstance(rule, Score | Value) else rule.region
