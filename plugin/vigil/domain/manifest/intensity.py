"""Steps from the source's values to those that a network was trained on, done in order on the prepared volume."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.strict import Finite, Strict


class Clamp(Strict):
    """Values below ``low`` and above ``high`` become these."""

    step: Literal["clamp"]
    low: Finite
    high: Finite

    @model_validator(mode="after")
    def _rising(self) -> Clamp:
        _rise("low", self.low, "high", self.high)
        return self


class Window(Strict):
    """A display window: clamped to ``centre`` ± ``width`` / 2, then brought to 0 to 1."""

    step: Literal["window"]
    centre: Finite
    width: Finite = Field(gt=0)


class Quantiles(Strict):
    """Clamped to these quantiles. A ``min-max`` after it makes 0 to 1 of them."""

    step: Literal["quantiles"]
    low: Finite = Field(ge=0, le=1)
    high: Finite = Field(ge=0, le=1)
    of: Literal["itself", "locator"] = "itself"
    """Of which values: those that are clamped, or those of the locator's input, for both networks alike."""

    @model_validator(mode="after")
    def _rising(self) -> Quantiles:
        _rise("low", self.low, "high", self.high)
        return self


class MinMax(Strict):
    """The least value becomes ``low``, the largest ``high``."""

    step: Literal["min-max"]
    low: Finite = 0.0
    high: Finite = 1.0

    @model_validator(mode="after")
    def _rising(self) -> MinMax:
        _rise("low", self.low, "high", self.high)
        return self


class ZScore(Strict):
    """Brought to a mean and a standard deviation."""

    step: Literal["z-score"]
    mean: Finite = 0.0
    deviation: Finite = Field(default=1.0, gt=0)
    above: Finite | None = None
    """Only values above it count for mean and deviation, and only they are changed: 0 leaves an air background alone."""
    divisor: Literal["n", "n-1"] = "n"
    """Of the deviation of the values as they are: "n", as numpy has it, or "n-1", as PyTorch has it."""


class Scale(Strict):
    """(value - ``subtract``) / ``divide``, by the training's own constants."""

    step: Literal["scale"]
    subtract: Finite = 0.0
    divide: Finite = 1.0

    @model_validator(mode="after")
    def _possible(self) -> Scale:
        if self.divide == 0:
            raise ValueError("divide must not be 0")
        return self


IntensityStep = Annotated[Clamp | Window | Quantiles | MinMax | ZScore | Scale, Field(discriminator="step")]


def _rise(low_name: str, low: float, high_name: str, high: float) -> None:
    if not low < high:
        raise ValueError(f"{low_name} {low:g} must lie below {high_name} {high:g}")
