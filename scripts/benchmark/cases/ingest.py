"""What the bundle costs those who send: the same images into Orthancs with and without it, one right after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmark import studies
from benchmark.case import Case, Effort
from benchmark.findings import Figure, Findings, Target
from benchmark.senders import send, shares, upload
from benchmark.statistics import ratio
from hospital.hospital import LIVE, MODEL
from hospital.orthanc import Orthanc
from hospital.stopwatch import ProcessorCurve

IMAGES = 100
NEVER_STABLE_S = 3600
QUIET_SHARE, QUIET_FOR_S = 0.06, 0.5
PLAIN, DECODING, NOT_DECODING = "without the bundle", "with it", "with it, decoding on arrival off"
C_STORE, REST = "three C-STORE senders", "REST upload"
LEAST = {(C_STORE, DECODING): 0.95, (REST, DECODING): 0.85, (REST, NOT_DECODING): 0.97}
"""Of the images a second without the bundle."""

NOTE = (
    "{images} images of 512², uncompressed, by three dcmsend at once and by POST, into three Orthancs in turns: plain, "
    "with the bundle and a model that wants them, and the same with Arrival.Decode \"off\". Each waits until all are quiet; "
    "nothing is analysed meanwhile. A ratio is of one round, images a second with the bundle over those without."
)


@dataclass
class Node:
    """One Orthanc; by way and round, how many images a second it took, and the processor milliseconds that an image cost it."""

    orthanc: Orthanc
    curve: ProcessorCurve
    rates: dict[str, list[float]] = field(default_factory=lambda: {C_STORE: [], REST: []})
    cost_ms: dict[str, list[float]] = field(default_factory=lambda: {C_STORE: [], REST: []})


def with_and_without(case: Case, effort: Effort) -> Findings:
    study = studies.large_ct(slices=IMAGES)
    folders = shares(effort.folder / "images", study.files)
    ways: dict[str, Callable[[Orthanc], float]] = {
        C_STORE: lambda orthanc: send(folders, orthanc), REST: lambda orthanc: upload(study.files, orthanc),
    }  # fmt: skip
    with ExitStack() as running:
        nodes = {name: _started(running, effort, name, section) for name, section in _sections().items()}
        for number in range(effort.repeats + 1):
            for way, store in ways.items():
                order = list(nodes)[number % len(nodes) :] + list(nodes)[: number % len(nodes)]
                for name in order:
                    took_s, cpu_s = _round(nodes, nodes[name], store)
                    if number:  # the first round is for warmth
                        nodes[name].rates[way].append(len(study.files) / took_s)
                        nodes[name].cost_ms[way].append(1000 * cpu_s / len(study.files))
    figures = [Figure.of(f"{way}, {name}", "images/s", node.rates[way]) for way in ways for name, node in nodes.items()]
    figures += [
        Figure.of(f"{way}, {name}, Orthanc's processor time", "CPU ms/image", node.cost_ms[way])
        for way in ways for name, node in nodes.items()
    ]  # fmt: skip
    targets = [
        Target(f"{way}, {name}, over without", least, False, "×", ratio(nodes[name].rates[way], nodes[PLAIN].rates[way]))
        for (way, name), least in LEAST.items()
    ]
    return Findings(
        case.name, case.title, NOTE.format(images=len(study.files)), figures=tuple(figures), targets=tuple(targets)
    )


def _sections() -> dict[str, Mapping[str, Any] | None]:
    """The "Vigil" section by name; None: no bundle."""
    section = {"Models": {MODEL: LIVE}, "Reconcile": {"IntervalSeconds": 3600.0}}
    return {PLAIN: None, DECODING: section, NOT_DECODING: section | {"Arrival": {"Decode": "off"}}}


def _started(running: ExitStack, effort: Effort, name: str, section: Mapping[str, Any] | None) -> Node:
    folder = effort.folder / name.replace(" ", "-").replace(",", "")
    if section is None:
        orthanc = Orthanc(folder, script=None, stable_age_s=NEVER_STABLE_S)
    else:
        orthanc = Orthanc(folder, vigil=section, stable_age_s=NEVER_STABLE_S)
    running.enter_context(orthanc)
    if section is not None:
        orthanc.wait_ready()
    return Node(orthanc, running.enter_context(ProcessorCurve(orthanc.pid)))


def _round(nodes: Mapping[str, Node], node: Node, store: Callable[[Orthanc], float]) -> tuple[float, float]:
    """Wall seconds, and the processor seconds that Orthanc took meanwhile; the images are gone again afterwards."""
    for each in nodes.values():
        each.curve.wait_quiet(QUIET_SHARE, QUIET_FOR_S, 20)
    begun = time.time()
    took = store(node.orthanc)
    cpu_s = node.curve.between(begun, time.time())
    for study in node.orthanc.studies():
        node.orthanc.delete(f"/studies/{study}")
    return took, cpu_s
