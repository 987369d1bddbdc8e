"""Processor and wall seconds of the stages of one run, in this process with all its threads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Spent:
    """``cpu_s``: user and system time of all threads; ``wall_s``: by the clock."""

    cpu_s: float
    wall_s: float

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.cpu_s + other.cpu_s, self.wall_s + other.wall_s)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.cpu_s - other.cpu_s, self.wall_s - other.wall_s)


NOTHING = Spent(0.0, 0.0)


def now() -> Spent:
    """A reading; the difference of two of them is what was spent."""
    return Spent(time.process_time(), time.perf_counter())


class Laps:
    """The stages of one run by name, in the order in which they began."""

    def __init__(self) -> None:
        self.spent: dict[str, Spent] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun = now()
        try:
            yield
        finally:
            self.add(name, now() - begun)

    def add(self, name: str, spent: Spent) -> None:
        """A stage that is met again goes on where it ended."""
        self.spent[name] = self.spent.get(name, NOTHING) + spent

    def total(self, leaving_out: frozenset[str] = frozenset()) -> Spent:
        return sum((spent for name, spent in self.spent.items() if name not in leaving_out), NOTHING)
