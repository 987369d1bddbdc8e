"""A model of several series through the runtime: each on the voxels of the first, in its channel or its own input of the
graph."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inference_cases import runtime, text_of
from manifest_cases import graph, install, manifest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hospital import two_sequences
from hospital.ct_series import dicom_bytes
from hospital.two_sequences import DECOY_AT_MM, DECOY_ML, LESION_AT_MM, LESION_ML, MODEL, Head, centre_mm
from vigil.domain.answer import AnswerKind
from vigil.domain.errors import Category
from vigil.imaging.load import load_volume
from vigil.imaging.volume import Volume
from vigil.inference.errors import InferenceFailed, ManifestInvalid, ModelInvalid, OutOfMemory
from vigil.inference.manifest_file import parse_manifest
from vigil.inference.registry import InstalledModel, Registry
from vigil.inference.runtime import Inference
from vigil.intake.header import read_header
from vigil.intake.stack import build_stack


def read(images: list[Any]) -> Volume:
    files = {f"{index}": dicom_bytes(ds) for index, ds in enumerate(images)}
    return load_volume(build_stack([read_header(name, data) for name, data in files.items()]), files.__getitem__)


@pytest.fixture(scope="module")
def t1() -> Volume:
    return read(two_sequences.t1(Head()))


@pytest.fixture(scope="module")
def flair() -> Volume:
    return read(two_sequences.flair(Head()))


def installed(folder: Path, **changes: Any) -> InstalledModel:
    two_sequences.install(folder / "models", **changes)
    (model,) = Registry(folder / "models").installed()
    assert model.problem is None, model.problem
    return model


def run(folder: Path, model: InstalledModel, first: Volume, **further: Volume) -> Inference:
    running = runtime(folder)
    running.load(model)
    return running.run(model, first, operating_point="default", stop=threading.Event(), further=further)


def found_at(inference: Inference, reference: Volume, place: tuple[float, float, float], volume_ml: float) -> None:
    mask = inference.masks["lesion"]
    assert mask.shape == reference.voxels.shape
    np.testing.assert_allclose(centre_mm(mask, reference.affine), place, atol=1.5)
    assert inference.answer.measured is not None
    assert inference.answer.measured.value == pytest.approx(volume_ml, rel=0.2)


def test_the_answer_hangs_on_both_and_on_which_is_which(tmp_path: Path, t1: Volume, flair: Volume) -> None:
    model = installed(tmp_path)
    inference = run(tmp_path, model, t1, FLAIR=flair)
    assert inference.answer.kind is AnswerKind.POSITIVE
    found_at(inference, t1, LESION_AT_MM, LESION_ML)
    # The same images taken for one another find the decoy, on the voxels of what is the reference then.
    found_at(run(tmp_path, model, flair, FLAIR=t1), flair, DECOY_AT_MM, DECOY_ML)
    without_t1 = Volume(np.where(t1.voxels > 0, np.float32(1400), t1.voxels), t1.affine)
    assert run(tmp_path, model, without_t1, FLAIR=flair).answer.kind is AnswerKind.NEGATIVE
    without_flair = Volume(np.minimum(flair.voxels, 500), flair.affine)
    assert run(tmp_path, model, t1, FLAIR=without_flair).answer.kind is AnswerKind.NEGATIVE


def one_graph_input() -> bytes:
    """The same decision by a graph that takes both sequences as the channels of one tensor."""
    weights = np.array([-10.0, 10.0], np.float32).reshape(1, 2, 1, 1, 1)
    nodes = [helper.make_node("Conv", ["image", "weights", "bias"], ["logits"], kernel_shape=[1, 1, 1])]
    return graph(nodes, {"weights": weights, "bias": np.array([-5.0], np.float32)}, ["n", 2, "d", "h", "w"],
                 {"logits": ["n", 1, "d", "h", "w"]})  # fmt: skip


def parts(**changes: Any) -> dict[str, Any]:
    """What the package of two sequences says of tensors and outputs, for a manifest of these tests."""
    held = two_sequences.manifest(b"")
    names = ("inputs", "preprocessing", "outputs", "postprocessing", "operating_points", "measurements", "finding", "scope")
    return {name: held[name] for name in names} | {
        "network": {"file": "model.onnx", "input": "image", "outputs": ["logits"]}} | changes  # fmt: skip


@pytest.mark.parametrize("layout", ["NCDHW", "NDHWC"])
def test_one_tensor_of_two_channels_is_given_both(tmp_path: Path, t1: Volume, flair: Volume, layout: str) -> None:
    held = parts()
    held["preprocessing"] = held["preprocessing"] | {"layout": layout}
    content = one_graph_input()
    if layout == "NDHWC":
        weights = np.array([-10.0, 10.0], np.float32).reshape(2, 1)
        nodes = [helper.make_node("MatMul", ["image", "weights"], ["weighed"]),
                 helper.make_node("Add", ["weighed", "bias"], ["logits"])]  # fmt: skip
        content = graph(nodes, {"weights": weights, "bias": np.array([-5.0], np.float32)}, ["n", "d", "h", "w", 2],
                        {"logits": ["n", "d", "h", "w", 1]})  # fmt: skip
    model = install(tmp_path / "models", {"model.onnx": content}, **held)
    found_at(run(tmp_path, model, t1, FLAIR=flair), t1, LESION_AT_MM, LESION_ML)


def test_each_input_is_brought_to_its_own_range(tmp_path: Path, t1: Volume, flair: Volume) -> None:
    """A scanner's arbitrary scale: quantiles and extremes are of each input, never of both together."""
    held = parts()
    held["preprocessing"] = held["preprocessing"] | {
        "intensity": [{"step": "min-max", "high": 1.4}], "channels": [{"input": "T1"}, {"input": "FLAIR"}]}
    model = install(tmp_path / "models", {"model.onnx": one_graph_input()}, **held)
    louder = Volume(flair.voxels * 40, flair.affine)
    found_at(run(tmp_path, model, t1, FLAIR=louder), t1, LESION_AT_MM, LESION_ML)
    held["preprocessing"] = held["preprocessing"] | {"intensity": [], "channels": [
        {"input": "T1", "intensity": [{"step": "scale", "divide": 1000}]},
        {"input": "FLAIR", "intensity": [{"step": "scale", "divide": 40_000}]}]}
    model = install(tmp_path / "steps", {"model.onnx": one_graph_input()}, **held)
    found_at(run(tmp_path / "steps", model, t1, FLAIR=louder), t1, LESION_AT_MM, LESION_ML)


def neighbours_graph() -> bytes:
    """2.5D of two graph inputs: logits of the middle slice; both inputs are given three slices each."""
    middle = np.zeros((1, 3, 1, 1), np.float32)
    middle[0, 1] = 10.0
    nodes = [
        helper.make_node("Conv", ["t1", "middle"], ["one"], kernel_shape=[1, 1]),
        helper.make_node("Conv", ["flair", "middle"], ["two"], kernel_shape=[1, 1]),
        helper.make_node("Sub", ["two", "one"], ["apart"]), helper.make_node("Sub", ["apart", "five"], ["logits"]),
    ]
    sides = ["n", 3, "h", "w"]
    return bytes(helper.make_model(helper.make_graph(
        nodes, "neighbours", [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in ("flair", "t1")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [numpy_helper.from_array(middle, "middle"), numpy_helper.from_array(np.array(5.0, np.float32), "five")],
    ), opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString())  # fmt: skip


@pytest.mark.parametrize("strategy", ["sliding-window", "per-slice", "neighbours"])
def test_every_strategy_gives_each_graph_input_its_channels(tmp_path: Path, t1: Volume, flair: Volume, strategy: str) -> None:
    held = parts()
    ports = {"t1": "T1", "flair": "FLAIR"}
    content = two_sequences.network()
    if strategy == "sliding-window":
        held["strategy"] = {"kind": "sliding-window", "window": [16, 16, 16], "overlap": 0.25, "batch": 2}
    else:
        held["preprocessing"] = held["preprocessing"] | {"layout": "NCHW"}
        held["strategy"] = {"kind": "per-slice", "neighbours": 1, "batch": 4}
        content = neighbours_graph()
        if strategy == "per-slice":  # three channels of each sequence by its own windows, none by neighbours
            held["strategy"] = {"kind": "per-slice"}
            plain = {"step": "scale", "divide": 1}
            held["preprocessing"]["channels"] = [
                {"input": name, "intensity": [plain]} for name in ("FLAIR", "T1", "T1", "FLAIR", "T1", "FLAIR")]
            ports = {"t1": [1, 2, 4], "flair": [0, 3, 5]}
    held["network"] = {"file": "model.onnx", "inputs": ports, "outputs": ["logits"]}
    model = install(tmp_path / "models", {"model.onnx": content}, **held)
    found_at(run(tmp_path, model, t1, FLAIR=flair), t1, LESION_AT_MM, LESION_ML)


def test_an_earlier_network_is_given_both_and_mirrored_inputs_stay_in_their_places(
    tmp_path: Path, t1: Volume, flair: Volume
) -> None:
    """The locator has one input of two channels, the deciding network one for each; the box is of the reference and of both."""
    weights = np.array([0.5, 0.5], np.float32).reshape(1, 2, 1, 1, 1)
    nodes = [helper.make_node("Conv", ["image", "weights"], ["likely"], kernel_shape=[1, 1, 1])]
    locator = graph(nodes, {"weights": weights}, [1, 2, 32, 32, 32], {"likely": [1, 1, 32, 32, 32]})
    held = parts(
        network={"file": "model.onnx", "inputs": {"t1": "T1", "flair": "FLAIR"}, "outputs": ["logits"]},
        locator={"network": {"file": "locator.onnx", "input": "image", "outputs": ["likely"]}, "shape": [32, 32, 32],
                 "output": "likely", "channel": 0, "threshold": 0.3, "least_share": 0.01, "margin": 0.05},
        ensemble={"flips": ["D", "HW"]})
    model = install(tmp_path / "models", {"model.onnx": two_sequences.network(), "locator.onnx": locator}, **held)
    assert model.problem is None, model.problem
    found_at(run(tmp_path, model, t1, FLAIR=flair), t1, LESION_AT_MM, LESION_ML)


def test_a_reference_that_the_other_leaves_out_is_not_analysed(tmp_path: Path, t1: Volume, flair: Volume) -> None:
    held = two_sequences.manifest(b"")["inputs"]
    upper = Volume(flair.voxels[14:], flair.affine @ _from(14))
    inference = run(tmp_path, installed(tmp_path), t1, FLAIR=upper)
    assert inference.answer.kind is AnswerKind.NOT_ANALYSED
    assert inference.answer.reason is not None
    assert inference.answer.reason.category is Category.TRUNCATED_ANATOMY
    assert "the FLAIR series leaves out 51%" in inference.answer.sentence
    assert "of what the T1 series shows; this model takes at most 40%" in inference.answer.sentence
    held[1]["largest_uncovered_share"] = 0.6
    assert run(tmp_path, installed(tmp_path / "allowed", inputs=held), t1, FLAIR=upper).answer.kind is AnswerKind.POSITIVE


def _from(index: int) -> NDArray[np.float64]:
    moved = np.eye(4)
    moved[0, 3] = index
    return moved


def test_what_lies_beyond_the_other_has_the_outside_value(tmp_path: Path, t1: Volume, flair: Volume) -> None:
    """So high that it is found: where the FLAIR does not reach, the whole brain would pass for a lesion."""
    held = two_sequences.manifest(b"")
    held["inputs"][1]["largest_uncovered_share"] = 0.6
    upper = Volume(flair.voxels[14:], flair.affine @ _from(14))
    volumes = {
        outside: run(tmp_path, installed(tmp_path / f"{outside}", inputs=held["inputs"], preprocessing=held["preprocessing"] | {
            "outside": outside}), t1, FLAIR=upper).answer.measured for outside in (0, 5000)}
    assert volumes[0] is not None and volumes[5000] is not None
    assert volumes[5000].value > 20 * volumes[0].value


def test_a_volume_that_was_not_handed_in_holds_no_number_or_is_too_large_is_an_error(
    tmp_path: Path, t1: Volume, flair: Volume
) -> None:
    model = installed(tmp_path)
    with pytest.raises(InferenceFailed, match="the volume of the input 'FLAIR' is missing"):
        run(tmp_path, model, t1)
    with pytest.raises(InferenceFailed, match="the volume holds a value that is no number"):
        run(tmp_path, model, t1, FLAIR=Volume(flair.voxels * np.float32(np.nan), flair.affine))
    running = runtime(tmp_path, memory_budget_mib=200)
    running.load(model)
    running.run(model, t1, operating_point="default", stop=threading.Event(), further={"FLAIR": flair})
    huge = Volume(np.broadcast_to(np.float32(0), (400, 400, 400)), flair.affine)
    with pytest.raises(OutOfMemory):
        running.run(model, t1, operating_point="default", stop=threading.Event(), further={"FLAIR": huge})


@pytest.mark.parametrize(("inputs", "said"), [
    ({"t1": "T1", "t2": "FLAIR"}, r"the network's inputs are \['flair', 't1'\], and the manifest says \['t1', 't2'\]"),
    ({"t1": [0, 1], "flair": "FLAIR"}, "'t1' takes 1 along C, and the manifest gives 2"),
])  # fmt: skip
def test_a_graph_that_does_not_take_what_it_is_given_is_refused_when_it_is_loaded(
    tmp_path: Path, inputs: dict[str, Any], said: str
) -> None:
    model = installed(tmp_path, network={"file": "model.onnx", "inputs": inputs, "outputs": ["logits"]})
    with pytest.raises(ModelInvalid, match=said):
        runtime(tmp_path).load(model)


INPUT = {"minimum_slices": 2, "minimum_coverage_mm": 1}
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "one name twice": ({"inputs": [{"name": "T1", **INPUT}] * 2}, "each of inputs must have a name of its own"),
    "nine": ({"inputs": [{"name": f"{index}", **INPUT} for index in range(9)]}, "at most 8 items"),
    "an input without a channel": ({"preprocessing": {"kind": "tensor", "orientation": "RAS"}}, "is made of the input 'FLAIR'"),
    "a channel of nothing": ({"preprocessing": {"kind": "tensor", "orientation": "RAS", "channels": [
        {"input": "T1"}, {"input": "FLAIR"}, {"input": "DWI"}]}}, "'DWI' is none of inputs"),
    "a graph input of nothing": ({"network": {"file": "model.onnx", "inputs": {"t1": "DWI"}, "outputs": ["logits"]}},
                                 "network.inputs 't1': DWI is neither an input"),
    "a channel that is not there": ({"network": {"file": "model.onnx", "inputs": {"t1": [0, 2]}, "outputs": ["logits"]}},
                                    "nor a list of channels from 0 to 1"),
    "a channel for nobody": ({"network": {"file": "model.onnx", "inputs": {"t1": "T1"}, "outputs": ["logits"]}},
                             "is not given channel 1 of preprocessing.channels, made of 'FLAIR'"),
    "neither": ({"network": {"file": "model.onnx", "outputs": ["logits"]}}, "either 'input' .* or 'inputs'"),
    "both": ({"network": {"file": "model.onnx", "input": "a", "inputs": {"t1": "T1"}, "outputs": ["logits"]}},
             "either 'input' .* or 'inputs'"),
    "projections": ({"inputs": [{"name": "T1", "dimensions": 2, "minimum_slices": 1}, {"name": "FLAIR", **INPUT}]},
                    "an input of dimensions 2 has no place in the patient"),
    "limits of an earlier network": ({"preprocessing": {"kind": "tensor", "orientation": "RAS", "intensity": [
        {"step": "quantiles", "low": 0.1, "high": 0.9, "of": "locator"}], "channels": [{"input": "T1"}, {"input": "FLAIR"}]}},
        "quantiles 'of: locator' go with one input"),
    "another kind": ({"preprocessing": {"spacing_mm": [1, 1, 1]}}, "go with preprocessing of kind 'tensor'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_inputs_and_channels_that_do_not_fit_are_named_when_the_manifest_is_read(fault: str) -> None:
    changes, said = FAULTS[fault]
    with pytest.raises(ManifestInvalid, match=said):
        parse_manifest(text_of(two_sequences.manifest(b"", **changes)))


def test_a_manifest_of_one_input_and_lists_of_steps_is_read_as_before() -> None:
    windows = [[{"step": "window", "centre": 40, "width": 80}], []]
    one = parse_manifest(text_of(manifest({"model.onnx": b""}, **parts(
        inputs=[{"name": "T1", **INPUT}], preprocessing={"kind": "tensor", "orientation": "RAS", "channels": windows}))))
    assert one.preprocessing.kind == "tensor"
    assert [len(channel.intensity) for channel in one.preprocessing.each_channel] == [1, 0]
    assert one.preprocessing.serving("T1") == ("T1", "T1")
    assert one.network.ports(("T1", "T1")) == {"image": (0, 1)}
    assert one.id != MODEL
