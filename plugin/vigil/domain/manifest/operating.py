"""From a measured value to a decision: calibration, thresholds, and the band in which a model abstains."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.strict import Finite, Strict

Words = tuple[Annotated[str, Field(min_length=1, max_length=64)], ...]


class Scanners(Strict):
    """By words of their headers, in any case of letters; of each list one is enough."""

    manufacturers: Words = Field(min_length=1)
    """Words of Manufacturer, for example "siemens"."""
    models: Words = ()
    """Words of Manufacturer's Model Name, for example "force"; left out: every model of these manufacturers."""


class OperatingPoint(Strict):
    """Positive at or above ``positive``; between ``indeterminate`` (where given) and ``positive`` the model
    abstains."""

    positive: float
    indeterminate: float | None = None
    scanners: Scanners | None = Field(default=None, alias="for")
    """The scanners that the point is meant for; a site can give it to no others. Left out: any."""

    @model_validator(mode="after")
    def _ordered(self) -> OperatingPoint:
        if self.indeterminate is not None and self.indeterminate > self.positive:
            raise ValueError("the abstain band lies below the positive threshold")
        return self


class _Fitted(Strict):
    fitted_on: datetime.date
    """Day of the fit."""
    cases: int = Field(ge=1)
    """How many cases it was fitted on."""


class Temperature(_Fitted):
    """The logit of the score divided by a temperature."""

    kind: Literal["temperature"]
    temperature: Finite = Field(gt=0)


class Platt(_Fitted):
    """The logit of the score, times ``slope`` plus ``intercept``."""

    kind: Literal["platt"]
    slope: Finite = Field(gt=0)
    intercept: Finite


class Isotonic(_Fitted):
    """Straight lines between points that never fall: ``score`` of the network, ``probability`` of the fit."""

    kind: Literal["isotonic"]
    score: tuple[Finite, ...] = Field(min_length=2)
    probability: tuple[Finite, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _rising(self) -> Isotonic:
        if len(self.score) != len(self.probability):
            raise ValueError("score and probability need as many points as each other")
        if any(not 0 <= value <= 1 for value in (*self.score, *self.probability)):
            raise ValueError("score and probability lie from 0 to 1")
        if any(one >= two for one, two in zip(self.score, self.score[1:], strict=False)):
            raise ValueError("score must rise from point to point")
        if any(one > two for one, two in zip(self.probability, self.probability[1:], strict=False)):
            raise ValueError("probability must not fall from point to point")
        return self


Calibration = Annotated[Temperature | Platt | Isotonic, Field(discriminator="kind")]
