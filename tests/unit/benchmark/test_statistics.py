from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.statistics import median, quantile, ratio


def test_the_median_of_five_lies_in_their_range_with_fifteen_chances_in_sixteen() -> None:
    estimate = median([3.0, 1.0, 2.0, 5.0, 4.0])
    assert (estimate.value, estimate.low, estimate.high, estimate.count) == (3.0, 1.0, 5.0, 5)
    assert estimate.coverage == pytest.approx(1 - 2 / 2**5)


@pytest.mark.parametrize(
    ("count", "low", "high", "coverage"),
    # Tables of order statistics: David and Nagaraja, Order Statistics, 7.1
    [(6, 1, 6, 0.96875), (9, 2, 8, 0.9609375), (15, 4, 12, 0.96484375)],
)
def test_of_more_values_the_interval_is_the_one_of_the_tables(count: int, low: int, high: int, coverage: float) -> None:
    estimate = median([float(value) for value in range(1, count + 1)])
    assert (estimate.low, estimate.high) == (low, high)
    assert estimate.coverage == pytest.approx(coverage)


def test_of_an_even_count_the_median_is_in_the_middle() -> None:
    assert median([1.0, 2.0, 4.0, 8.0]).value == 3.0


def test_one_value_is_told_as_one_without_any_certainty() -> None:
    estimate = median([7.0])
    assert (estimate.value, estimate.low, estimate.high, estimate.coverage) == (7.0, 7.0, 7.0, pytest.approx(0))


def test_the_interval_covers_the_true_median_as_often_as_it_says() -> None:
    random = np.random.default_rng(4)
    true = float(np.exp(0.0))  # of a log-normal distribution, which is far from symmetric
    estimates = [median(list(np.exp(random.normal(size=9)))) for _ in range(600)]
    covered = np.mean([estimate.low <= true <= estimate.high for estimate in estimates])
    assert covered == pytest.approx(estimates[0].coverage, abs=0.025)


def test_a_far_quantile_of_thousands_has_an_interval_around_it() -> None:
    estimate = quantile(list(np.linspace(0, 1, 5001)), 0.99)
    assert estimate.value == pytest.approx(0.99)
    assert 0.985 < estimate.low < 0.99 < estimate.high < 0.995
    assert 0.95 <= estimate.coverage < 0.97


def test_a_ratio_is_of_pairs_so_that_what_slows_both_slows_neither() -> None:
    load = [1.0, 5.0, 2.0, 9.0, 3.0]
    estimate = ratio([2.0 * each for each in load], load)
    assert (estimate.value, estimate.low, estimate.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(("one", "other"), [([1.0], [1.0, 2.0]), ([], []), ([1.0], [0.0])])
def test_what_makes_no_pairs_is_refused(one: list[float], other: list[float]) -> None:
    with pytest.raises(ValueError, match=r"pairs|measured|zero"):
        ratio(one, other)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_the_estimate_lies_in_its_interval(values: list[float], share: float) -> None:
    estimate = quantile(values, share)
    assert estimate.low <= estimate.value <= estimate.high
    assert 0 <= estimate.coverage <= 1 + 1e-9
    assert {estimate.low, estimate.high} <= set(values)
