"""What a bad network or a bad manifest can do to a house: each is a named error, before a study wherever it can be known."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inference_cases import ball, endless, installed, manifest_of, runtime
from manifest_cases import (
    CODE,
    classifier,
    detector,
    graph,
    install,
    looking_aside,
    manifest,
    of_boxes,
    segmentation,
    text_of,
)
from onnx import TensorProto, helper, numpy_helper

from vigil.domain.errors import Category, VigilError
from vigil.inference.breaker import Breaker
from vigil.inference.errors import (
    InferenceFailed,
    ManifestInvalid,
    ModelInvalid,
    ModelNotLoaded,
    ModelPaused,
    TimeLimitReached,
)
from vigil.inference.manifest_file import parse_manifest

GO = threading.Event()
SIDES = ["n", 1, "d", "h", "w"]


def two_channels(nodes: list[Any], constants: dict[str, Any] | None = None, **changes: Any) -> bytes:
    return graph(nodes, constants or {}, SIDES, {"logits": ["n", 2, "d", "h", "w"]}, **changes)


def looping_for_ever() -> bytes:
    """ONNX's own Loop, whose condition never ends, with some work in each round."""
    body = helper.make_graph(
        [helper.make_node("MaxPool", ["carried"], ["next"], kernel_shape=[3, 3, 3], pads=[1] * 6),
         helper.make_node("Identity", ["go"], ["go_on"])], "body",
        [helper.make_tensor_value_info("round", TensorProto.INT64, []), helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("carried", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("next", TensorProto.FLOAT, None)],
    )  # fmt: skip
    nodes = [helper.make_node("Loop", ["", "always", "image"], ["looped"], body=body),
             helper.make_node("Concat", ["looped", "looped"], ["logits"], axis=1)]  # fmt: skip
    return two_channels(nodes, {"always": np.array(True)})


def custom_operator() -> bytes:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Sharpen", ["image"], ["logits"], domain="org.example")], "case",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, SIDES)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)], [numpy_helper.from_array(np.zeros(1), "none")],
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("org.example", 1)], ir_version=10,
    )  # fmt: skip
    made: bytes = model.SerializeToString()
    return made


def test_a_graph_that_loops_for_ever_is_ended_when_it_is_loaded(tmp_path: Path) -> None:
    model = install(tmp_path / "models", {"model.onnx": looping_for_ever()}, **segmentation(), time_limit_s=1)
    with pytest.raises(TimeLimitReached, match="longer than the 1 s of its time_limit_s") as caught:
        runtime(tmp_path).load(model)
    assert caught.value.category is Category.TIME_LIMIT


def test_a_run_that_takes_too_long_is_ended_and_counts_no_death(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models", endless(), time_limit_s=1), runtime(tmp_path)
    run.load(model)
    with pytest.raises(TimeLimitReached):
        run.run(model, ball(size=120), operating_point="default", stop=GO)
    assert runtime(tmp_path).quarantine("case") is None


def test_custom_operators_are_refused_when_the_package_is_listed(tmp_path: Path) -> None:
    model = install(tmp_path / "models", {"model.onnx": custom_operator()}, **segmentation())
    assert model.problem is not None
    assert model.problem.category is Category.MODEL_INVALID
    assert "custom operators of 'org.example'" in model.problem.text


def test_an_opset_of_the_future_is_refused_by_its_number(tmp_path: Path) -> None:
    network = two_channels([helper.make_node("Concat", ["image", "image"], ["logits"], axis=1)], opset=99)
    with pytest.raises(ModelNotLoaded, match=r"[Oo]pset 99"):
        runtime(tmp_path).load(install(tmp_path / "models", {"model.onnx": network}, **segmentation()))


def test_a_graph_whose_input_no_machine_can_hold_is_refused_before_it_runs(tmp_path: Path) -> None:
    sides = [1, 1, 4096, 4096, 512]
    network = graph([helper.make_node("Identity", ["image"], ["logits"])], {}, sides, {"logits": sides})
    parts = segmentation(shape=[None, None, None])
    parts["strategy"] = {"kind": "whole-volume"}
    with pytest.raises(ModelInvalid, match="takes 4096 along D"):
        runtime(tmp_path).load(install(tmp_path / "models", {"model.onnx": network}, **parts))


def test_ten_gigabytes_are_refused_when_the_manifest_is_read() -> None:
    parts = segmentation(shape=[2048, 2048, 640])
    parts["strategy"] = {"kind": "whole-volume"}
    with pytest.raises(ManifestInvalid, match=r"preprocessing: shape asks for a tensor of 10\.0 GiB"):
        parse_manifest(text_of(manifest({"model.onnx": b""}, **parts)))
    parts = segmentation()
    parts["strategy"]["window"] = [2048, 2048, 640]
    with pytest.raises(ManifestInvalid, match=r"strategy: window asks for a tensor of 10\.0 GiB"):
        parse_manifest(text_of(manifest({"model.onnx": b""}, **parts)))


def test_a_graph_that_takes_four_at_a_time_and_no_fewer_is_refused_before_a_study_has_five(tmp_path: Path) -> None:
    sides = [4, 1, "d", "h", "w"]
    network = graph([helper.make_node("Concat", ["image", "image"], ["logits"], axis=1)], {}, sides,
                    {"logits": [4, 2, "d", "h", "w"]})
    parts = segmentation()
    parts["strategy"]["batch"] = 4
    with pytest.raises(ModelInvalid, match=r"takes 4 at a time and no fewer.*free batch"):
        runtime(tmp_path).load(install(tmp_path / "models", {"model.onnx": network}, **parts))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_number_out_fails(tmp_path: Path, value: float) -> None:
    nodes = [helper.make_node("Concat", ["image", "image"], ["twice"], axis=1),
             helper.make_node("Mul", ["twice", "bad"], ["logits"])]
    network = two_channels(nodes, {"bad": np.array(value, np.float32)})
    model, run = install(tmp_path / "models", {"model.onnx": network}, **segmentation()), runtime(tmp_path)
    run.load(model)
    with pytest.raises(InferenceFailed, match="'logits' holds a value that is no number"):
        run.run(model, ball(size=60), operating_point="default", stop=GO)


def always_fails(folder: Path) -> Any:
    nodes = [helper.make_node("Concat", ["image", "image"], ["twice"], axis=1), helper.make_node("Log", ["twice"], ["logits"])]
    return install(folder, {"model.onnx": two_channels(nodes)}, **segmentation())


def test_a_model_that_fails_again_and_again_pauses_and_is_tried_again(tmp_path: Path) -> None:
    now = [0.0]
    model = always_fails(tmp_path / "models")
    run = runtime(tmp_path, breaker=Breaker(failures=2, pause_s=60, clock=lambda: now[0]))
    run.load(model)

    def call() -> type[VigilError]:
        with pytest.raises(VigilError) as caught:
            run.run(model, ball(size=60), operating_point="default", stop=GO)
        return type(caught.value)

    assert [call() for _ in range(4)] == [InferenceFailed, InferenceFailed, ModelPaused, ModelPaused]
    reason = run.quarantine("case")
    assert reason is not None
    assert (reason.category, "failed 2 times in a row" in reason.text) == (Category.MODEL_PAUSED, True)
    now[0] = 61.0
    assert run.quarantine("case") is None
    assert [call() for _ in range(2)] == [InferenceFailed, ModelPaused]


def test_a_good_run_closes_the_breaker_and_a_stop_does_not_count() -> None:
    from vigil.domain.errors import Stopping

    breaker = Breaker(failures=2)

    def one(error: Exception | None) -> None:
        try:
            with breaker.guarding("model"):
                if error is not None:
                    raise error
        except (InferenceFailed, Stopping):
            pass

    for error in (InferenceFailed("no"), Stopping("stop"), None, InferenceFailed("no"), Stopping("stop")):
        one(error)
        assert breaker.reason("model") is None
    one(InferenceFailed("no"))
    assert breaker.reason("model") is not None
    assert breaker.reason("other") is None


def hyperdense(**changes: Any) -> dict[str, Any]:
    """The one kind that is not run by its description."""
    whole = manifest_of("case", b"")
    return {key: whole[key] for key in ("preprocessing", "network", "postprocessing")} | {"measurements": []} | changes


def flat_outline(**rule: Any) -> dict[str, Any]:
    return {
        "inputs": [{"name": "film", "dimensions": 2, "minimum_slices": 1}],
        "preprocessing": {"kind": "tensor", "orientation": "SPL", "layout": "NCHW"},
        "strategy": {"kind": "tiles", "tile": [32, 32]},
        "network": {"file": "model.onnx", "input": "image", "outputs": ["logits"]},
        "outputs": [{"kind": "heat-map", "name": "heat", "tensor": "logits"}],
        "postprocessing": {"kind": "regions", "regions": [{"name": "bright", "output": "heat", **rule}]},
        "measurements": [{"name": "score", "kind": "score", "output": "heat"}],
        "finding": classifier()["finding"],
    }


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    (segmentation(orientation="LRA"), "orientation 'LRA' is none"),
    (segmentation(intensity=[{"step": "window", "centre": 40, "widht": 80}]), "widht: this key is not known"),
    (segmentation(intensity=[{"step": "quantiles", "low": 0.9, "high": 0.1}]), "low 0.9 must lie below high 0.1"),
    (segmentation(spacing_mm=[0, 1, 1]), "each spacing_mm must lie from"),
    (segmentation("NCHW"), "strategy 'per-slice' or 'tiles' goes with preprocessing.layout NCHW"),
    (segmentation() | {"postprocessing": {"kind": "regions", "regions": [{"name": "bright", "output": "parts", "channel": 2}]}},
     "channel 2 of 'parts' is not there"),
    (segmentation() | {"postprocessing": {"kind": "regions", "regions": [{"name": "bright", "output": "other"}]}},
     "'other' is no segmentation, heat map or detection"),
    (segmentation() | {"measurements": [{"name": "volume", "kind": "volume", "region": "dark"}]}, "'dark' is none of"),
    (segmentation() | {"outputs": [{"kind": "segmentation", "name": "a", "tensor": "x", "channels": 2}]},
     "the tensor 'x' is none"),
    (segmentation() | {"outputs": []}, "needs 'outputs' and 'measurements'"),
    (classifier() | {"outputs": [{"kind": "classification", "name": "class", "tensor": "logits", "classes": ["a", "b"]}]},
     "class_name must be one of a, b"),
    (classifier() | {"finding": classifier()["finding"] | {"measurement": {"value": "1", "scheme": "99T", "meaning": "Mine"}}},
     "a score is told as one of"),
    (classifier() | {"finding": classifier()["finding"] | {"unit": "mL"}}, "a score is told in %, not in 'mL'"),
    (detector() | {"operating_points": {"default": {"positive": 0.5}}}, "a count is positive from 1 on"),
    (detector() | {"calibration": {"kind": "temperature", "temperature": 2, "fitted_on": "2026-01-01", "cases": 9}},
     "calibration is of a score"),
    (segmentation() | {"scope": {"modality": ["ct"], "body_part": {"any_of": ["HEAD"]}}}, "modality 'ct' is none of DICOM's"),
    (segmentation() | {"scope": {"modality": ["CT"], "body_part": {"any_of": ["HEAD"]}, "age_years": {"minimum": 200}}},
     "age_years can never be met"),
    (segmentation() | {"files": {"model.onnx": "12"}}, "files.model.onnx"),
    (segmentation() | {"files": {}}, "has no SHA-256 under 'files'"),
    (hyperdense(ensemble={"flips": ["W"]}), "go with preprocessing of kind 'tensor'"),
    (hyperdense(operating_points={}, finding={"concept": CODE, "category": CODE, "site": CODE, "measurement": CODE, "unit": "mL",
                                              "measured": "{value}"}), "goes with a finding that decides"),
    (flat_outline(plausible_ml={"minimum": 1}), "minimum_ml, plausible_ml and largest_open_share are of volumes"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "said"), CONTRADICTIONS, ids=[said for _, said in CONTRADICTIONS])
def test_a_manifest_that_contradicts_itself_is_refused_with_its_line(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(ManifestInvalid, match=r"manifest\.yaml, line \d+") as caught:
        parse_manifest(text_of(manifest({"model.onnx": b""}, **parts)))
    assert said in caught.value.message


def test_the_cases_themselves_are_right_manifests() -> None:
    for parts in (segmentation(), segmentation("NDHWC"), classifier(), detector(), hyperdense(), flat_outline()):
        assert parse_manifest(text_of(manifest({"model.onnx": looking_aside(), "other.onnx": of_boxes()}, **parts))).id == "case"
