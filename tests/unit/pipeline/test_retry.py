from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vigil.pipeline.retry import Backoff


def test_the_wait_doubles_up_to_its_bound() -> None:
    backoff = Backoff(first_s=5, maximum_s=60)

    assert [backoff.delay_s(attempt) for attempt in range(1, 7)] == [5, 10, 20, 40, 60, 60]


@given(st.integers(1, 10**9), st.floats(0.1, 3600), st.floats(0.1, 86400))
def test_the_wait_is_never_above_its_bound(attempt: int, first: float, maximum: float) -> None:
    assert 0 < Backoff(first, maximum).delay_s(attempt) <= maximum
