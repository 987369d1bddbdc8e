"""While images arrive, reading them takes a small share of the machine; in the quiet after them, all that it needs."""

from __future__ import annotations

import threading

import pytest

from vigil.pipeline.pace import LONGEST_REST_S, QUIET_S, Pace


class Time:
    """A clock, and when the newest image came by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.newest = 0.0

    def __call__(self) -> float:
        return self.now

    def pace(self, share: float | None = 0.05, workers: int = 2, processors: int = 2) -> Pace:
        return Pace(share, workers, lambda: self.newest, clock=self, processors=processors)


@pytest.fixture
def time() -> Time:
    return Time()


def share_taken(pace: Pace, worked_s: float) -> float:
    return worked_s / (worked_s + pace.rest_s(worked_s))


@pytest.mark.parametrize(("processors", "workers"), [(2, 2), (8, 2), (1, 1)])
def test_while_images_arrive_all_threads_together_take_their_share_of_the_processors(
    time: Time, processors: int, workers: int
) -> None:
    pace = time.pace(workers=workers, processors=processors)
    time.newest = time.now
    assert workers * share_taken(pace, 0.003) == pytest.approx(0.05 * processors)


def test_a_machine_with_processors_to_spare_is_not_held_back(time: Time) -> None:
    pace = time.pace(processors=64)
    time.newest = time.now
    assert pace.rest_s(0.003) == 0


def test_once_nothing_arrives_nothing_rests(time: Time) -> None:
    pace = time.pace()
    time.newest = time.now
    time.now += QUIET_S
    assert pace.rest_s(0.003) == 0


def test_it_begins_in_quiet(time: Time) -> None:
    assert time.pace().rest_s(1.0) == 0


def test_an_image_that_took_long_is_not_rested_for_ever(time: Time) -> None:
    pace = time.pace()
    time.newest = time.now
    assert pace.rest_s(60.0) == LONGEST_REST_S


def test_without_a_share_nothing_rests_also_while_images_arrive(time: Time) -> None:
    pace = time.pace(share=None)
    time.newest = time.now
    assert pace.rest_s(1.0) == 0


class Watched(threading.Event):
    """Time passes when somebody waits, and images stop arriving after a while."""

    def __init__(self, time: Time, arriving_until: float) -> None:
        super().__init__()
        self.time, self.arriving_until = time, arriving_until

    def wait(self, timeout: float | None = None) -> bool:
        self.time.now += timeout or 0.0
        if self.time.now < self.arriving_until:
            self.time.newest = self.time.now
        return self.is_set()


def test_a_rest_ends_when_images_stop_arriving(time: Time) -> None:
    pace = time.pace()
    time.newest = time.now
    pace.rest(0.1, Watched(time, arriving_until=100.5))
    assert 100.5 <= time.now < 100.5 + 2 * QUIET_S, "it would have been 1.9 s"


def test_a_rest_ends_at_a_stop(time: Time) -> None:
    pace = time.pace()
    time.newest = time.now
    stop = Watched(time, arriving_until=200.0)
    stop.set()
    pace.rest(0.1, stop)
    assert time.now < 100.2
