"""What a model may be used for, and what its clearance lets it say."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from vigil.domain.codes import CERTAINTIES
from vigil.domain.concepts import Code
from vigil.domain.manifest.strict import Strict


class RegulatoryStatus(StrEnum):
    RESEARCH = "research"
    CLEARED = "cleared"


class PermittedOutput(StrEnum):
    """What a clearance lets a model say. A triage-only model has ``notification`` alone and draws nothing."""

    NOTIFICATION = "notification"
    SCORE = "score"
    MEASUREMENT = "measurement"
    LOCATION = "location"
    CONTOUR = "contour"


class Regulatory(Strict):
    status: RegulatoryStatus
    intended_use: str = Field(min_length=20)
    clearance: str | None = None
    """Number and authority, of a cleared model."""
    udi: str | None = Field(default=None, min_length=1, max_length=128)
    """Unique device identifier, where the model has one."""
    permitted_outputs: frozenset[PermittedOutput]

    @model_validator(mode="after")
    def _cleared_says_where(self) -> Regulatory:
        if self.status is RegulatoryStatus.CLEARED and not self.clearance:
            raise ValueError("a cleared model names its clearance (number and authority) in 'clearance'")
        return self

    def lets_out(self, concept: Code | None) -> bool:
        """Whether a number of this concept may leave (law 5): how certain a model is, is a score; any other, a measurement."""
        return (PermittedOutput.SCORE if concept in CERTAINTIES else PermittedOutput.MEASUREMENT) in self.permitted_outputs
