"""What is no number is found wherever it stands; what is large is still one."""

from __future__ import annotations

import numpy as np
import pytest

from vigil.inference.errors import InferenceFailed
from vigil.inference.finite import insist_finite


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 500, 999])
def test_a_single_one_among_a_thousand_is_named(kind: type, bad: float, at: int) -> None:
    values = np.ones(1000, kind)
    insist_finite("the output 'x'", values)
    values[at] = bad
    with pytest.raises(InferenceFailed, match="the output 'x' holds a value that is no number"):
        insist_finite("the output 'x'", values)


def test_infinities_that_would_cancel_out_are_found() -> None:
    with pytest.raises(InferenceFailed):
        insist_finite("it", np.array([np.inf, -np.inf, 1.0], np.float32))


def test_large_numbers_are_numbers_though_their_sum_in_float32_is_none() -> None:
    insist_finite("it", np.full(1000, 3e38, np.float32))
    insist_finite("it", np.arange(10, dtype=np.uint8))
