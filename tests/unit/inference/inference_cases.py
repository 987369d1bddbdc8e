"""Model packages of small ONNX networks, made on the spot."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from vigil.imaging.volume import Volume
from vigil.inference.registry import InstalledModel, Registry
from vigil.inference.runtime import Runtime

SHAPE = [1, 1, "d", "h", "w"]
OUTPUTS = ("inside", "dense", "raised")


def network(nodes: list[Any], constants: list[Any] | None = None, *, outputs: tuple[str, ...] = OUTPUTS,
            shape: list[Any] | None = None) -> ModelProto:  # fmt: skip
    return helper.make_model(
        helper.make_graph(
            nodes, "case", [helper.make_tensor_value_info("hu", TensorProto.FLOAT, shape or SHAPE)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs], constants or [],
        ),
        opset_imports=[helper.make_opsetid("", 21)], ir_version=10,
    )  # fmt: skip


def constant(name: str, value: float) -> TensorProto:
    return numpy_helper.from_array(np.array(value, np.float32), name)


def thresholds() -> ModelProto:
    """Inside above -500 HU, dense from 55, raised from 50: the shape of the real network without its smoothing."""
    nodes = []
    for name, bound in zip(OUTPUTS, ("air", "clot", "half"), strict=True):
        nodes.append(helper.make_node("GreaterOrEqual", ["hu", bound], [f"{name}_is"]))
        nodes.append(helper.make_node("Cast", [f"{name}_is"], [name], to=TensorProto.FLOAT))
    return network(nodes, [constant("air", -500), constant("clot", 55), constant("half", 50)])


def not_a_number() -> ModelProto:
    """Square roots of negative values."""
    nodes = [helper.make_node("Sqrt", ["hu"], ["inside"])]
    nodes += [helper.make_node("Identity", ["inside"], [name]) for name in OUTPUTS[1:]]
    return network(nodes)


def half_size() -> ModelProto:
    nodes = [helper.make_node("MaxPool", ["hu"], [name], kernel_shape=[2, 2, 2], strides=[2, 2, 2]) for name in OUTPUTS]
    return network(nodes)


def endless(rounds: int = 500) -> ModelProto:
    """Much pooling on a volume of 64 cubed (and none to speak of on the warm-up's), unless it is told to stop."""
    nodes, last = [], "hu"
    for index in range(rounds):
        nodes.append(helper.make_node("MaxPool", [last], [f"pool_{index}"], kernel_shape=[7, 7, 7], pads=[3] * 6))
        last = f"pool_{index}"
    nodes += [helper.make_node("Identity", [last], [name]) for name in OUTPUTS]
    return network(nodes)


def fails_above() -> ModelProto:
    """Stops with an error where the input is not of 16 slices (as the warm-up's is)."""
    nodes = [helper.make_node("Reshape", ["hu", "fixed"], [name]) for name in OUTPUTS]
    return network(nodes, [numpy_helper.from_array(np.array([1, 1, 16, 16, 16], np.int64), "fixed")])


def content(model: ModelProto | None = None) -> bytes:
    made: bytes = (model or thresholds()).SerializeToString()
    return made


def manifest_of(name: str, weights: bytes, **changes: Any) -> dict[str, Any]:
    code = {"value": "1", "scheme": "99T", "meaning": "Test"}
    return {
        "schema_version": 1, "id": name, "version": "1.0.0", "name": "Test", "vendor": "Test", "licence": "MIT",
        "summary": "Test",
        "regulatory": {
            "status": "research", "intended_use": "For the tests of the inference alone.",
            "permitted_outputs": ["measurement"],
        },
        "files": {"model.onnx": hashlib.sha256(weights).hexdigest()},
        "scope": {"modality": ["CT"], "body_part": {"any_of": ["HEAD"]}},
        "inputs": [{"name": "ct", "minimum_slices": 2, "minimum_coverage_mm": 1.0}],
        "preprocessing": {"spacing_mm": [2.0, 2.0, 2.0]},
        "network": {"file": "model.onnx", "input": "hu", "outputs": list(OUTPUTS)},
        "postprocessing": {
            "kind": "hyperdense-volume", "cavity_output": "inside", "band_output": "dense", "raised_output": "raised",
            "region": "dense", "minimum_component_ml": 0.1, "plausible_cavity_ml": {"minimum": 100, "maximum": 2000},
        },
        "operating_points": {"default": {"positive": 5.0, "indeterminate": 3.0}, "early": {"positive": 1.0}},
        "finding": {
            "concept": code, "category": code, "site": code, "measurement": code, "unit": "mL", "acr_category": 1,
            "positive": "{value} {unit}, at or above {threshold}", "negative": "{value} {unit}, below {threshold}",
            "indeterminate": "{value} {unit}, not far below {threshold}",
        },
        "limitations": ["none"], "changes": {"1.0.0": "First."},
    } | changes  # fmt: skip


def text_of(manifest: dict[str, Any]) -> str:
    # By way of JSON, so that no value is shared and none becomes an alias.
    return yaml.safe_dump(json.loads(json.dumps(manifest)), sort_keys=False)


def package(folder: Path, name: str = "case", model: ModelProto | None = None, **changes: Any) -> Path:
    """A package in ``folder``; ``changes`` replace keys of the manifest."""
    weights = content(model)
    place = folder / name
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(weights)
    (place / "manifest.yaml").write_text(text_of(manifest_of(name, weights, **changes)))
    return place


def installed(folder: Path, model: ModelProto | None = None, **changes: Any) -> InstalledModel:
    package(folder, "case", model, **changes)
    return Registry(folder).installed()[0]


def runtime(folder: Path, **settings: Any) -> Runtime:
    chosen: dict[str, Any] = {"provider": "cpu", "threads": 1, "allow_cpu_fallback": False, "memory_budget_mib": 1024}
    return Runtime(**(chosen | settings), marker=folder / "state" / "running.json")


def ball(clot_ml: float = 0.0, *, size: int = 60) -> Volume:
    """A ball of 35 HU and 700 mL in air, on a grid of 2 mm, with a ball of 70 HU in it."""
    axis = (np.arange(size) - (size - 1) / 2) * 2.0
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    hu: NDArray[np.float32] = np.full(z.shape, -1000, np.float32)
    hu[z**2 + y**2 + x**2 <= radius_mm(700) ** 2] = 35
    hu[z**2 + (y - 10) ** 2 + x**2 <= radius_mm(clot_ml) ** 2] = 70 if clot_ml else 35
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[1, 1] = affine[0, 2] = 2.0
    affine[3, 3] = 1.0
    return Volume(hu, affine)


def stored(
    values: NDArray[np.float32], spacing_mm: tuple[float, float, float], axes: tuple[int, ...], flips: tuple[bool, ...]
) -> Volume:
    """``values``, [z, y, x] of the patient, as another scan would store them: axes permuted and run backwards, with the affine
    that says so."""
    affine = np.eye(4)
    for place, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
        affine[:3, place] = 0
        affine[2 - axis, place] = spacing_mm[axis] * (-1 if flip else 1)
        affine[2 - axis, 3] = spacing_mm[axis] * (values.shape[axis] - 1) if flip else 0.0
    turned = values.transpose(axes)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return Volume(np.ascontiguousarray(turned, dtype=np.float32), affine)


def radius_mm(volume_ml: float) -> float:
    return float((3 * volume_ml * 1000 / (4 * np.pi)) ** (1 / 3))
