"""Medians with an interval that holds for any distribution, and ratios of pairs measured one right after the other.

The interval is the one of order statistics: between two of the sorted values the true median lies with a probability that the
binomial distribution gives, whatever the values' own distribution is. Of five values that is the whole range, with 93.75 %;
from six on at least 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor, lgamma, log

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A quantile of ``count`` values, and the values between which the true one lies with probability ``coverage``."""

    value: float
    low: float
    high: float
    count: int
    coverage: float


def median(values: Sequence[float]) -> Estimate:
    """The median with its interval.

    Raises: ValueError where there is no value.
    """
    return quantile(values, 0.5)


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """The median of the ratios of pairs: what was measured under the same conditions is compared, and nothing else.

    Raises: ValueError where the pairs do not match, there is none, or a denominator is not positive.
    """
    if len(numerators) != len(denominators):
        raise ValueError(f"{len(numerators)} and {len(denominators)} values make no pairs")
    if any(value <= 0 for value in denominators):
        raise ValueError("a ratio needs denominators above zero")
    return median([one / other for one, other in zip(numerators, denominators, strict=True)])


def quantile(values: Sequence[float], share: float, confidence: float = CONFIDENCE) -> Estimate:
    """The quantile at ``share`` (above 0 and below 1; 0.5 is the median), with the interval of two of the sorted values, grown
    from the quantile outwards until it covers the true one with at least ``confidence``; the whole range, with what that
    covers, where no interval does.

    Raises: ValueError where there is no value.
    """
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    count = len(ordered)
    # below[k]: the probability that fewer than k of the values lie below the true quantile.
    below = [0.0]
    for index in range(count + 1):
        below.append(below[-1] + _probability(index, count, share))
    at = (count - 1) * share
    low, high = floor(at), min(floor(at) + 1, count - 1)
    while below[high + 1] - below[low + 1] < confidence and (low > 0 or high < count - 1):
        # Outwards by the side that is nearer to the quantile, so that both grow alike.
        if low > 0 and (at - low <= high - at or high == count - 1):
            low -= 1
        else:
            high += 1
    value = ordered[floor(at)]
    if floor(at) + 1 < count:
        value += (at - floor(at)) * (ordered[floor(at) + 1] - value)
    return Estimate(value, ordered[low], ordered[high], count, below[high + 1] - below[low + 1])


def _probability(successes: int, count: int, share: float) -> float:
    """Of the binomial distribution; by logarithms, since the coefficients of thousands of values are no floats."""
    ways = lgamma(count + 1) - lgamma(successes + 1) - lgamma(count - successes + 1)
    return exp(ways + successes * log(share) + (count - successes) * log(1 - share))
