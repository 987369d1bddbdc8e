"""Small real networks with seeded weights, as authors would export them: each a graph with learned-looking features and one path
that makes its answer predictable."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

Weights = dict[str, NDArray[Any]]


def u_net() -> bytes:
    """A 3D U-Net of two levels, [n, 1, d, h, w] to the logits of two classes: the second where a value is above 0.8, give or
    take what the seeded features say."""
    seed = np.random.default_rng(20261126)
    weights: Weights = {
        "w1": seed.normal(0, 0.2, (4, 1, 3, 3, 3)), "w2": seed.normal(0, 0.2, (8, 4, 3, 3, 3)),
        "w3": seed.normal(0, 0.2, (8, 4, 2, 2, 2)), "w4": seed.normal(0, 0.02, (2, 9, 1, 1, 1)), "b4": np.array([9.6, 0.0]),
    }
    weights["w4"][:, 0] = np.array([0.0, 12.0]).reshape(2, 1, 1, 1)  # the input itself, by the outermost skip connection
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["c1"], pads=[1] * 6), helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2, 2], strides=[2, 2, 2]),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], pads=[1] * 6), helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("ConvTranspose", ["r2", "w3"], ["up"], strides=[2, 2, 2]),
        helper.make_node("Concat", ["image", "r1", "up"], ["all"], axis=1),
        helper.make_node("Conv", ["all", "w4", "b4"], ["logits"]),
    ]
    return graph(nodes, weights, {"image": ["n", 1, "d", "h", "w"]}, {"logits": ["n", 2, "d", "h", "w"]})


def classifier(clear: NDArray[np.uint8], opacity: NDArray[np.uint8]) -> bytes:
    """Of [n, 64, 64, 1] bytes: seeded convolutions, and a last layer that tells the two pictures apart with 95 %."""
    seed = np.random.default_rng(7)
    body: Weights = {"scale": np.array(1 / 255), "w1": seed.normal(0, 0.3, (8, 1, 5, 5)),
                     "w2": seed.normal(0, 0.2, (16, 8, 3, 3))}
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "scale"], ["small"]),
        helper.make_node("Transpose", ["small"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["nchw", "w1"], ["c1"], strides=[2, 2], pads=[2] * 4), helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], strides=[2, 2], pads=[1] * 4), helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["pooled"]), helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    image = {"image": ["n", 64, 64, 1]}
    pictures = np.stack([clear, opacity])[..., None]
    features = run(graph(nodes, body, image, {"features": ["n", 16]}, TensorProto.UINT8), pictures)[0]
    apart = features[1] - features[0]
    slope = np.log(0.95 / 0.05) / (apart @ apart / 2)
    head: Weights = {
        "w3": np.stack([-apart, apart], 1) * slope / 2,
        "b3": np.array([1.0, -1.0]) * slope / 2 * (apart @ (features[0] + features[1])) / 2,
    }
    nodes.append(helper.make_node("Gemm", ["features", "w3", "b3"], ["logits"]))
    return graph(nodes, body | head, image, {"logits": ["n", 2]}, TensorProto.UINT8)


def detector() -> bytes:
    """Of one slice [1, 1, 64, 64]: on a lattice of 4 pixels a box of 8, and a logit that is high where a dense spot fills its
    middle and not its rim; seeded features move it a little. Boxes are x1, y1, x2, y2."""
    seed = np.random.default_rng(3)
    kernel = np.full((1, 1, 12, 12), -24.0 / 80)
    kernel[..., 2:10, 2:10] = 24.0 / 64
    weights: Weights = {
        "spot": kernel + seed.normal(0, 1e-3, kernel.shape), "bias": np.array([-4.0]), "flat": np.array([1, -1], np.int64)}
    places = np.arange(0, 64, 4)
    y, x = np.meshgrid(places, places, indexing="ij")
    weights["lattice"] = np.stack([x - 2, y - 2, x + 6, y + 6], axis=-1).reshape(1, -1, 4).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "spot", "bias"], ["found"], strides=[4, 4], pads=[4, 4, 4, 4]),
        helper.make_node("Reshape", ["found", "flat"], ["scores"]), helper.make_node("Identity", ["lattice"], ["boxes"]),
    ]
    return graph(nodes, weights, {"image": [1, 1, 64, 64]}, {"boxes": [1, 256, 4], "scores": [1, 256]})


def graph(
    nodes: list[Any], weights: Weights, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]],
    kind: int = TensorProto.FLOAT, opset: int = 17,
) -> bytes:
    made: ModelProto = helper.make_model(
        helper.make_graph(
            nodes, "network", [helper.make_tensor_value_info(name, kind, sides) for name, sides in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in outputs.items()],
            [numpy_helper.from_array(value if value.dtype == np.int64 else value.astype(np.float32), name)
             for name, value in weights.items()],
        ), opset_imports=[helper.make_opsetid("", opset)], ir_version=10)  # fmt: skip
    return bytes(made.SerializeToString())


def run(network: bytes, image: NDArray[Any]) -> list[NDArray[np.float32]]:
    """What ONNX Runtime makes of it without us."""
    from onnxruntime import InferenceSession  # type: ignore[attr-defined]  # exported, though it does not say so

    session = InferenceSession(network, providers=["CPUExecutionProvider"])
    return [np.asarray(value) for value in session.run(None, {session.get_inputs()[0].name: image})]
