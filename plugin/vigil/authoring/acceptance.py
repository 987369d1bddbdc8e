"""Whether a package answers on this machine as its author meant: its golden cases run as a study's volume is, and compared."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from vigil.domain.answer import Answer
from vigil.domain.errors import Category, VigilError
from vigil.domain.manifest.golden import GoldenCase
from vigil.inference.golden_file import Golden, read_golden
from vigil.inference.outcome import Inference
from vigil.inference.providers import Accelerator
from vigil.inference.registry import InstalledModel
from vigil.inference.runtime import Runtime


@dataclass(frozen=True)
class Machine:
    """What a package is tried with."""

    accelerator: Accelerator = field(default_factory=Accelerator)
    threads: int = 2
    memory_budget_mib: int = 4096


ANY_MACHINE = Machine()
"""Of an author, whose package is not installed yet."""


@dataclass(frozen=True)
class CaseResult:
    """``difference``: of the value from what was expected. ``differing``: by region, the voxels that differ. ``problem`` and
    ``category``: the first thing that is not as it must be; None where the case passed."""

    name: str
    kind: str
    value: float | None
    expected_value: float | None
    difference: float | None
    differing: dict[str, int]
    seconds: float
    problem: str | None = None
    category: str | None = None


@dataclass(frozen=True)
class Acceptance:
    """``problem``: why nothing could be run. It passed where there are cases, and all of them did."""

    model_id: str
    version: str | None
    package_sha256: str | None
    runtime: str | None = None
    problem: str | None = None
    category: str | None = None
    cases: tuple[CaseResult, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return self.problem is None and bool(self.cases) and all(case.problem is None for case in self.cases)

    @property
    def largest_difference(self) -> float | None:
        """Of the values."""
        return max((case.difference for case in self.cases if case.difference is not None), default=None)

    def said(self) -> str:
        """The first thing that is wrong."""
        if self.problem is not None:
            return self.problem
        return next((f"{case.name}: {case.problem}" for case in self.cases if case.problem is not None), "it has no golden case")

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "cases": [asdict(case) for case in self.cases], "passed": self.passed,
                "largest_difference": self.largest_difference}


def accept(model: InstalledModel, machine: Machine = ANY_MACHINE) -> Acceptance:
    """Loads the package as a start of Orthanc would and runs each of its golden cases. Never raises for what a package holds."""
    version, digest = model.version, model.sha256
    if model.manifest is None or model.problem is not None:
        problem = model.problem
        return Acceptance(model.model_id, version, digest, problem="it cannot be read" if problem is None else problem.text,
                          category=None if problem is None else problem.category.value)
    with own_runtime(machine) as runtime:
        try:
            runtime.load(model)
        except VigilError as error:
            return Acceptance(model.model_id, version, digest, problem=error.message, category=error.category.value)
        cases = tuple(_run(runtime, model, case) for case in model.manifest.golden)
        return Acceptance(model.model_id, version, digest, runtime.describe(model.model_id), cases=cases)


@contextmanager
def own_runtime(machine: Machine = ANY_MACHINE) -> Iterator[Runtime]:
    """A runtime with a marker of its own: what ends here ends no study."""
    with tempfile.TemporaryDirectory(prefix="vigil-model-") as place:
        runtime = Runtime(
            provider=machine.accelerator.provider, threads=machine.threads, allow_cpu_fallback=False,
            memory_budget_mib=machine.memory_budget_mib, marker=Path(place) / "running.json", accelerator=machine.accelerator)
        try:
            yield runtime
        finally:
            runtime.close()


def _run(runtime: Runtime, model: InstalledModel, case: GoldenCase) -> CaseResult:
    begun = time.perf_counter()
    try:
        golden = read_golden(model, case.file)
        inference = runtime.run(model, golden.reference, operating_point=case.operating_point, stop=threading.Event(),
                                further=golden.further)
    except VigilError as error:
        return CaseResult(case.name, "failed", None, case.value, None, {}, time.perf_counter() - begun, error.message,
                          error.category.value)
    return _compared(case, golden, inference, time.perf_counter() - begun)


def _compared(case: GoldenCase, golden: Golden, inference: Inference, seconds: float) -> CaseResult:
    answer = inference.answer
    value = None if answer.measured is None else answer.measured.value
    difference = None if value is None or case.value is None else abs(value - case.value)
    differing: dict[str, int] = {}
    faults: list[tuple[Category, str]] = []
    for name, expected in golden.regions.items():
        found = inference.masks.get(name, np.zeros_like(expected))
        differing[name] = int(np.count_nonzero(found != expected))
        count = int(np.count_nonzero(expected))
        if count and not found.any():
            faults.append((Category.ALL_BACKGROUND, f"all background: nothing was outlined as '{name}', and the golden case has "
                           f"{count} voxels of it. Most often the normalisation, the orientation or the spacing is another than "
                           "at training; see preprocessing"))
        elif differing[name] > case.region_tolerance * max(count, 1):
            faults.append((Category.GOLDEN_CASE_DIFFERS, f"{differing[name]} voxels of '{name}' differ from the golden case, of "
                           f"{count}; at most {case.region_tolerance:.2%} may"))
    if answer.kind.value != case.kind:
        faults.append((Category.GOLDEN_CASE_DIFFERS, f"the answer is '{answer.kind.value}' and must be '{case.kind}' "
                       f"({answer.sentence})"))
    if (value is None) != (case.value is None):
        faults.append((Category.GOLDEN_CASE_DIFFERS, f"the value is {value} and must be {case.value}"))
    elif difference is not None and difference > case.tolerance:
        faults.append((Category.GOLDEN_CASE_DIFFERS, f"the value {value} differs by {difference:.6g} from {case.value}; at most "
                       f"{case.tolerance:g} is accepted"))
    faults += [(Category.GOLDEN_CASE_DIFFERS, fault) for fault in _of_parts(case, answer)]
    category, problem = faults[0] if faults else (None, None)
    return CaseResult(case.name, answer.kind.value, value, case.value, difference, differing, seconds, problem,
                      None if category is None else category.value)


def _of_parts(case: GoldenCase, answer: Answer) -> Iterator[str]:
    """What differs of each of several findings."""
    found = {part.concept.value: part for part in answer.parts}
    if set(found) != {expected.finding for expected in case.parts}:
        yield f"the findings told are {', '.join(found) or 'none'}, and must be those of parts"
        return
    for expected in case.parts:
        part = found[expected.finding]
        value = None if part.measured is None else part.measured.value
        if part.kind.value != expected.kind:
            yield f"{part.concept.meaning} is '{part.kind.value}' and must be '{expected.kind}' ({part.sentence})"
        elif (value is None) != (expected.value is None):
            yield f"the value of {part.concept.meaning} is {value} and must be {expected.value}"
        elif value is not None and expected.value is not None and abs(value - expected.value) > expected.tolerance:
            yield (f"the value {value} of {part.concept.meaning} differs by {abs(value - expected.value):.6g} from "
                   f"{expected.value}; at most {expected.tolerance:g} is accepted")
