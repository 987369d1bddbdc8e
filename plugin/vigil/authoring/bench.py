"""What a package costs on this machine: loading, and running its golden case as a study's volume is run."""

from __future__ import annotations

import resource
import statistics
import threading
import time
from dataclasses import dataclass

from vigil.authoring.acceptance import ANY_MACHINE, Machine, own_runtime
from vigil.authoring.errors import NoGoldenCase
from vigil.domain.errors import VigilError
from vigil.inference.golden_file import read_golden
from vigil.inference.registry import InstalledModel

KIBIBYTE = 1024


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock and of the processor (all threads); ``run_s``: the median of ``runs``, the first left out.
    ``peak_mib``: the most that this process held, the interpreter and its libraries included."""

    model_id: str
    version: str | None
    case: str
    runtime: str
    load_s: float
    first_run_s: float
    run_s: float
    run_cpu_s: float
    runs: int
    peak_mib: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return dict(self.__dict__)


def measure(model: InstalledModel, *, runs: int, machine: Machine = ANY_MACHINE) -> Cost:
    """Raises: NoGoldenCase where the package has none, and what loading and running raise."""
    manifest = model.manifest
    if manifest is None or model.problem is not None:
        raise NoGoldenCase(f"{model.model_id} cannot be run: "
                           f"{'it cannot be read' if model.problem is None else model.problem.text}")
    if not manifest.golden:
        raise NoGoldenCase(f"{model.model_id} has no golden case to run; \"vigil models golden\" makes one of images")
    case = manifest.golden[0]
    with own_runtime(machine) as runtime:
        try:
            begun = time.perf_counter()
            runtime.load(model)
            load_s = time.perf_counter() - begun
            golden = read_golden(model, case.file)
            took: list[tuple[float, float]] = []
            for _ in range(runs + 1):
                begun, cpu = time.perf_counter(), time.process_time()
                runtime.run(model, golden.reference, operating_point=case.operating_point, stop=threading.Event(),
                            further=golden.further)
                took.append((time.perf_counter() - begun, time.process_time() - cpu))
        except VigilError as error:
            raise NoGoldenCase(f"{model.model_id} does not run here: {error.message}") from error
        described = runtime.describe(model.model_id)
    later = took[1:]
    return Cost(
        model.model_id, model.version, case.name, described, round(load_s, 3), round(took[0][0], 3),
        round(statistics.median(wall for wall, _ in later), 3), round(statistics.median(cpu for _, cpu in later), 3), runs,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KIBIBYTE)
