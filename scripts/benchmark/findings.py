"""What a case found: figures, ratios, targets and a word about the conditions. Plain data, as it stands in the JSON report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from benchmark.statistics import Estimate, median
from benchmark.stopwatch import Laps, Spent


@dataclass(frozen=True)
class Figure:
    """One quantity. ``samples``: every value that was measured, where they are few."""

    what: str
    unit: str
    estimate: Estimate
    samples: tuple[float, ...] = ()

    @classmethod
    def of(cls, what: str, unit: str, samples: Sequence[float]) -> Figure:
        return cls(what, unit, median(samples), tuple(samples))


@dataclass(frozen=True)
class Target:
    """What was promised of a quantity. ``at_most``: whether the limit is an upper one."""

    what: str
    limit: float
    at_most: bool
    unit: str
    estimate: Estimate

    @property
    def met(self) -> bool:
        value = self.estimate.value
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True)
class Stage:
    name: str
    cpu_s: Estimate
    wall_s: Estimate


@dataclass(frozen=True)
class Chain:
    """One way from the files to the results, stage by stage: for the table and the plot of the stages."""

    name: str
    stages: tuple[Stage, ...]
    total_cpu_s: Estimate
    """Of what is compared."""


@dataclass(frozen=True)
class Findings:
    """Of one case. ``note``: what was measured and how, in words; ``profile``: where the time goes, as text."""

    case: str
    title: str
    note: str
    chains: tuple[Chain, ...] = ()
    figures: tuple[Figure, ...] = ()
    targets: tuple[Target, ...] = ()
    profile: str = ""
    failed: str = ""
    """Why the case could not be measured; empty where it was."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """All of a run. ``conditions``: the machine, its load and the versions, by name."""

    conditions: Mapping[str, str]
    findings: tuple[Findings, ...]
    quick: bool = False


def chain(name: str, runs: Sequence[Laps], not_compared: frozenset[str] = frozenset()) -> Chain:
    """The stages of several runs of one way, each with its median; ``not_compared``: stages that do not count for the total."""
    names = list(dict.fromkeys(stage for run in runs for stage in run.spent))
    return Chain(
        name,
        tuple(
            Stage(
                stage,
                median([run.spent.get(stage, Spent(0, 0)).cpu_s for run in runs]),
                median([run.spent.get(stage, Spent(0, 0)).wall_s for run in runs]),
            )
            for stage in names
        ),
        median([run.total(not_compared).cpu_s for run in runs]),
    )


FINDINGS = TypeAdapter(Findings)
REPORT = TypeAdapter(Report)
"""Writes both as JSON, and reads them again."""
