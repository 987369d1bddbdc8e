"""The shipped brain volume model against the package that its networks come from, on a real head, by way of DICOM."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hospital.ct_series import Patient, dicom_bytes
from hospital.mr_head import HEAD, mr_head, mr_series
from vigil.authoring.acceptance import Machine, accept
from vigil.domain.answer import AnswerKind
from vigil.domain.manifest import PermittedOutput
from vigil.imaging.geometry import to_orientation
from vigil.imaging.load import load_volume
from vigil.imaging.volume import Volume
from vigil.inference.registry import InstalledModel, Registry
from vigil.inference.runtime import Inference, Runtime
from vigil.intake.header import read_header
from vigil.intake.stack import build_stack

MODELS = Path(__file__).resolve().parents[3] / "models"
MODEL = "brain-volume-t1-mr"
GOLDEN = MODELS / MODEL / "golden"


@pytest.fixture(scope="module")
def model() -> InstalledModel:
    return next(found for found in Registry(MODELS).installed() if found.model_id == MODEL)


@dataclass(frozen=True, eq=False)
class Run:
    volume: Volume
    inference: Inference

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[x, y, z] in canonical RAS, as the golden case."""
        return np.asarray(to_orientation(self.volume.affine, "RAS").apply(self.inference.masks["brain"]), np.bool_)


@pytest.fixture(scope="module")
def run(model: InstalledModel, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The head as a sagittal DICOM series, its images arriving backwards, through reader, stack, volume and runtime."""
    files = {str(index): dicom_bytes(ds) for index, ds in enumerate(mr_series(mr_head(), "parity", Patient()))}
    stack = build_stack([read_header(name, files[name]) for name in reversed(files)])
    volume = load_volume(stack, files.get)
    marker = tmp_path_factory.mktemp("marker") / "marker"
    runtime = Runtime(provider="cpu", threads=2, allow_cpu_fallback=False, memory_budget_mib=2048, marker=marker)
    runtime.load(model)
    return Run(volume, runtime.run(model, volume, operating_point="default", stop=threading.Event()))


def golden_mask() -> NDArray[np.bool_]:
    with np.load(GOLDEN / "ch2.npz") as stored:
        shape = tuple(int(side) for side in stored["shape"])
        return np.unpackbits(stored["bits"])[: int(np.prod(shape))].reshape(shape).astype(np.bool_)


def golden_said() -> dict[str, object]:
    said: dict[str, object] = json.loads((GOLDEN / "ch2.json").read_text())
    return said


def test_the_package_is_whole_and_may_not_alarm(model: InstalledModel) -> None:
    assert model.problem is None
    assert model.manifest is not None
    assert PermittedOutput.NOTIFICATION not in model.manifest.regulatory.permitted_outputs
    assert model.manifest.finding.acr_category is None
    assert "MIT License" in (MODELS / MODEL / "LICENSE").read_text()


def test_the_golden_case_is_answered_as_it_was(model: InstalledModel) -> None:
    acceptance = accept(model, Machine(memory_budget_mib=2048))
    assert acceptance.passed, acceptance.said()


def test_the_package_s_own_answer_is_of_the_head_that_is_installed() -> None:
    said, mask = golden_said(), golden_mask()
    assert hashlib.sha256(HEAD.read_bytes()).hexdigest() == said["image_sha256"]
    assert int(mask.sum()) == said["voxels"]
    assert hashlib.sha256(np.packbits(mask).tobytes()).hexdigest() == said["mask_bits_sha256"]


def test_the_outline_is_that_of_the_package(run: Run) -> None:
    ours, theirs = run.mask, golden_mask()
    assert ours.shape == theirs.shape
    dice = 2 * int((ours & theirs).sum()) / (int(ours.sum()) + int(theirs.sum()))
    assert dice >= 0.99999


def test_the_volume_is_that_of_the_package(run: Run) -> None:
    measured = run.inference.answer.measured
    assert measured is not None
    assert measured.unit.value == "mL"
    assert measured.value == pytest.approx(golden_said()["volume_cm3"], abs=0.1)


def test_the_answer_is_a_measurement_that_decides_nothing(run: Run) -> None:
    answer = run.inference.answer
    assert answer.kind is AnswerKind.MEASURED
    assert answer.criterion is None
    (finding,) = answer.findings
    assert finding.acr_category is None
    assert finding.region == "brain"
    assert run.inference.masks["brain"][finding.key_slices[0]].any()
    assert f"{run.inference.answer.measured.value:.1f} mL" in answer.sentence  # type: ignore[union-attr]
