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
        if isinstance(step, Clamp):
            np.clip(result, np.float32(step.low), np.float32(step.high), out=result)
        elif isinstance(step, Window):
            _window(result, step)
        elif isinstance(step, Quantiles):
            low, high = np.quantile(result, (step.low, step.high)).astype(np.float32)
            np.clip(result, low, high, out=result)
        elif isinstance(step, MinMax):
            _min_max(result, step)
        elif isinstance(step, ZScore):
            _z_score(result, step)
        else:
            _scale(result, step)
    return result


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
    mean, deviation = chosen.mean(dtype=np.float64), chosen.std(dtype=np.float64)
    if not deviation > 0:
        raise NothingToSee(ONE_VALUE)
    factor = step.deviation / deviation
    done = (chosen - np.float32(mean)) * np.float32(factor) + np.float32(step.mean)
    if counted is None:
        values[...] = done
    else:
        values[counted] = done


def _scale(values: Values, step: Scale) -> None:
    values -= np.float32(step.subtract)
    values *= np.float32(1 / step.divide)
