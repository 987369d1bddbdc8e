"""Images that are larger than what their network takes: maps, boxes and classes come back as those of the whole image."""

from __future__ import annotations

import threading
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inference_cases import runtime, stored
from manifest_cases import CODE, SENTENCES, classifier, detector, graph, install, of_boxes, of_brightness, segmentation
from numpy.typing import NDArray
from onnx import helper

from vigil.inference.registry import InstalledModel
from vigil.inference.runtime import Inference

SPACING = (2.0, 1.0, 1.5)
Values = NDArray[np.float32]


def run(
    folder: Path, model: InstalledModel, values: Values, axes: tuple[int, ...] = (0, 1, 2), flips: tuple[bool, ...] = (False,) * 3
) -> Inference:
    assert model.problem is None, model.problem
    running = runtime(folder)
    running.load(model)
    return running.run(model, stored(values, SPACING, axes, flips), operating_point="default", stop=threading.Event())


def tiles(**changes: Any) -> dict[str, Any]:
    return {"kind": "tiles", "tile": [24, 24], "overlap": 0.5, **changes}


def looking_left_and_up() -> bytes:
    """A heat map: bright where the pixel two columns further and one row before is."""
    kernel = np.zeros((1, 1, 5, 5), np.float32)
    kernel[0, 0, 1, 4] = 1.0
    node = helper.make_node("Conv", ["image", "kernel"], ["map"], kernel_shape=[5, 5], pads=[2] * 4)
    return graph([node], {"kernel": kernel}, ["n", 1, 24, 24], {"map": ["n", 1, 24, 24]})


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("batch", [1, 5])
def test_a_map_of_tiles_lies_where_it_looks_in_every_orientation(tmp_path: Path, axes: tuple[int, ...], batch: int) -> None:
    parts = {
        "preprocessing": {"kind": "tensor", "orientation": "SPL", "layout": "NCHW"},
        "strategy": tiles(batch=batch),
        "network": {"file": "model.onnx", "input": "image", "outputs": ["map"]},
        "outputs": [{"kind": "heat-map", "name": "heat", "tensor": "map"}],
        "postprocessing": {"kind": "regions", "regions": [{"name": "bright", "output": "heat", "back": "nearest"}]},
        "operating_points": {"default": {"positive": 0.1}},
    }  # fmt: skip
    model = install(tmp_path / "models", {"model.onnx": looking_left_and_up()}, **parts)
    body = np.zeros((5, 60, 41), np.bool_)
    body[1:3, 20:45, 8:31] = True
    body[3, 5:20, 25:36] = True
    flips = (axes[0] == 1, True, axes[1] == 0)
    found = run(tmp_path, model, body.astype(np.float32), axes, flips).masks["bright"]
    expected = stored(np.roll(body, (1, -2), axis=(1, 2)).astype(np.float32), SPACING, axes, flips).voxels > 0
    # Near a tile's border the network sees zeros, and the blend of both tiles decides: the body's own borders stay.
    assert np.mean(found != expected) < 0.01
    assert np.count_nonzero(found) > 0.95 * np.count_nonzero(expected)


@pytest.mark.parametrize(("rows", "spots"), [
    (56, [(1, 20, 28), (1, 48, 0), (3, 4, 32)]),
    (20, [(0, 2, 32), (2, 10, 8)]),  # lower than a tile: padded by 2 before and after
])  # fmt: skip
def test_boxes_of_all_tiles_come_back_to_the_slice_each_once(
    tmp_path: Path, rows: int, spots: list[tuple[int, int, int]]
) -> None:
    parts = detector(strategy=tiles())
    parts["preprocessing"] |= {"shape": [None, None, None]}
    values = np.zeros((5, rows, 40), np.float32)
    for index, row, column in spots:
        values[index, row:row + 6, column:column + 6] = 1000
    model = install(tmp_path / "models", {"model.onnx": of_boxes()}, **parts)
    for axes in ((0, 1, 2), (2, 0, 1)):
        inference = run(tmp_path, model, values, axes, (True, False, False))
        np.testing.assert_array_equal(
            inference.masks["bright"], stored(values, SPACING, axes, (True, False, False)).voxels > 500)
        assert len(inference.boxes["bright"]) == len(spots)
        assert all(box.score.value == pytest.approx(100.0, abs=0.1) for box in inference.boxes["bright"])


@pytest.mark.parametrize(("over", "share"), [("maximum", 1.0), ("mean", 0.5)])
def test_a_class_takes_the_largest_value_of_any_tile_of_its_slice(tmp_path: Path, over: str, share: float) -> None:
    """Bright in the upper left quarter of the last of four tiles, in one of two slices: the tiles are not averaged, the slices
    are where the author says so."""
    parts = classifier(strategy=tiles(overlap=0.0, batch=3))
    parts["preprocessing"] |= {"shape": [None, None, None]}
    parts["outputs"][0]["over_slices"] = over
    values = np.zeros((2, 48, 48), np.float32)
    values[1, 24:36, 24:36] = 1000
    answer = run(tmp_path, install(tmp_path / "models", {"model.onnx": of_brightness()}, **parts), values).answer
    assert answer.measured is not None
    assert answer.measured.value == pytest.approx(100 * share, abs=0.1)


REGRESSION = {
    "outputs": [{"kind": "regression", "name": "number", "tensor": "logits"}],
    "measurements": [{"name": "value", "kind": "value", "output": "number"}],
    "finding": {"concept": CODE, "category": CODE, "site": CODE, "measurement": CODE, "unit": "mm", **SENTENCES},
}


@pytest.mark.parametrize(("parts", "said"), [
    (classifier(strategy=tiles(), **REGRESSION), "the number that a tile gives is none of the image"),
    (segmentation() | {"strategy": tiles()}, "'per-slice' or 'tiles' goes with preprocessing.layout NCHW"),
    (classifier(strategy=tiles(tile=[0, 24])), "each side of tile must be 1 or more"),
    (classifier(strategy=tiles(tile=[40_000, 40_000])), "asks for a tensor of"),
])  # fmt: skip
def test_tiles_that_cannot_be_run_are_refused(tmp_path: Path, parts: dict[str, Any], said: str) -> None:
    problem = install(tmp_path, {"model.onnx": of_brightness()}, **parts).problem
    assert problem is not None
    assert said in problem.text
