"""The steps of a manifest's ``intensity``, one function each, in place on a float32 array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest.intensity import Clamp, IntensityStep, MinMax, Quantiles, Scale, Window, ZScore
from vigil.inference.errors import NothingToSee

Values = NDArray[np.float32]

ONE_VALUE = "the images hold one value only, and no anatomy"


def stepped(values: Values, steps: Sequence[IntensityStep]) -> Values:
    """The values after every step; a new array, where there is a step at all.

    Raises: NothingToSee where all values are the same and a step would divide by their spread.
    """
    result = values.copy() if steps else values
    for step in steps:
        _do(result, step)
    return result


def settled(values: Values, steps: Sequence[IntensityStep]) -> tuple[IntensityStep, ...]:
    """The steps for another part of the same images: quantiles "of: locator" as the clamp that they are on ``values``, the
    locator's input before its steps.

    Raises: NothingToSee where all values between the quantiles are the same.
    """
    result = values.copy()
    made: list[IntensityStep] = []
    for step in steps:
        chosen: IntensityStep = step
        if isinstance(step, Quantiles) and step.of == "locator":
            low, high = _limits(result, step)
            if not high > low:
                raise NothingToSee(ONE_VALUE)
            chosen = Clamp(step="clamp", low=float(low), high=float(high))
        _do(result, chosen)
        made.append(chosen)
    return tuple(made)


def _do(values: Values, step: IntensityStep) -> None:
    if isinstance(step, Clamp):
        np.clip(values, np.float32(step.low), np.float32(step.high), out=values)
    elif isinstance(step, Window):
        _window(values, step)
    elif isinstance(step, Quantiles):
        np.clip(values, *_limits(values, step), out=values)
    elif isinstance(step, MinMax):
        _min_max(values, step)
    elif isinstance(step, ZScore):
        _z_score(values, step)
    else:
        _scale(values, step)


def _limits(values: Values, step: Quantiles) -> tuple[np.float32, np.float32]:
    low, high = np.quantile(values, (step.low, step.high)).astype(np.float32)
    return low, high


def _window(values: Values, step: Window) -> None:
    values -= np.float32(step.centre - step.width / 2)
    values *= np.float32(1 / step.width)
    np.clip(values, np.float32(0), np.float32(1), out=values)


def _min_max(values: Values, step: MinMax) -> None:
    low, high = values.min(), values.max()
    if not high > low:
        raise NothingToSee(ONE_VALUE)
    values -= low
    values *= np.float32((step.high - step.low) / (float(high) - float(low)))
    values += np.float32(step.low)


def _z_score(values: Values, step: ZScore) -> None:
    counted = None if step.above is None else values > step.above
    chosen = values if counted is None else values[counted]
    if chosen.size == 0:
        raise NothingToSee(f"no value of the images lies above {step.above:g}")
    ddof = 1 if step.divisor == "n-1" and chosen.size > 1 else 0
    mean, deviation = chosen.mean(dtype=np.float64), chosen.std(dtype=np.float64, ddof=ddof)
    if not deviation > 0:
        raise NothingToSee(ONE_VALUE)
    chosen -= np.float32(mean)
    chosen *= np.float32(step.deviation / deviation)
    chosen += np.float32(step.mean)
    if counted is not None:
        values[counted] = chosen  # a copy of those above; otherwise the values themselves


def _scale(values: Values, step: Scale) -> None:
    values -= np.float32(step.subtract)
    values *= np.float32(1 / step.divide)
