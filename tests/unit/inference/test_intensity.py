"""Steps of the values, held to numpy, and those that two networks in series share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifest_cases import install, looking_aside, segmentation
from numpy.typing import NDArray

from vigil.domain.manifest.intensity import Clamp, IntensityStep, MinMax, Quantiles, ZScore
from vigil.inference.errors import NothingToSee
from vigil.inference.intensity import settled, stepped

SHARED = Quantiles(step="quantiles", low=0.1, high=0.9, of="locator")


def values(count: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(4).normal(100, 40, (count, count, count)).astype(np.float32)


@pytest.mark.parametrize(("divisor", "ddof"), [("n", 0), ("n-1", 1)])
def test_the_deviation_is_of_n_as_numpy_has_it_or_of_one_less_as_pytorch_has_it(divisor: Any, ddof: int) -> None:
    done = stepped(values(), [ZScore(step="z-score", mean=0.449, deviation=0.226, divisor=divisor)])
    assert done.std(ddof=ddof, dtype=np.float64) == pytest.approx(0.226, rel=1e-5)
    assert done.mean(dtype=np.float64) == pytest.approx(0.449, abs=1e-6)


def test_a_z_score_above_a_value_leaves_the_rest_alone() -> None:
    before = values()
    done = stepped(before, [ZScore(step="z-score", above=100.0)])
    np.testing.assert_array_equal(done[before <= 100], before[before <= 100])
    assert done[before > 100].std(dtype=np.float64) == pytest.approx(1.0, rel=1e-5)


def test_quantiles_of_the_locator_are_the_clamp_that_they_were_on_its_input() -> None:
    whole, steps = values(9), (MinMax(step="min-max", high=10.0), SHARED, ZScore(step="z-score"))
    first, clamp, last = settled(whole, steps)
    assert (first, last) == (steps[0], steps[2])
    assert isinstance(clamp, Clamp)
    scaled = stepped(whole, steps[:1])
    assert (clamp.low, clamp.high) == pytest.approx(tuple(np.quantile(scaled, (0.1, 0.9))), rel=1e-6)
    # On the locator's own input nothing changes by it.
    np.testing.assert_array_equal(stepped(whole, settled(whole, steps)), stepped(whole, steps))


def test_values_that_are_all_the_same_between_the_quantiles_show_nothing() -> None:
    whole = np.zeros((9, 9, 9), np.float32)
    whole[0, 0, 0] = 50.0
    steps: tuple[IntensityStep, ...] = (SHARED,)
    with pytest.raises(NothingToSee, match="one value"):
        settled(whole, steps)


@pytest.mark.parametrize(("change", "said"), [
    ({"intensity": [{"step": "quantiles", "low": 0.1, "high": 0.9, "of": "locator"}]}, "need a 'locator'"),
    ({"channels": [[{"step": "quantiles", "low": 0.1, "high": 0.9, "of": "locator"}]]}, "not in channels"),
])  # fmt: skip
def test_what_is_of_the_locator_needs_one(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    problem = install(tmp_path, {"model.onnx": looking_aside()}, **segmentation(**change)).problem
    assert problem is not None
    assert said in problem.text
