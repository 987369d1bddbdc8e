"""Models of authors: small graphs with seeded weights, and manifests that describe them; nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from inference_cases import text_of
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from vigil.inference.registry import InstalledModel, Registry

SCORE = {"value": "111012", "scheme": "DCM", "meaning": "Certainty of Finding"}
CODE = {"value": "1", "scheme": "99T", "meaning": "Test"}
SENTENCES = {"positive": "{value} {unit}, at or above {threshold}", "negative": "{value} {unit}, below {threshold}",
             "indeterminate": "{value} {unit}, not far below {threshold}"}  # fmt: skip


def graph(
    nodes: list[Any], constants: dict[str, NDArray[Any]], shape: list[Any], outputs: dict[str, list[Any]],
    kind: int = TensorProto.FLOAT, opset: int = 17,
) -> bytes:
    """``outputs``: names with their shapes. The input is "image"."""
    model: ModelProto = helper.make_model(
        helper.make_graph(
            nodes, "case", [helper.make_tensor_value_info("image", kind, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in outputs.items()],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)], ir_version=10,
    )  # fmt: skip
    made: bytes = model.SerializeToString()
    return made


def manifest(contents: dict[str, bytes], /, **parts: Any) -> dict[str, Any]:
    """Decides on a volume of the region "bright", unless ``parts`` say otherwise."""
    return {
        "schema_version": 1, "id": "case", "version": "1.0.0", "name": "Test", "vendor": "Test", "licence": "MIT",
        "summary": "Test",
        "regulatory": {"status": "research", "intended_use": "For the tests of the inference alone.",
                       "permitted_outputs": ["measurement", "score", "location", "contour"]},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        "scope": {"modality": ["CT"], "body_part": {"any_of": ["HEAD"]}},
        "inputs": [{"name": "ct", "minimum_slices": 2, "minimum_coverage_mm": 1.0}],
        "operating_points": {"default": {"positive": 1.0, "indeterminate": 0.5}},
        "finding": {"concept": CODE, "category": CODE, "site": CODE, "measurement": CODE, "unit": "mL", "acr_category": 2,
                    **SENTENCES},
        "measurements": [{"name": "volume", "kind": "volume", "region": "bright"}],
        "limitations": ["none"], "changes": {"1.0.0": "First."},
    } | parts  # fmt: skip


def install(folder: Path, files: dict[str, bytes], **parts: Any) -> InstalledModel:
    place = folder / "case"
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / name).write_bytes(content)
    (place / "manifest.yaml").write_text(text_of(manifest(files, **parts)))
    return Registry(folder).installed()[0]


SHIFT = (2, 1, -1)
"""By how many voxels along the axes of its own tensor the segmentation below looks aside."""


def looking_aside(layout: str = "NCDHW") -> bytes:
    """A 3D segmentation of two channels: bright where the voxel that lies SHIFT further is above 0.5. Seeded weights around it
    are small; they make the graph a real convolution and change no sign."""
    weights = np.random.default_rng(11).normal(0, 1e-4, (2, 1, 5, 5, 5)).astype(np.float32)
    weights[1, 0, 2 + SHIFT[0], 2 + SHIFT[1], 2 + SHIFT[2]] = 8.0
    bias = np.array([4.0, 0.0], np.float32)
    conv = helper.make_node("Conv", ["nchw", "weights", "bias"], ["out"], kernel_shape=[5, 5, 5], pads=[2] * 6)
    if layout == "NCDHW":
        nodes = [helper.make_node("Identity", ["image"], ["nchw"]), conv, helper.make_node("Identity", ["out"], ["logits"])]
        shape, sides = ["n", 1, "d", "h", "w"], ["n", 2, "d", "h", "w"]
    else:
        nodes = [helper.make_node("Transpose", ["image"], ["nchw"], perm=[0, 4, 1, 2, 3]), conv,
                 helper.make_node("Transpose", ["out"], ["logits"], perm=[0, 2, 3, 4, 1])]  # fmt: skip
        shape, sides = ["n", "d", "h", "w", 1], ["n", "d", "h", "w", 2]
    return graph(nodes, {"weights": weights, "bias": bias}, shape, {"logits": sides})


def segmentation(layout: str = "NCDHW", **preprocessing: Any) -> dict[str, Any]:
    return {
        "preprocessing": {
            "kind": "tensor", "orientation": "LIA", "layout": layout,
            "intensity": [{"step": "quantiles", "low": 0.02, "high": 0.98}, {"step": "min-max"}], **preprocessing,
        },
        "strategy": {"kind": "sliding-window", "window": [16, 16, 16], "overlap": 0.5},
        "network": {"file": "model.onnx", "input": "image", "outputs": ["logits"]},
        "outputs": [{"kind": "segmentation", "name": "parts", "tensor": "logits", "activation": "softmax", "channels": 2}],
        "postprocessing": {"kind": "regions", "regions": [
            {"name": "bright", "output": "parts", "channel": 1, "decide": "argmax", "back": "nearest"}]},
    }


def of_brightness(side: int = 24, classes: int = 2, sign: float = 1.0) -> bytes:
    """A 2D classifier of NHWC, uint8: the share of bright pixels in the upper left quarter, as a logit, and its negative.
    ``sign``: of both logits."""
    mask = np.zeros((1, side, side, 1), np.float32)
    mask[:, : side // 2, : side // 2] = 4.0 / side**2
    weights = np.array([[20.0, -20.0]], np.float32)[:, :classes]
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "mask"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "axes"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["sum", "weights"], ["steep"]),
        helper.make_node("Add", ["steep", "bias"], ["logits"]),
    ]
    constants = {"mask": mask / 255, "axes": np.array([1, 2], np.int64), "weights": weights * np.float32(sign),
                 "bias": np.array([-10.0 * sign, 10.0 * sign], np.float32)[:classes]}  # fmt: skip
    return graph(nodes, constants, ["n", side, side, 1], {"logits": ["n", classes]}, TensorProto.UINT8)


def classifier(**changes: Any) -> dict[str, Any]:
    return {
        "preprocessing": {
            "kind": "tensor", "orientation": "SPL", "shape": [None, 24, 24], "layout": "NHWC", "dtype": "uint8",
            "intensity": [{"step": "window", "centre": 500, "width": 1000}, {"step": "scale", "divide": 1 / 255}],
        },
        "strategy": {"kind": "per-slice", "batch": 4},
        "network": {"file": "model.onnx", "input": "image", "outputs": ["logits"]},
        "outputs": [{"kind": "classification", "name": "class", "tensor": "logits", "activation": "softmax",
                     "classes": ["bright", "dark"]}],
        "postprocessing": {"kind": "regions"},
        "measurements": [{"name": "score", "kind": "score", "output": "class", "class_name": "bright"}],
        "operating_points": {"default": {"positive": 60.0, "indeterminate": 40.0}},
        "finding": {"concept": CODE, "category": CODE, "site": CODE, "measurement": SCORE, "unit": "%", **SENTENCES},
    } | changes  # fmt: skip


def of_boxes(side: int = 24) -> bytes:
    """A detector of one slice: on a lattice of 4 voxels a box of 6 around each place (so that neighbours overlap), with the mean
    of what is inside as its score; x1, y1, x2, y2."""
    places = np.arange(0, side - 3, 4)
    y, x = np.meshgrid(places, places, indexing="ij")
    boxes = np.stack([x, y, x + 6, y + 6], axis=-1).reshape(1, -1, 4).astype(np.float32)
    kernel = np.full((1, 1, 6, 6), 1 / 36, np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["means"], kernel_shape=[6, 6], strides=[4, 4], pads=[0, 0, 3, 3]),
        helper.make_node("Reshape", ["means", "flat"], ["scores"]),
        helper.make_node("Identity", ["lattice"], ["boxes"]),
    ]
    constants = {"kernel": kernel, "flat": np.array([1, -1], np.int64), "lattice": boxes}
    count = len(boxes[0])
    return graph(nodes, constants, [1, 1, side, side], {"boxes": [1, count, 4], "scores": [1, count]})


def detector(**changes: Any) -> dict[str, Any]:
    return {
        "preprocessing": {"kind": "tensor", "orientation": "SPL", "shape": [None, 24, 24], "layout": "NCHW",
                          "interpolation": "nearest-exact", "intensity": [{"step": "window", "centre": 500, "width": 1000}]},
        "strategy": {"kind": "per-slice"},
        "network": {"file": "model.onnx", "input": "image", "outputs": ["boxes", "scores"]},
        "outputs": [{"kind": "detection", "name": "spots", "boxes": "boxes", "scores": "scores", "box_format": "corners-xy",
                     "least_score": 0.2, "largest_overlap": 0.1}],
        "postprocessing": {"kind": "regions", "regions": [{"name": "bright", "output": "spots"}]},
        "measurements": [
            {"name": "spots", "kind": "count", "region": "bright"},
            {"name": "score", "kind": "score", "output": "spots", "concept": SCORE, "unit": "%"},
            {"name": "size", "kind": "longest-diameter", "region": "bright", "concept": CODE, "unit": "mm"}],
        "operating_points": {"default": {"positive": 1.0}},
        "finding": {"concept": CODE, "category": CODE, "site": CODE, "measurement": CODE, "unit": "1", **SENTENCES},
    } | changes  # fmt: skip
