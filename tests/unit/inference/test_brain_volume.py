"""Two networks in series: the outline comes back where the brain lies, and what is no whole brain is not measured."""

from __future__ import annotations

import threading
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from inference_cases import stored
from numpy.typing import NDArray

from vigil.domain.answer import AnswerKind
from vigil.domain.errors import Category, Stopping
from vigil.imaging.volume import Volume
from vigil.inference.errors import InferenceFailed, ManifestInvalid, OutOfMemory
from vigil.inference.manifest_file import parse_manifest
from vigil.inference.morphology import largest_cluster, without_holes
from vigil.inference.registry import InstalledModel
from vigil.inference.runtime import Inference, Runtime

from .brain_cases import SHIPPED, brain, bright, package

SPACING = (2.5, 2.0, 1.5)
SHAPE = (60, 90, 100)
"""[z, y, x] in patient axes."""


def runtime(folder: Path, budget_mib: int = 1024) -> Runtime:
    return Runtime(
        provider="cpu", threads=1, allow_cpu_fallback=False, memory_budget_mib=budget_mib, marker=folder / "marker"
    )


def analysed(folder: Path, model: InstalledModel, volume: Volume) -> Inference:
    running = runtime(folder)
    running.load(model)
    return running.run(model, volume, operating_point="default", stop=threading.Event())


def turned(
    values: NDArray[np.float32], axes: tuple[int, ...], flips: tuple[bool, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    volume = stored(values, SPACING, axes, flips)
    return volume.voxels, volume.affine


def head(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    noise = np.random.default_rng(5).normal(0, 5, mask.shape)
    return np.asarray(np.where(mask, 400, 40) + noise, np.float32)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_the_outline_lies_where_the_brain_lies_in_every_orientation(tmp_path: Path, axes: tuple[int, ...]) -> None:
    model = package(tmp_path)
    truth = brain(SHAPE, SPACING)
    for flips in product((False, True), repeat=3):
        values, affine = turned(head(truth), axes, flips)
        inference = analysed(tmp_path, model, Volume(values, affine))
        expected, _ = turned(truth.astype(np.float32), axes, flips)
        mask = inference.masks["brain"]
        dice = 2 * int((mask & (expected > 0)).sum()) / (int(mask.sum()) + int(expected.sum()))
        # Sampled on 64 voxels a side; a mirrored outline of this body reaches 0.95.
        assert dice > 0.97, (axes, flips)


def test_the_volume_is_that_of_the_body_and_is_measured_not_decided(tmp_path: Path) -> None:
    truth = brain(SHAPE, SPACING)
    values, affine = turned(head(truth), (0, 1, 2), (False, False, False))
    answer = analysed(tmp_path, package(tmp_path), Volume(values, affine)).answer
    assert answer.kind is AnswerKind.MEASURED
    assert answer.kind.analysed
    assert answer.measured is not None
    assert answer.measured.value == pytest.approx(truth.sum() * np.prod(SPACING) / 1000, rel=0.02)
    assert answer.findings[0].measurements == (answer.measured,)
    assert truth[answer.findings[0].key_slices[0]].sum() == pytest.approx(truth.sum(axis=(1, 2)).max(), rel=0.02)


def test_a_brain_that_the_images_cut_is_not_measured(tmp_path: Path) -> None:
    values, affine = turned(head(brain(SHAPE, SPACING)), (0, 1, 2), (False, False, False))
    inference = analysed(tmp_path, package(tmp_path), Volume(values[:35], affine))
    assert inference.answer.kind is AnswerKind.NOT_ANALYSED
    assert inference.answer.reason is not None
    assert inference.answer.reason.category is Category.TRUNCATED_ANATOMY
    assert inference.masks == {}
    assert inference.answer.measured is None


@pytest.mark.parametrize(
    ("limits", "category"),
    [({"minimum": 1500}, Category.TRUNCATED_ANATOMY), ({"maximum": 100}, Category.OUT_OF_SCOPE)],
)
def test_a_volume_that_no_adult_has_is_not_told(tmp_path: Path, limits: dict[str, int], category: Category) -> None:
    values, affine = turned(head(brain(SHAPE, SPACING)), (0, 1, 2), (False, False, False))
    answer = analysed(tmp_path, package(tmp_path, plausible_ml=limits), Volume(values, affine)).answer
    assert (answer.kind, answer.reason and answer.reason.category) == (AnswerKind.NOT_ANALYSED, category)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_images_of_one_value_are_not_measured(tmp_path: Path, value: float) -> None:
    answer = analysed(tmp_path, package(tmp_path), Volume(np.full((40, 40, 40), value, np.float32), np.eye(4))).answer
    assert answer.kind is AnswerKind.NOT_ANALYSED


def test_a_network_that_gives_no_number_fails(tmp_path: Path) -> None:
    values, affine = turned(head(brain(SHAPE, SPACING)), (0, 1, 2), (False, False, False))
    with pytest.raises(InferenceFailed, match="no number"):
        analysed(tmp_path, package(tmp_path, network=bright(float("nan"))), Volume(values, affine))


def test_a_stop_is_heard(tmp_path: Path) -> None:
    model, running, stop = package(tmp_path), runtime(tmp_path), threading.Event()
    running.load(model)
    stop.set()
    values, affine = turned(head(brain(SHAPE, SPACING)), (0, 1, 2), (False, False, False))
    with pytest.raises(Stopping):
        running.run(model, Volume(values, affine), operating_point="default", stop=stop)


def test_a_volume_for_which_memory_is_too_small_is_refused(tmp_path: Path) -> None:
    model, running = package(tmp_path), runtime(tmp_path, budget_mib=27)
    running.load(model)
    with pytest.raises(OutOfMemory, match="the analysis would need"):
        running.run(
            model, Volume(np.zeros((200, 200, 200), np.float32), np.eye(4)), operating_point="default", stop=threading.Event()
        )


@pytest.mark.parametrize("name", ["locator.onnx", "model.onnx"])
def test_neither_network_may_change(tmp_path: Path, name: str) -> None:
    model = package(tmp_path)
    before = model.manifest.weights_sha256 if model.manifest is not None else ""
    assert model.verify() is None
    (model.folder / name).write_bytes(bright(40.0))
    changed = model.verify()
    assert changed is not None
    assert changed.category is Category.MODEL_HASH_MISMATCH
    assert len(before) == 64


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  kind: tensor\n", "  kind: fixed-shape\n", "preprocessing"),
        ("  interpolation: nearest-exact\n", "  interpolation: nearest-even\n", "preprocessing.interpolation"),
        ("low: 0.005, high: 0.995", "low: 0.995, high: 0.005", "must lie below"),
        ("plausible_ml: {minimum: 700,", "plausible_ml: {minimum: 7000,", "is above maximum"),
        ("  shape: [128, 128, 128]\n  output: probability", "  shape: [128, 128, 128]\n  output: mask", "none of the locator's"),
        ("    file: locator.onnx\n", "    file: other.onnx\n", "no SHA-256"),
        ('  measured: "Brain', '  positive: "Brain', "'measured' alone"),
        ("  unit: mL\n", "  unit: mL\n  acr_category: 1\n", "decides nothing"),
        ("limitations:", "operating_points:\n  default: {positive: 5.0}\n\nlimitations:", "has no operating points"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(old: str, new: str, said: str) -> None:
    text = SHIPPED.read_text()
    assert old in text
    with pytest.raises(ManifestInvalid, match=r"manifest\.yaml, line") as refused:
        parse_manifest(text.replace(old, new, 1))
    assert said in refused.value.message


def test_parts_that_touch_at_a_corner_are_one_and_a_cavity_behind_a_corner_is_closed() -> None:
    mask = np.zeros((6, 6, 6), np.bool_)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert largest_cluster(mask).sum() == 2
    shell = np.zeros((7, 7, 7), np.bool_)
    shell[1:6, 1:6, 1:6] = True
    shell[2:5, 2:5, 2:5] = False
    shell[1, 1, 1] = False  # a way out by corners only
    closed = without_holes(shell)
    assert closed[2:5, 2:5, 2:5].all()
    assert not closed[1, 1, 1]
    shell[1, 3, 3] = False  # a way out by a face
    assert not without_holes(shell)[3, 3, 3]
