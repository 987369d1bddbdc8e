"""From the files in memory to the result objects' bytes: the product beside the straightforward chain, run by run in turns."""

from __future__ import annotations

from collections.abc import Callable

from benchmark import straightforward, studies
from benchmark.case import Case, Effort
from benchmark.findings import Figure, Findings, Target, chain
from benchmark.ours import NOT_COMPARED, POSTPROCESS, Product
from benchmark.profiling import profile
from benchmark.statistics import ratio
from benchmark.stopwatch import Laps
from benchmark.straightforward import Task
from benchmark.studies import Study

LEAST_RATIO = 2.5

NOTE = (
    "Read, decode, stack, resample, secondary captures, segmentation, structured report, to the objects' bytes. The "
    "network's own run is left out on both sides, and so is the model's postprocessing ({postprocess:.2f} CPU s), which "
    "only Vigil does. Both made {objects} objects from one mask, in turns, in one process, after one run each that is not "
    "counted. Vigil, besides, hashes what it reads, checks scope, completeness and geometry, and averages noise where it "
    "resamples. The network itself took {network:.1f} CPU s on one thread (one run)."
)


def uncompressed(case: Case, effort: Effort) -> Findings:
    return measured(case, effort, studies.large_ct, LEAST_RATIO)


def jpeg_ls(case: Case, effort: Effort) -> Findings:
    return measured(case, effort, lambda: studies.large_ct(compressed=True), LEAST_RATIO)


def demo_ct(case: Case, effort: Effort) -> Findings:
    return measured(case, effort, studies.demo_ct)


def demo_mr(case: Case, effort: Effort) -> Findings:
    return measured(case, effort, studies.demo_mr)


def measured(case: Case, effort: Effort, make: Callable[[], Study], least_ratio: float | None = None) -> Findings:
    study = make()
    product = Product(study.model_id, effort.folder)
    answered = product.run(study, Laps())
    task = Task.of(study, answered)
    made = straightforward.run(task, Laps())
    if len(made) != len(answered.objects):
        raise AssertionError(f"{len(made)} objects beside {len(answered.objects)}: not the same work")
    ours: list[Laps] = []
    theirs: list[Laps] = []
    for _ in range(effort.repeats):
        ours.append(Laps())
        product.run(study, ours[-1])
        theirs.append(Laps())
        straightforward.run(task, theirs[-1])
    ours_s = [laps.total(NOT_COMPARED).cpu_s for laps in ours]
    theirs_s = [laps.total().cpu_s for laps in theirs]
    less = ratio(theirs_s, ours_s)
    targets: tuple[Target, ...] = ()
    if least_ratio is not None:
        targets = (Target("Less CPU than the straightforward chain", least_ratio, False, "×", less),)
    missed = any(not target.met for target in targets)
    postprocess = Figure.of("", "", [laps.spent[POSTPROCESS].cpu_s for laps in ours]).estimate.value
    return Findings(
        case=case.name, title=case.title,
        note=NOTE.format(postprocess=postprocess, objects=len(made), network=product.door.ran.cpu_s),
        chains=(chain("Vigil", ours, NOT_COMPARED), chain("straightforward", theirs)),
        figures=(
            Figure.of("Vigil", "CPU s", ours_s),
            Figure.of("Vigil", "s", [laps.total(NOT_COMPARED).wall_s for laps in ours]),
            Figure.of("straightforward chain", "CPU s", theirs_s),
            Figure.of("straightforward chain", "s", [laps.total().wall_s for laps in theirs]),
            Figure("straightforward / Vigil, CPU", "×", less),
        ),
        targets=targets,
        profile=profile(lambda: product.run(study, Laps())) if missed else "",
    )  # fmt: skip
