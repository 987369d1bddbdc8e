"""A network of the size that is used in clinics, with seeded weights: what it says means nothing, what it costs does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from onnx import NodeProto, helper

from hospital.seeded_networks import Weights, graph

FEATURES = (32, 64, 128, 256, 320)
"""Of each level, as nnU-Net plans them for one of 3D."""


def u_net(features: tuple[int, ...] = FEATURES, classes: int = 2) -> bytes:
    """A 3D U-Net, [n, 1, d, h, w] to logits: two convolutions a level, each with instance normalisation and a leaky ReLU, strides
    down and transposed convolutions up. Sides must be multiples of 2 to the power of the levels less one."""
    seed = np.random.default_rng(20261127)
    weights: Weights = {}
    nodes: list[NodeProto] = []

    def drawn(name: str, *shape: int, fan_in: int) -> str:
        weights[name] = seed.normal(0, np.sqrt(2 / fan_in), shape)
        return name

    def block(last: str, name: str, channels_in: int, channels: int, stride: int = 1) -> str:
        for index, (given, step) in enumerate(((channels_in, stride), (channels, 1))):
            own = f"{name}_{index}"
            kernel = drawn(f"{own}_w", channels, given, 3, 3, 3, fan_in=27 * given)
            weights[f"{own}_s"], weights[f"{own}_b"] = np.ones(channels), np.zeros(channels)
            nodes.extend([
                helper.make_node("Conv", [last, kernel], [f"{own}_c"], pads=[1] * 6, strides=[step] * 3),
                helper.make_node("InstanceNormalization", [f"{own}_c", f"{own}_s", f"{own}_b"], [f"{own}_n"]),
                helper.make_node("LeakyRelu", [f"{own}_n"], [f"{own}_r"], alpha=0.01),
            ])
            last = f"{own}_r"
        return last

    last = block("image", "down0", 1, features[0])
    levels = [last]
    for level, (above, own) in enumerate(pairwise(features), 1):
        last = block(last, f"down{level}", above, own, stride=2)
        levels.append(last)
    for level in range(len(features) - 2, -1, -1):
        own, below = features[level], features[level + 1]
        kernel = drawn(f"up{level}_t", below, own, 2, 2, 2, fan_in=below)
        nodes.append(helper.make_node("ConvTranspose", [last, kernel], [f"up{level}_u"], strides=[2, 2, 2]))
        nodes.append(helper.make_node("Concat", [f"up{level}_u", levels[level]], [f"up{level}_a"], axis=1))
        last = block(f"up{level}_a", f"up{level}", 2 * own, own)
    nodes.append(helper.make_node("Conv", [last, drawn("head", classes, features[0], 1, 1, 1, fan_in=features[0])], ["logits"]))
    return graph(nodes, weights, {"image": ["n", 1, "d", "h", "w"]}, {"logits": ["n", classes, "d", "h", "w"]})
