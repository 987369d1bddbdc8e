"""Several networks and mirrored inputs: their mean is numpy's, what is mirrored comes back, and where they differ it is said."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inference_cases import runtime, stored
from manifest_cases import (
    CODE,
    SCORE,
    SENTENCES,
    classifier,
    detector,
    graph,
    install,
    looking_aside,
    of_boxes,
    of_brightness,
    segmentation,
)
from numpy.typing import NDArray
from onnx import helper

from vigil.domain.answer import AnswerKind
from vigil.domain.errors import Category
from vigil.imaging.volume import Volume
from vigil.inference.errors import ModelInvalid
from vigil.inference.registry import InstalledModel
from vigil.inference.runtime import Inference

SPACING = (2.0, 1.0, 1.5)
SHAPE = (10, 14, 12)
FILES = ("model.onnx", "second.onnx", "third.onnx")
Values = NDArray[np.float32]


def run(folder: Path, model: InstalledModel, values: Values) -> Inference:
    assert model.problem is None, model.problem
    running = runtime(folder)
    running.load(model)
    volume: Volume = stored(values, SPACING, (0, 1, 2), (False,) * 3)
    return running.run(model, volume, operating_point="default", stop=threading.Event())


def kernels() -> list[Values]:
    """Of three networks: seeded, and the same in no mirror."""
    random = np.random.default_rng(21)
    return [random.normal(0, 0.4, (3, 3, 3)).astype(np.float32) for _ in FILES]


def convolving(kernel: Values) -> bytes:
    node = helper.make_node("Conv", ["image", "kernel"], ["logits"], kernel_shape=[3, 3, 3], pads=[1] * 6)
    sides = ["n", 1, "d", "h", "w"]
    return graph([node], {"kernel": kernel[None, None]}, sides, {"logits": sides})


def probability(values: Values, kernel: Values) -> NDArray[np.float64]:
    """By hand: correlation with zeros around, then the sigmoid."""
    padded = np.pad(values.astype(np.float64), 1)
    logits = np.zeros(values.shape)
    for place, weight in np.ndenumerate(kernel):
        logits += float(weight) * padded[tuple(slice(at, at + side) for at, side in zip(place, values.shape, strict=True))]
    return np.asarray(1 / (1 + np.exp(-logits)))


def heat(**ensemble: Any) -> dict[str, Any]:
    return {
        "preprocessing": {"kind": "tensor", "orientation": "SPL"},
        "network": {"file": "model.onnx", "input": "image", "outputs": ["logits"]},
        "ensemble": ensemble,
        "outputs": [{"kind": "heat-map", "name": "heat", "tensor": "logits", "activation": "sigmoid"}],
        "postprocessing": {"kind": "regions", "regions": [
            {"name": "bright", "output": "heat", "threshold": 0.6, "back": "nearest"}]},
    }  # fmt: skip


def image() -> Values:
    return np.random.default_rng(3).normal(0, 1, SHAPE).astype(np.float32)


def volumes_ml(masks: list[NDArray[np.bool_]]) -> list[float]:
    return [float(mask.sum()) * float(np.prod(SPACING)) / 1000 for mask in masks]


def mirrored(values: NDArray[Any], flip: str) -> NDArray[Any]:
    return np.flip(values, ["DHW".index(letter) for letter in flip])


@pytest.mark.parametrize("flips", [(), ("W",), ("D", "HW")])
@pytest.mark.parametrize("strategy", [{"kind": "whole-volume"}, {"kind": "sliding-window", "window": [10, 14, 12]}])
def test_the_mean_of_all_predictions_is_that_of_numpy(tmp_path: Path, flips: tuple[str, ...], strategy: dict[str, Any]) -> None:
    parts = heat(files=list(FILES[1:]), flips=list(flips)) | {"strategy": strategy}
    parts["operating_points"] = {"default": {"positive": 0.1}}
    files = {name: convolving(kernel) for name, kernel in zip(FILES, kernels(), strict=True)}
    inference = run(tmp_path, install(tmp_path / "models", files, **parts), image())
    predictions = [mirrored(probability(mirrored(image(), flip), kernel), flip)
                   for kernel in kernels() for flip in ("", *flips)]
    expected = np.mean(predictions, axis=0) >= 0.6
    np.testing.assert_array_equal(inference.masks["bright"], expected)
    alone = volumes_ml([found >= 0.6 for found in predictions])
    assert len(set(alone)) > 1
    assert inference.answer.notes == (
        f"The {len(predictions)} predictions that were averaged differ by {np.std(alone, ddof=1):.2f} mL (standard deviation).",)


def test_classes_are_averaged_as_probabilities_and_slice_by_slice(tmp_path: Path) -> None:
    """A network that sees the bright slice for sure, and one that sees nothing: the mean is one half, whatever their logits."""
    files = {"model.onnx": of_brightness(), "second.onnx": of_brightness(sign=-1.0)}
    model = install(tmp_path / "models", files, **classifier(ensemble={"files": ["second.onnx"]}))
    values = np.zeros((20, 30, 24), np.float32)
    values[13, :15, :12] = 900
    answer = run(tmp_path, model, values).answer
    assert answer.measured is not None
    # Of the bright slice 1 and 0, of every other 0 and 1.
    assert answer.measured.value == pytest.approx(50.0, abs=0.1)
    assert answer.kind is AnswerKind.INDETERMINATE
    assert answer.notes == ("The 2 predictions that were averaged differ by 0.00 % (standard deviation).",)


def test_an_asymmetric_body_comes_back_from_every_mirror(tmp_path: Path) -> None:
    """Each network voxel for itself: turned back, all predictions are the body, and nothing is left of its mirror images."""
    centre = np.zeros((3, 3, 3), np.float32)
    centre[1, 1, 1] = 10.0
    every = ["D", "H", "W", "DH", "DW", "HW", "DHW"]
    body = np.zeros(SHAPE, np.bool_)
    body[1:5, 2:9, 1:6] = True
    body[4:8, 7:13, 4:10] = True
    model = install(tmp_path / "models", {"model.onnx": convolving(centre)}, **heat(flips=every))
    inference = run(tmp_path, model, np.where(body, np.float32(1), np.float32(-1)))
    np.testing.assert_array_equal(inference.masks["bright"], body)
    assert inference.answer.notes == ("The 8 predictions that were averaged differ by 0.00 mL (standard deviation).",)


@pytest.mark.parametrize("flips", [("H",), ("W", "HW")])
def test_slices_are_mirrored_in_their_plane(tmp_path: Path, flips: tuple[str, ...]) -> None:
    kernel = kernels()[0][1:2]
    node = helper.make_node("Conv", ["image", "kernel"], ["logits"], kernel_shape=[3, 3], pads=[1] * 4)
    network = graph([node], {"kernel": kernel[None]}, ["n", 1, "h", "w"], {"logits": ["n", 1, "h", "w"]})
    parts = heat(flips=list(flips)) | {"strategy": {"kind": "per-slice", "batch": 4}}
    parts["preprocessing"] |= {"layout": "NCHW"}
    parts["operating_points"] = {"default": {"positive": 0.1}}
    found = run(tmp_path, install(tmp_path / "models", {"model.onnx": network}, **parts), image()).masks["bright"]
    whole = np.concatenate([np.zeros((1, 3, 3), np.float32), kernel, np.zeros((1, 3, 3), np.float32)])
    predictions = [mirrored(probability(mirrored(image(), flip), whole), flip) for flip in ("", *flips)]
    np.testing.assert_array_equal(found, np.mean(predictions, axis=0) >= 0.6)


@pytest.mark.parametrize(("limit", "kind"), [(0.1, AnswerKind.INDETERMINATE), (1000.0, AnswerKind.POSITIVE)])
def test_predictions_that_differ_by_more_than_the_author_allows_decide_nothing(
    tmp_path: Path, limit: float, kind: AnswerKind
) -> None:
    parts = heat(files=list(FILES[1:]), abstain_above_spread=limit)
    parts["operating_points"] = {"default": {"positive": 0.1}}
    files = {name: convolving(kernel) for name, kernel in zip(FILES, kernels(), strict=True)}
    answer = run(tmp_path, install(tmp_path / "models", files, **parts), image()).answer
    spread = np.std(volumes_ml([probability(image(), kernel) >= 0.6 for kernel in kernels()]), ddof=1)
    assert 0.1 < spread < 1000
    assert answer.kind is kind
    if kind is AnswerKind.INDETERMINATE:
        assert f"differ by {spread:.2f} mL (standard deviation), more than the 0.1 mL up to which" in answer.sentence
        assert all(finding.acr_category is None for finding in answer.findings)


def test_a_clearance_without_numbers_is_told_none_of_the_spread(tmp_path: Path) -> None:
    regulatory = {"status": "research", "intended_use": "For the tests of the inference alone.",
                  "permitted_outputs": ["location"]}  # fmt: skip
    files = {name: convolving(kernel) for name, kernel in zip(FILES, kernels(), strict=True)}
    too_much = ("The predictions that were averaged differ too much for an answer.",)
    for place, limit, notes in (("one", None, ()), ("two", 0.01, too_much)):
        parts = heat(files=list(FILES[1:]), abstain_above_spread=limit) | {"regulatory": regulatory}
        assert run(tmp_path, install(tmp_path / place, files, **parts), image()).answer.notes == notes


def test_every_network_of_an_ensemble_is_held_to_its_hash_and_to_the_manifest(tmp_path: Path) -> None:
    files = {name: convolving(kernel) for name, kernel in zip(FILES, kernels(), strict=True)}
    model = install(tmp_path / "models", files, **heat(files=list(FILES[1:])))
    assert model.manifest is not None
    hashes = "".join(hashlib.sha256(files[name]).hexdigest() for name in FILES)
    assert model.manifest.weights_sha256 == hashlib.sha256(hashes.encode()).hexdigest()
    (model.folder / "third.onnx").write_bytes(convolving(kernels()[0]))
    changed = model.verify()
    assert changed is not None
    assert changed.category is Category.MODEL_HASH_MISMATCH
    other = install(tmp_path / "other", files | {"third.onnx": looking_aside()}, **heat(files=list(FILES[1:])))
    with pytest.raises(ModelInvalid, match=r"must be \(1, 1,"):
        runtime(tmp_path).load(other)


def test_a_locator_runs_once_before_all_networks_of_an_ensemble(tmp_path: Path) -> None:
    """The locator finds the bright body; the first network's threshold is lower than the second's, so the mean lies between."""
    files = {"locator.onnx": steep(0.5), "model.onnx": steep(0.3), "second.onnx": steep(0.6)}
    named = {"input": "image", "outputs": ["logits"]}
    parts = heat(files=["second.onnx"], flips=["DHW"]) | {
        "locator": {"network": {"file": "locator.onnx", **named}, "shape": [16, 16, 16], "output": "logits", "channel": 0,
                    "threshold": 0.0, "least_share": 0.01, "margin": 0.2}}
    parts["preprocessing"] |= {"interpolation": "nearest-exact"}
    parts["postprocessing"]["regions"][0]["threshold"] = 0.4
    body = np.zeros(SHAPE, np.bool_)
    body[2:6, 3:10, 2:8] = True
    model = install(tmp_path / "models", files, **parts)
    assert model.manifest is not None
    assert [network.file for network in model.manifest.networks] == ["locator.onnx", "model.onnx", "second.onnx"]
    inference = run(tmp_path, model, np.where(body, np.float32(0.55), np.float32(0.1)))
    # 0.55: near 1 of the first network, near 0 of the second; the mean is about 0.5, of the air around 0.
    np.testing.assert_array_equal(inference.masks["bright"], body)
    assert set(inference.timings_s) == {"resample", "locator", "network", "postprocess"}


def steep(level: float) -> bytes:
    nodes = [helper.make_node("Sub", ["image", "level"], ["above"]), helper.make_node("Mul", ["above", "factor"], ["logits"])]
    sides = ["n", 1, "d", "h", "w"]
    constants = {"level": np.array(level, np.float32), "factor": np.array(200.0, np.float32)}
    return graph(nodes, constants, sides, {"logits": sides})


@pytest.mark.parametrize(("parts", "said"), [
    (segmentation() | {"ensemble": {}}, "has 'files' of further networks, 'flips', or both"),
    (segmentation() | {"ensemble": {"files": ["model.onnx"]}}, "is network.file already"),
    (segmentation() | {"ensemble": {"files": ["other.onnx"]}}, "'other.onnx' has no SHA-256"),
    (segmentation() | {"ensemble": {"flips": ["W", "W"]}}, "stands once"),
    (classifier(ensemble={"flips": ["DW"]}), "along H and W alone"),
    (detector(ensemble={"flips": ["W"]}), "of a detection's boxes there is no mean"),
    (segmentation() | {"ensemble": {"flips": ["W"]}, "measurements": [{"name": "mean", "kind": "mean-value", "region": "bright"}],
                       "finding": {"concept": CODE, "category": CODE, "site": CODE, "measurement": CODE, "unit": "1",
                                   **SENTENCES}}, "not decided by a mean-value"),
    (classifier(ensemble={"flips": ["W"], "abstain_above_spread": 1.0}, operating_points={}, finding={
        "concept": CODE, "category": CODE, "site": CODE, "measurement": SCORE, "unit": "%", "measured": "{value}"}),
     "goes with a finding that decides"),
])  # fmt: skip
def test_an_ensemble_that_cannot_be_one_is_refused(tmp_path: Path, parts: dict[str, Any], said: str) -> None:
    network = of_boxes() if "boxes" in str(parts["network"]) else looking_aside()
    problem = install(tmp_path, {"model.onnx": network}, **parts).problem
    assert problem is not None
    assert said in problem.text
