"""What a GPU makes of a network of clinical size: the stages of an inference, and how much of it the network itself is."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import (  # type: ignore[attr-defined]  # the package exports them, but does not say so
    __version__,
    get_available_providers,
)

from benchmark.case import Case, Effort, NotHere
from benchmark.cases.windows import agreement, monai_inferer, monai_on_the_gpu, network_session, ours
from benchmark.findings import Figure, Findings, Target
from benchmark.networks import FEATURES, u_net
from benchmark.statistics import median, ratio
from benchmark.stopwatch import now
from vigil.domain.manifest.strategy import SlidingWindow
from vigil.imaging.volume import Volume
from vigil.inference.outcome import Inference
from vigil.inference.providers import CUDA, Accelerator
from vigil.inference.registry import InstalledModel, read_package
from vigil.inference.runtime import Runtime
from vigil.inference.session import Given, NetworkSession

SHAPE, SPACING_MM, WANTED_MM = (300, 512, 512), (1.0, 0.7, 0.7), 1.5
RULE = SlidingWindow(kind="sliding-window", window=(96, 96, 96), overlap=0.25, batch=4)
SHARE, FIRST_TO_LATER = 0.9, 1.25
STAGES = ("resample", "network", "postprocess")
NOTE = (
    f"300 × 512² voxels of 1.0 × 0.7 × 0.7 mm to {WANTED_MM} mm, windows of 96³, a quarter overlapping, four at a time, through "
    f"a seeded U-Net of {', '.join(map(str, FEATURES))} features in float32, TF32 off, by its manifest as a study's volume is. "
    "With seeded weights the outlined region is noise all over the volume, the dearest there is for what follows the network."
)
BESIDE = (
    "Beside MONAI's SlidingWindowInferer on the same session: by numpy, and with all of it on the GPU (the prepared volume in, "
    "logits out)."
)


def clinical(case: Case, effort: Effort) -> Findings:
    """Raises: NotHere without a GPU."""
    if CUDA not in get_available_providers():
        raise NotHere("needs a GPU and onnxruntime-gpu; no CUDA session can be made here")
    content = u_net()
    model = package(effort.folder / "models" / "u-net", content)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *SPACING_MM, 1.0
    volume = Volume(np.random.default_rng(1).normal(0, 1, SHAPE).astype(np.float32), affine)
    runtime = _runtime(effort.folder, Accelerator("cuda"))
    begun = now()
    runtime.load(model)
    loaded = now() - begun
    told: list[Inference] = []
    within: list[float] = []
    for _ in range(effort.repeats + 1):
        with time_within() as spent:
            told.append(runtime.run(model, volume, operating_point="default", stop=threading.Event()))
        within.append(spent[0])
    later = told[1:]
    network = [each.timings_s["network"] for each in later]
    figures = [Figure("load and warm", "s", median([loaded.wall_s]))]
    figures += [Figure.of(stage, "s", [each.timings_s[stage] for each in later]) for stage in STAGES]
    figures.append(Figure.of("of the network's stage, within session.run", "s", within[1:]))
    targets = [
        Target("session.run, of the network's stage", SHARE, False, "", ratio(within[1:], network)),
        Target("first run / later runs, network", FIRST_TO_LATER, True, "×",
               median([told[0].timings_s["network"] / each for each in network])),
    ]
    figures.append(Figure("held on the GPU", "MiB", median([float(_asked("memory.used").split()[0])])))
    runtime.close()
    figures += _with_tf32(model, volume, effort)
    more, further = _beside_monai(content, effort)
    return Findings(case.name, f"{case.title} ({gpu()})", f"{NOTE} {BESIDE}", figures=(*figures, *more),
                    targets=(*targets, *further))


def _with_tf32(model: InstalledModel, volume: Volume, effort: Effort) -> list[Figure]:
    runtime = _runtime(effort.folder, Accelerator("cuda", tf32=True))
    runtime.load(model)
    took = [runtime.run(model, volume, operating_point="default", stop=threading.Event()).timings_s["network"]
            for _ in range(effort.repeats)]
    runtime.close()
    return [Figure.of("network, TF32 allowed", "s", took)]


def _beside_monai(content: bytes, effort: Effort) -> tuple[list[Figure], list[Target]]:
    session = network_session(content, Accelerator("cuda"), RULE)
    shape = [round(count * step / WANTED_MM) for count, step in zip(SHAPE, SPACING_MM, strict=True)]
    tensor = np.random.default_rng(2).normal(0, 1, (1, *shape)).astype(np.float32)
    ways = {"Vigil": lambda: ours(session, tensor, RULE), "MONAI by numpy": monai_inferer(session, tensor, RULE),
            "MONAI on the GPU": monai_on_the_gpu(session, tensor, RULE, 2)}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    logits = {}
    for turn in range(effort.repeats + 1):
        for name, way in ways.items():
            begun = now()
            logits[name] = way()
            if turn:
                spent[name].append((now() - begun).wall_s)
    figures = [Figure.of(name, "s", values) for name, values in spent.items()]
    targets = [Target(f"{name} / Vigil", 1.0, False, "×", ratio(spent[name], spent["Vigil"])) for name in list(ways)[1:]]
    return figures, [*targets, *agreement(logits["Vigil"], logits["MONAI by numpy"])]


@contextmanager
def time_within() -> Iterator[list[float]]:
    """Seconds within the runs of every session meanwhile: with the copies to and from the GPU."""
    spent, plain = [0.0], NetworkSession.run

    def timed(self: NetworkSession, given: Given, leave: Any) -> Mapping[str, Any]:
        begun = time.perf_counter()
        try:
            return plain(self, given, leave)
        finally:
            spent[0] += time.perf_counter() - begun

    NetworkSession.run = timed  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        NetworkSession.run = plain  # type: ignore[method-assign]


def package(folder: Path, content: bytes) -> InstalledModel:
    """Of one volume in, one region out."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(content)
    code = {"value": "X-PART", "scheme": "99T", "meaning": "Part"}
    (folder / "manifest.yaml").write_text(json.dumps({
        "schema_version": 1, "id": folder.name, "version": "1.0.0", "name": "U-Net", "vendor": "Test", "licence": "MIT",
        "summary": "Outlines nothing in particular.",
        "regulatory": {"status": "research", "intended_use": "To be timed by the benchmark.",
                       "permitted_outputs": ["measurement", "contour"]},
        "files": {"model.onnx": hashlib.sha256(content).hexdigest()},
        "scope": {"modality": ["CT"], "body_part": {"any_of": ["CHEST"]}},
        "inputs": [{"name": "ct", "minimum_slices": 20, "minimum_coverage_mm": 100}],
        "preprocessing": {"kind": "tensor", "orientation": "SPL", "spacing_mm": [WANTED_MM] * 3},
        "strategy": json.loads(RULE.model_dump_json()),
        "network": {"file": "model.onnx", "input": "image", "outputs": ["logits"]},
        "outputs": [{"kind": "segmentation", "name": "parts", "tensor": "logits", "activation": "softmax", "channels": 2}],
        "postprocessing": {"kind": "regions", "regions": [{"name": "part", "output": "parts", "channel": 1, "decide": "argmax"}]},
        "measurements": [{"name": "volume", "kind": "volume", "region": "part"}],
        "finding": {"concept": code, "category": code, "site": code, "measurement": code, "unit": "mL", "decided_by": "volume",
                    "measured": "{value} {unit}"},
        "limitations": ["none"], "changes": {"1.0.0": "First."},
    }))
    model = read_package(folder)
    if model.problem is not None:
        raise ValueError(model.problem.text)
    return model


def gpu() -> str:
    """Its name and its driver."""
    return f"{_asked('name')}, driver {_asked('driver_version')}, ONNX Runtime {__version__}"


def _asked(what: str) -> str:
    """Of the first GPU."""
    asked = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def _runtime(folder: Path, accelerator: Accelerator) -> Runtime:
    return Runtime(provider=accelerator.provider, threads=2, allow_cpu_fallback=False, memory_budget_mib=1 << 20,
                   marker=folder / "running.json", accelerator=accelerator)
