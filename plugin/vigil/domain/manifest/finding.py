"""What the answer is about, in codes and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from vigil.domain.codes import UNITS
from vigil.domain.manifest.laterality import Laterality
from vigil.domain.manifest.operating import Calibration, OperatingPoint
from vigil.domain.manifest.severity import Severity
from vigil.domain.manifest.strict import CodeEntry, Name, Strict


class FindingEntry(Strict):
    """The sentences are format strings over ``value``, ``unit`` and ``threshold``: either the three of a decision, or the one
    of a measurement, which decides nothing."""

    concept: CodeEntry
    category: CodeEntry
    site: CodeEntry
    measurement: CodeEntry
    unit: str
    decided_by: Name | None = None
    """The measurement (of ``measurements``) that decides or is told; the first where it is left out."""
    region: Name | None = None
    """The region that shows the finding; that of the deciding measurement where it is left out."""
    acr_category: Literal[1, 2, 3] | None = None
    laterality: Laterality | None = None
    severity: Severity | None = None
    """Told of a positive, and of what is only measured."""
    positive: str = ""
    negative: str = ""
    indeterminate: str = ""
    measured: str = ""

    @model_validator(mode="after")
    def _can_be_said(self) -> FindingEntry:
        if self.unit not in UNITS:
            raise ValueError(f"unit '{self.unit}' is not known; one of {', '.join(UNITS)}")
        decision = (self.positive, self.negative, self.indeterminate)
        if self.measured and (any(decision) or self.acr_category is not None):
            raise ValueError("a finding that is 'measured' decides nothing: it has no 'positive', 'negative', 'indeterminate' "
                             "and no 'acr_category'")
        if not self.measured and not all(decision):
            raise ValueError("a finding needs the sentences 'positive', 'negative' and 'indeterminate', or 'measured' alone")
        for sentence in (*decision, self.measured):
            try:
                sentence.format(value="", unit="", threshold="")
            except (LookupError, ValueError, AttributeError) as error:
                raise ValueError("a sentence may name {value}, {unit} and {threshold}, and nothing else in braces") from error
        return self


class FurtherFinding(FindingEntry):
    """One more that the same run of the model decides."""

    calibration: Calibration | None = None
    """Of its own score."""
    operating_points: dict[str, OperatingPoint] = Field(min_length=1)
    """By the same names as those of the main finding."""


@dataclass(frozen=True)
class Decided:
    """A finding with what decides it. ``name``: where it stands in the manifest."""

    name: str
    entry: FindingEntry
    calibration: Calibration | None
    operating_points: dict[str, OperatingPoint]
