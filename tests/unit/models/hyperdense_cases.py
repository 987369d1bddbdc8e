"""The shipped hyperdense volume model, loaded, and volumes to run it on."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vigil.imaging.volume import Volume
from vigil.inference.registry import InstalledModel, Registry
from vigil.inference.runtime import Inference, Runtime

ROOT = Path(__file__).resolve().parents[3]
MODEL = "hyperdense-volume-ct-head"
FOLDER = ROOT / "models" / MODEL


def installed() -> InstalledModel:
    return next(found for found in Registry(ROOT / "models").installed() if found.model_id == MODEL)


def axial(hu: NDArray[np.number], spacing_mm: tuple[float, float, float]) -> Volume:
    """Slices to the head, rows to the back, columns to the left."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing_mm, 1.0
    return Volume(np.ascontiguousarray(hu, np.float32), affine)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.model = installed()
        self.runtime = Runtime(
            provider="cpu", threads=2, allow_cpu_fallback=False, memory_budget_mib=4096, marker=folder / "marker.json"
        )
        self.runtime.load(self.model)

    def run(self, volume: Volume) -> Inference:
        return self.runtime.run(self.model, volume, operating_point="default", stop=threading.Event())
