"""Models that are described and not programmed: each comes through the runtime to an answer, its regions where they lie."""

from __future__ import annotations

import threading
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from inference_cases import runtime, stored
from manifest_cases import (
    CODE,
    SCORE,
    SENTENCES,
    SHIFT,
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
from vigil.domain.boxes import PatientBox
from vigil.domain.errors import Category
from vigil.imaging.volume import Volume
from vigil.inference.errors import ModelInvalid
from vigil.inference.registry import InstalledModel
from vigil.inference.runtime import Inference

SPACING = (2.0, 1.0, 1.5)
SHAPE = (20, 30, 24)
"""[z, y, x] of the patient."""
WAYS = [(axes, flips) for axes in permutations(range(3)) for flips in product((False, True), repeat=3)]


def run(folder: Path, model: InstalledModel, volume: Volume) -> Inference:
    running = runtime(folder)
    running.load(model)
    return running.run(model, volume, operating_point="default", stop=threading.Event())


def lopsided_body() -> NDArray[np.bool_]:
    """The same in no mirror."""
    body = np.zeros(SHAPE, np.bool_)
    body[5:12, 8:20, 6:13] = True
    body[10:15, 17:23, 11:18] = True
    return body


def hu(body: NDArray[np.bool_]) -> NDArray[np.float32]:
    noise = np.random.default_rng(2).normal(0, 10, body.shape)
    values = np.asarray(np.where(body, 900, 100) + noise, np.float32)
    values[0, 0, 0] = -30_000  # one value far out: a padding, as scanners write it
    return values


def seen_aside(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What the network of LIA must mark, in [z, y, x] (to the head, the back, the left): where the voxel that lies SHIFT further
    to the left, the feet and the front is of the body."""
    to_the_left, to_the_feet, to_the_front = SHIFT
    moved: NDArray[np.bool_] = np.roll(body, (to_the_feet, to_the_front, -to_the_left), axis=(0, 1, 2))
    return moved


@pytest.mark.parametrize("layout", ["NCDHW", "NDHWC"])
@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_a_segmentation_in_lia_lies_where_it_looks_in_every_orientation(
    tmp_path: Path, axes: tuple[int, ...], layout: str
) -> None:
    model = install(tmp_path / "models", {"model.onnx": looking_aside(layout)}, **segmentation(layout))
    assert model.problem is None
    body = lopsided_body()
    running = runtime(tmp_path)
    running.load(model)
    for flips in product((False, True), repeat=3):
        volume = stored(hu(body), SPACING, axes, flips)
        inference = running.run(model, volume, operating_point="default", stop=threading.Event())
        expected = stored(seen_aside(body).astype(np.float32), SPACING, axes, flips).voxels > 0
        np.testing.assert_array_equal(inference.masks["bright"], expected)
        measured = inference.answer.measured
        assert measured is not None
        assert measured.value == round(float(expected.sum()) * np.prod(SPACING) / 1000, 1)
        assert inference.answer.kind is AnswerKind.POSITIVE
        telling = inference.answer.findings[0].key_slices[0]
        assert expected[telling].sum() == expected.sum(axis=(1, 2)).max()


def test_a_segmentation_on_another_spacing_comes_back_to_the_source(tmp_path: Path) -> None:
    parts = segmentation(spacing_mm=[1.2, 1.7, 0.8])
    parts["strategy"] = {"kind": "whole-volume"}
    parts["postprocessing"]["regions"][0]["back"] = "linear"
    weights = np.zeros((2, 1, 1, 1, 1), np.float32)
    weights[1] = 8.0
    nodes = [helper.make_node("Conv", ["image", "weights", "bias"], ["logits"], kernel_shape=[1, 1, 1])]
    network = graph(nodes, {"weights": weights, "bias": np.array([4.0, 0.0], np.float32)}, ["n", 1, "d", "h", "w"],
                    {"logits": ["n", 2, "d", "h", "w"]})  # fmt: skip
    model = install(tmp_path / "models", {"model.onnx": network}, **parts)
    body = lopsided_body()
    for axes, flips in WAYS[::5]:
        mask = run(tmp_path, model, stored(hu(body), SPACING, axes, flips)).masks["bright"]
        expected = stored(body.astype(np.float32), SPACING, axes, flips).voxels > 0
        dice = 2 * int((mask & expected).sum()) / (int(mask.sum()) + int(expected.sum()))
        assert dice > 0.93, (axes, flips)  # a mirrored one reaches 0.7


def test_what_the_images_cut_is_not_analysed_unless_it_is_positive(tmp_path: Path) -> None:
    parts = segmentation()
    parts["postprocessing"]["regions"][0]["largest_open_share"] = 0.05
    body = lopsided_body()
    cut = stored(hu(body)[:10], SPACING, (0, 1, 2), (False, False, False))
    files = {"model.onnx": looking_aside()}
    answer = run(tmp_path, install(tmp_path / "one", files, **parts), cut).answer
    assert answer.kind is AnswerKind.POSITIVE
    assert answer.notes == (
        "The value may be larger: the images end inside 'bright': one border cuts 100% of its largest section.",)
    parts["operating_points"] = {"default": {"positive": 50.0}}
    inference = run(tmp_path, install(tmp_path / "two", files, **parts), cut)
    assert inference.answer.kind is AnswerKind.NOT_ANALYSED
    assert inference.answer.reason is not None
    assert inference.answer.reason.category is Category.TRUNCATED_ANATOMY
    assert inference.masks == {}


@pytest.mark.parametrize(("steps", "told"), [
    ([{"step": "min-max"}], "one value only"), ([{"step": "z-score"}], "one value only"),
    ([{"step": "z-score", "above": 7.0}], "no value of the images lies above 7"),
])  # fmt: skip
def test_images_of_one_value_are_not_analysed(tmp_path: Path, steps: list[object], told: str) -> None:
    model = install(tmp_path / "models", {"model.onnx": looking_aside()}, **segmentation(intensity=steps))
    answer = run(tmp_path, model, stored(np.full(SHAPE, 7.0, np.float32), SPACING, (0, 1, 2), (False,) * 3)).answer
    assert answer.kind is AnswerKind.NOT_ANALYSED
    assert told in answer.sentence


def test_a_classifier_of_nhwc_sees_each_slice_upright(tmp_path: Path) -> None:
    """Bright in the upper left quarter of one axial slice as it is looked at: to the patient's right and front."""
    model = install(tmp_path / "models", {"model.onnx": of_brightness()}, **classifier())
    assert model.problem is None
    right_and_front = np.zeros(SHAPE, np.float32)
    right_and_front[13, :15, :12] = 900
    left_and_back = np.zeros(SHAPE, np.float32)
    left_and_back[13, 15:, 12:] = 900
    running = runtime(tmp_path)
    running.load(model)
    for axes, flips in WAYS[::3]:
        for values, kind in ((right_and_front, AnswerKind.POSITIVE), (left_and_back, AnswerKind.NEGATIVE)):
            answer = running.run(
                model, stored(values, SPACING, axes, flips), operating_point="default", stop=threading.Event()
            ).answer
            assert answer.kind is kind, (axes, flips)
            assert answer.measured is not None
            # The logit is 20 x 0.9 - 10 of the bright slice; the other class's is its negative.
            expected = 100 / (1 + np.exp(-2 * 8.0)) if kind is AnswerKind.POSITIVE else 0.0
            assert answer.measured.value == pytest.approx(expected, abs=0.1)
            assert answer.measured.unit.value == "%"


def test_a_calibration_moves_the_score_into_the_abstain_band(tmp_path: Path) -> None:
    fit = {"kind": "platt", "slope": 0.001, "intercept": 0.0, "fitted_on": "2026-01-01", "cases": 100}
    model = install(tmp_path / "models", {"model.onnx": of_brightness()}, **classifier(calibration=fit))
    values = np.zeros(SHAPE, np.float32)
    values[13, :15, :12] = 900
    answer = run(tmp_path, model, stored(values, SPACING, (0, 1, 2), (False,) * 3)).answer
    assert answer.kind is AnswerKind.INDETERMINATE
    assert answer.measured is not None
    assert answer.measured.value == pytest.approx(50.4, abs=0.05)  # a logit of 16, times 0.001


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_a_detector_s_boxes_come_back_to_the_patient(tmp_path: Path, axes: tuple[int, ...]) -> None:
    """Two spots of one voxel of the lattice each; every other box that sees one is thinned out."""
    model = install(tmp_path / "models", {"model.onnx": of_boxes()}, **detector())
    assert model.problem is None
    shape = (9, 24, 24)
    values = np.zeros(shape, np.float32)
    values[2:4, 8:14, 4:10] = 1000  # in two neighbouring slices: one part
    values[6, 16:22, 16:22] = 1000
    running = runtime(tmp_path)
    running.load(model)
    for flips in product((False, True), repeat=3):
        volume = stored(values, SPACING, axes, flips)
        inference = running.run(model, volume, operating_point="default", stop=threading.Event())
        np.testing.assert_array_equal(inference.masks["bright"], volume.voxels > 500)
        finding = inference.answer.findings[0]
        assert inference.answer.measured is not None
        assert inference.answer.measured.value == 2
        by_unit = {item.unit.value: item.value for item in finding.measurements}
        assert by_unit["%"] == pytest.approx(100, abs=0.1)
        boxes = inference.boxes["bright"]
        assert len(boxes) == 3
        assert [box.score.concept.value for box in boxes] == [SCORE["value"]] * 3
        assert all(box.score.value == pytest.approx(100, abs=0.1) for box in boxes)
        corners = {bounds_mm(box, volume) for box in boxes}
        # x, y, z in mm: the outer edges of the voxels, whose centres lie at multiples of the spacing.
        assert (3.5 * 1.5, 7.5 * 1.0, 1.5 * 2.0, 9.5 * 1.5, 13.5 * 1.0, 2.5 * 2.0) in corners
        assert (15.5 * 1.5, 15.5 * 1.0, 5.5 * 2.0, 21.5 * 1.5, 21.5 * 1.0, 6.5 * 2.0) in corners


def bounds_mm(box: PatientBox, volume: Volume) -> tuple[float, ...]:
    """Least and greatest x, y, z in the patient, by the outer edges of the slices and by those of the rectangles, which count
    from the edge of the first pixel and not from its middle."""
    corners = [(part.index + side, row - 0.5, column - 0.5) for part in box.rectangles for column, row in part.corners()
               for side in (-0.5, 0.5)]
    places = np.array([volume.affine[:3, :3] @ corner + volume.affine[:3, 3] for corner in corners])
    return tuple(round(value, 6) for value in (*places.min(axis=0), *places.max(axis=0)))


def test_a_box_that_the_cleaning_of_its_region_dropped_is_none(tmp_path: Path) -> None:
    values = np.zeros((9, 24, 24), np.float32)
    values[2:4, 8:14, 4:10] = 1000
    values[6, 16:22, 16:22] = 1000
    volume = stored(values, SPACING, (0, 1, 2), (False,) * 3)
    rule = {"name": "bright", "output": "spots", "keep": "largest"}
    model = install(tmp_path / "models", {"model.onnx": of_boxes()}, **detector(
        postprocessing={"kind": "regions", "regions": [rule]}))
    boxes = run(tmp_path, model, volume).boxes["bright"]
    assert sorted(part.index for box in boxes for part in box.rectangles) == [2, 3]


def test_a_detector_that_is_decided_by_its_score_shows_its_boxes_with_that_score_as_it_is_told(tmp_path: Path) -> None:
    """Calibrated, and no region named by the finding: the boxes are what there is to show."""
    parts = detector(measurements=[{"name": "score", "kind": "score", "output": "spots"}],
                     calibration={"kind": "platt", "slope": 0.1, "intercept": 0.0, "fitted_on": "2026-01-01", "cases": 100})
    parts["finding"] |= {"measurement": SCORE, "unit": "%"}
    parts["operating_points"] = {"default": {"positive": 50.0}}
    values = np.zeros((9, 24, 24), np.float32)
    values[6, 16:22, 16:22] = 900
    model = install(tmp_path / "models", {"model.onnx": of_boxes()}, **parts)
    assert model.problem is None
    inference = run(tmp_path, model, stored(values, SPACING, (0, 1, 2), (False,) * 3))
    assert inference.answer.findings[0].region == "bright"
    box, = inference.boxes["bright"]
    assert box.score == inference.answer.measured
    assert box.score.value == pytest.approx(100 / (1 + (1 / 9) ** 0.1), abs=0.1)


def test_no_spot_is_a_count_of_none(tmp_path: Path) -> None:
    model = install(tmp_path / "models", {"model.onnx": of_boxes()}, **detector())
    inference = run(tmp_path, model, stored(np.zeros((4, 24, 24), np.float32), SPACING, (0, 1, 2), (False,) * 3))
    assert inference.answer.kind is AnswerKind.NEGATIVE
    assert inference.answer.sentence == "0, below 1"  # what is only counted has no unit
    assert (inference.boxes, inference.masks) == ({}, {})


def cascade() -> tuple[dict[str, bytes], dict[str, object]]:
    """One network finds the box, the second sees that part alone, on a shape of its own."""
    steep = np.full((1, 1, 1, 1, 1), 20.0, np.float32)
    nodes = [helper.make_node("Conv", ["image", "steep", "bias"], ["logits"], kernel_shape=[1, 1, 1])]
    sides = ["n", 1, "d", "h", "w"]
    network = graph(nodes, {"steep": steep, "bias": np.array([-10.0], np.float32)}, sides, {"logits": sides})
    named = {"input": "image", "outputs": ["logits"]}
    return {"locator.onnx": network, "model.onnx": network}, {
        "preprocessing": {"kind": "tensor", "orientation": "RAS", "shape": [32, 32, 32], "interpolation": "nearest-exact",
                          "intensity": [{"step": "min-max"}]},
        "locator": {"network": {"file": "locator.onnx", **named}, "shape": [16, 16, 16], "output": "logits", "channel": 0,
                    "threshold": 0.0, "least_share": 0.01, "margin": 0.2},
        "network": {"file": "model.onnx", **named},
        "outputs": [{"kind": "heat-map", "name": "heat", "tensor": "logits", "activation": "sigmoid"}],
        "postprocessing": {"kind": "regions", "regions": [
            {"name": "bright", "output": "heat", "fill_holes": True, "back": "nearest"}]},
        "operating_points": {},
        "finding": {"concept": CODE, "category": CODE, "site": CODE, "measurement": CODE, "unit": "mL",
                    "measured": "{value} {unit}"},
    }  # fmt: skip


def test_two_networks_in_series_measure_what_the_first_one_found(tmp_path: Path) -> None:
    files, parts = cascade()
    model = install(tmp_path / "models", files, **parts)
    assert model.problem is None
    body = lopsided_body()
    values = np.where(body, np.float32(900), np.float32(100))
    values[1:3, 1:3, 20:23] = 900  # as bright, and far from what is looked for
    running = runtime(tmp_path)
    running.load(model)
    for axes, flips in WAYS[::4]:
        inference = running.run(
            model, stored(values, SPACING, axes, flips), operating_point="default", stop=threading.Event()
        )
        expected = stored(body.astype(np.float32), SPACING, axes, flips).voxels > 0
        np.testing.assert_array_equal(inference.masks["bright"], expected)
        assert inference.answer.kind is AnswerKind.MEASURED
        assert set(inference.timings_s) == {"resample", "locator", "network", "postprocess"}


def test_two_networks_in_series_share_the_limits_of_the_first_one_s_input(tmp_path: Path) -> None:
    """A spot of 2500 in a body of 900: the quantiles of the whole clamp nearly all of it away, those of the box alone, where
    it takes up more, would make the rest of the body dark."""
    files, parts = cascade()
    steps = [{"step": "quantiles", "low": 0.0, "high": 0.98, "of": "locator"}, {"step": "min-max"}]
    parts["preprocessing"] |= {"intensity": steps}  # type: ignore[operator]
    body = lopsided_body()
    values = np.where(body, np.float32(900), np.float32(100))
    values[6:10, 9:15, 7:12] = 2500
    volume = stored(values, SPACING, (0, 1, 2), (False, False, False))
    mask = run(tmp_path, install(tmp_path / "shared", files, **parts), volume).masks["bright"]
    np.testing.assert_array_equal(mask, body)
    steps[0]["of"] = "itself"
    alone = run(tmp_path, install(tmp_path / "own", files, **parts), volume).masks["bright"]
    assert np.count_nonzero(alone) < np.count_nonzero(body) / 2


@pytest.mark.parametrize(("change", "said"), [
    ({"outputs": [{"kind": "segmentation", "name": "parts", "tensor": "logits", "channels": 3}]}, "must be (1, 3, 16, 16, 16)"),
    ({"preprocessing": {"kind": "tensor", "orientation": "LIA", "dtype": "float16"}}, "the manifest makes tensor(float16)"),
    ({"preprocessing": {"kind": "tensor", "orientation": "LIA", "channels": [[], []]}}, "along C, and the manifest gives 2"),
], ids=["channels out", "type", "channels in"])  # fmt: skip
def test_a_graph_that_does_not_fit_its_manifest_is_refused_before_any_study(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    model = install(tmp_path / "models", {"model.onnx": looking_aside()}, **(segmentation() | change))
    assert model.problem is None
    with pytest.raises(ModelInvalid) as caught:
        runtime(tmp_path).load(model)
    assert said in caught.value.message


def test_a_graph_of_fixed_sides_needs_them_in_the_manifest(tmp_path: Path) -> None:
    parts = detector()
    parts["preprocessing"] |= {"shape": [None, None, None]}
    with pytest.raises(ModelInvalid, match="takes 24 along H, and the manifest leaves it to the source"):
        runtime(tmp_path).load(install(tmp_path / "models", {"model.onnx": of_boxes()}, **parts))


def test_neighbouring_slices_are_channels_in_their_order(tmp_path: Path) -> None:
    """2.5D: the slice below minus the slice above, so that an exchange of the two changes the sign."""
    weights = np.array([1.0, 0.0, -1.0], np.float32).reshape(1, 3, 1, 1)
    nodes = [helper.make_node("Conv", ["image", "weights"], ["map"], kernel_shape=[1, 1])]
    network = graph(nodes, {"weights": weights}, ["n", 3, "h", "w"], {"map": ["n", 1, "h", "w"]})
    parts = {
        "preprocessing": {"kind": "tensor", "orientation": "SPL", "layout": "NCHW"},
        "strategy": {"kind": "per-slice", "neighbours": 1, "batch": 3},
        "network": {"file": "model.onnx", "input": "image", "outputs": ["map"]},
        "outputs": [{"kind": "heat-map", "name": "heat", "tensor": "map"}],
        "postprocessing": {"kind": "regions", "regions": [{"name": "bright", "output": "heat"}]},
        "operating_points": {"default": {"positive": 0.0}},
        "finding": {"concept": CODE, "category": CODE, "site": CODE, "measurement": CODE, "unit": "mL", **SENTENCES},
    }  # fmt: skip
    model = install(tmp_path / "models", {"model.onnx": network}, **parts)
    values = np.zeros((8, 6, 6), np.float32)
    values[:4] = 1.0  # bright below: the difference is 1 in slices 3 and 4 alone
    for flip in (False, True):
        volume = stored(values, SPACING, (0, 1, 2), (flip, False, False))
        slices = np.flatnonzero(run(tmp_path, model, volume).masks["bright"].any(axis=(1, 2)))
        assert slices.tolist() == [3, 4]
