"""Through a real Orthanc: from the last image that it took to the answer stored in it, and to the alert's acknowledgement.

Everything is measured from outside: the process's own processor time and memory as Linux counts them, and the times that Vigil
tells of its work. Nobody asks Orthanc anything meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from benchmark import studies
from benchmark.case import Case, Effort
from benchmark.findings import Figure, Findings, Target
from benchmark.ours import Product
from benchmark.profiling import profile
from benchmark.senders import send, shares
from benchmark.statistics import median
from benchmark.stopwatch import Laps
from benchmark.studies import Study
from hospital.census import wait_settled, wait_until
from hospital.hospital import BRAIN_MODEL, LIVE, MODEL, Hospital
from hospital.pacs import Pacs
from hospital.stopwatch import ProcessorCurve, forget_peak, memory_kib

MOST_CPU_AFTER_S = 1.5
MOST_VOLUMES = 4.0
QUIET_SHARE, QUIET_FOR_S = 0.06, 1.0
SECTION = {
    "Models": {MODEL: LIVE, BRAIN_MODEL: {"Stage": "live"}},
    "Runtime": {"Threads": 1},
    "Reconcile": {"IntervalSeconds": 3600.0},
}
"""One thread, so that what the network takes can be taken off."""

NOTE = (
    "Three C-STORE senders (dcmsend) to a real Orthanc {version} with StableAge {stable_age} s, a PACS (storescp) and a "
    "RIS. CPU is all that Orthanc's process took from the last image's answer until the answer was stored, its own work "
    "and {objects} objects stored included; the network ran on one thread ({network:.2f} CPU s, measured "
    "apart){taken_off}. Memory is the process's highest resident set while a study went through, the network's included, "
    "over that of the fresh, ready process, in volumes of {volume} MiB."
)
TAKEN_OFF_UP_TO_S = 1.0
"""CPU seconds of the network up to which they are taken off; of a long run the difference of two large numbers says nothing."""


@dataclass
class Measured:
    """One value a study."""

    after_cpu_s: list[float] = field(default_factory=list)
    arriving_cpu_s: list[float] = field(default_factory=list)
    stored_s: list[float] = field(default_factory=list)
    in_pacs_s: list[float] = field(default_factory=list)
    acknowledged_s: list[float] = field(default_factory=list)
    alert_s: list[float] = field(default_factory=list)
    volumes: list[float] = field(default_factory=list)
    stages_s: dict[str, list[float]] = field(default_factory=dict)


def uncompressed(case: Case, effort: Effort) -> Findings:
    return _measured(case, effort, studies.large_ct, MOST_CPU_AFTER_S)


def jpeg_ls(case: Case, effort: Effort) -> Findings:
    return _measured(case, effort, lambda seed: studies.large_ct(seed, compressed=True), MOST_CPU_AFTER_S)


def demo_ct(case: Case, effort: Effort) -> Findings:
    return _measured(case, effort, studies.demo_ct)


def demo_mr(case: Case, effort: Effort) -> Findings:
    return _measured(case, effort, studies.demo_mr)


def _measured(
    case: Case, effort: Effort, make: Callable[[str], Study], most_cpu_s: float | None = None
) -> Findings:
    measured = Measured()
    study = make("warm")
    product = Product(study.model_id, effort.folder)
    objects = len(product.run(study, Laps()).objects)
    network_s = product.door.ran.cpu_s
    with Hospital(effort.folder / "hospital", vigil=SECTION) as hospital:
        version = str(hospital.orthanc.get("/system")["Version"])
        with ProcessorCurve(hospital.orthanc.pid) as curve:
            curve.wait_quiet(QUIET_SHARE, QUIET_FOR_S, 20)
            idle_kib = memory_kib(hospital.orthanc.pid, "VmRSS")
            for number in range(effort.repeats):
                study = make(f"{case.name}-{number}")
                _one(hospital, curve, study, effort.folder / f"study-{number}", idle_kib, measured)
    taken_off = network_s <= TAKEN_OFF_UP_TO_S
    # On one thread it cannot have taken more of the processor than its own seconds by the clock, as Vigil tells them.
    by_clock_s = measured.stages_s["infer-network"]
    after_s = [
        taken - (min(network_s, by_clock) if taken_off else 0)
        for taken, by_clock in zip(measured.after_cpu_s, by_clock_s, strict=True)
    ]
    figures = [
        Figure.of(f"after the last image, {'without' if taken_off else 'with'} the network", "CPU s", after_s),
        Figure.of("while images arrive, Orthanc's own work included", "CPU s", measured.arriving_cpu_s),
        Figure.of("last image to answer stored", "s", measured.stored_s),
        Figure.of("last image to results in the PACS", "s", measured.in_pacs_s),
    ]
    if measured.acknowledged_s:
        figures.append(Figure.of("last image to alert acknowledged (AA)", "s", measured.acknowledged_s))
        figures.append(Figure.of("answer stored to alert acknowledged (AA)", "s", measured.alert_s))
    figures.append(Figure.of("peak memory over idle", "× volume", measured.volumes))
    figures += [Figure.of(f"Vigil's stage \"{name}\"", "s", values) for name, values in sorted(measured.stages_s.items())]
    targets = []
    if most_cpu_s is not None:
        targets = [
            Target("CPU after the study is complete", most_cpu_s, True, "CPU s", median(after_s)),
            Target("Peak memory of one study over idle", MOST_VOLUMES, True, "× volume", median(measured.volumes)),
        ]
    note = NOTE.format(
        version=version, stable_age=hospital.orthanc.stable_age_s, objects=objects, network=network_s,
        volume=study.volume_bytes >> 20, taken_off=", and that is taken off" if taken_off else "",
    )  # fmt: skip
    missed = any(not target.met for target in targets)
    return Findings(
        case.name, case.title, note, figures=tuple(figures), targets=tuple(targets),
        profile=profile(lambda: product.run(study, Laps())) if missed else "",
    )  # fmt: skip


def _one(
    hospital: Hospital, curve: ProcessorCurve, study: Study, folder: Path, idle_kib: int, measured: Measured
) -> None:
    orthanc, pacs = hospital.orthanc, hospital.pacs
    assert isinstance(pacs, Pacs)
    folders = shares(folder, study.files)
    before_pacs, before_alerts = len(pacs.objects()), len(hospital.ris.received())
    before = stages(orthanc.get_bytes("/vigil/metrics").decode())
    curve.wait_quiet(QUIET_SHARE, QUIET_FOR_S, 20)
    forget_peak(orthanc.pid)
    begun = time.time()
    send(folders, orthanc)
    last = time.time()
    # By the folders of the others, so that nothing is asked of Orthanc; then once by its own word.
    alerts = study.model_id == MODEL
    wait_until(
        "objects in the PACS and the alert", timeout_s=120,
        condition=lambda: len(pacs.objects()) > before_pacs and (not alerts or len(hospital.ris.received()) > before_alerts),
    )  # fmt: skip
    analysis = wait_settled(hospital, study.study_uid)[0]
    stored = max(_moment(item["stored_at"]) for item in analysis["objects"])
    measured.after_cpu_s.append(curve.between(last, stored))
    measured.arriving_cpu_s.append(curve.between(begun, last))
    measured.stored_s.append(stored - last)
    for delivery in analysis["deliveries"]:
        if delivery["kind"] == "dicom":
            measured.in_pacs_s.append(_moment(delivery["finished_at"]) - last)
        elif delivery["acknowledgement"] is not None:
            acknowledged = _moment(delivery["acknowledgement"]["at"])
            measured.acknowledged_s.append(acknowledged - last)
            measured.alert_s.append(acknowledged - stored)
    measured.volumes.append((memory_kib(orthanc.pid, "VmHWM") - idle_kib) * 1024 / study.volume_bytes)
    after = stages(orthanc.get_bytes("/vigil/metrics").decode())
    for name, seconds in after.items():
        measured.stages_s.setdefault(name, []).append(seconds - before.get(name, 0.0))


def stages(exposition: str) -> Mapping[str, float]:
    """Seconds by stage so far, as Vigil's metrics tell them."""
    return {
        sample.labels["stage"]: sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if sample.name == "vigil_stage_seconds_sum"
    }


def _moment(written: Any) -> float:
    return datetime.fromisoformat(str(written)).timestamp()
