"""Heads and networks for which the brain is known: a bright lopsided body, and graphs that find what is bright."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vigil.imaging.volume import Volume
from vigil.inference.registry import InstalledModel, Registry

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "brain-volume-t1-mr" / "manifest.yaml"


def bright(factor: float = 50.0) -> bytes:
    """Channel 1: near 1 where the input lies above 0.6, otherwise near 0. Channel 0: the rest. NaN for a factor of NaN."""
    shape = ["n", "c", "x", "y", "z"]
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Sub", ["image", "level"], ["above"]),
                helper.make_node("Mul", ["above", "factor"], ["steep"]),
                helper.make_node("Sigmoid", ["steep"], ["one"]),
                helper.make_node("Sub", ["whole", "one"], ["zero"]),
                helper.make_node("Concat", ["zero", "one"], ["probability"], axis=1),
            ],
            "bright",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("probability", TensorProto.FLOAT, shape)],
            [
                numpy_helper.from_array(np.array(value, np.float32), name)
                for name, value in (("level", 0.6), ("factor", factor), ("whole", 1.0))
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=10,
    )  # fmt: skip
    return model.SerializeToString()


def package(folder: Path, *, network: bytes | None = None, **rule: object) -> InstalledModel:
    """A package like the shipped one, with small networks on small shapes. ``rule``: changes to its region."""
    manifest = yaml.safe_load(SHIPPED.read_text())
    home = folder / manifest["id"]
    home.mkdir(parents=True)
    contents = {"locator.onnx": bright(), "model.onnx": network or bright()}
    for name, content in contents.items():
        (home / name).write_bytes(content)
    manifest["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    manifest["preprocessing"]["shape"] = [64, 64, 64]
    manifest["locator"]["shape"] = [32, 32, 32]
    manifest["postprocessing"]["regions"][0] |= {"plausible_ml": {"minimum": 1, "maximum": 2300}, **rule}
    manifest.pop("golden", None)
    (home / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    return Registry(folder).installed()[0]


def brain(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """[z, y, x] in patient axes: an ellipsoid off the middle, with a lobe towards the left, the back and the head."""
    middle = [count * spacing / 2 for count, spacing in zip(shape, spacing_mm, strict=True)]
    z, y, x = (
        (np.arange(count) + 0.5) * spacing - centre
        for count, spacing, centre in zip(shape, spacing_mm, middle, strict=True)
    )
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    body = (z / 40) ** 2 + (y / 55) ** 2 + (x / 45) ** 2 < 1
    lobe = ((z - 34) / 20) ** 2 + ((y - 42) / 20) ** 2 + ((x - 30) / 20) ** 2 < 1
    return np.asarray(body | lobe, np.bool_)


def as_volume(values: NDArray[np.float32], affine: NDArray[np.float64]) -> Volume:
    return Volume(np.ascontiguousarray(values, dtype=np.float32), affine)
