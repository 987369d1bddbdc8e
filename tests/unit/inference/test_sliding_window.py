"""Held to the definition that MONAI documents, written down plainly: each window, each voxel, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import ceil, exp

import numpy as np
import pytest
from numpy.typing import NDArray

from vigil.domain.manifest.strategy import SlidingWindow, Tiles
from vigil.inference.errors import InferenceFailed
from vigil.inference.strategy.sliding_window import importance_map, slid

Values = NDArray[np.float32]


def network(windows: Values) -> Mapping[str, Values]:
    """Two channels that depend on where in the window a voxel lies, as a network's border effects do."""
    ramp = np.linspace(0.5, 1.5, windows.shape[-1], dtype=np.float32)
    return {"logits": np.concatenate([windows * ramp, windows[:, :, ::-1] * 0.5 + 0.1], axis=1)}


def plain(tensor: Values, rule: SlidingWindow | Tiles) -> Values:
    sides, count = rule.sides, tensor.shape[1:]
    pads = [max(0, side - had) for side, had in zip(sides, count, strict=True)]
    padded = np.pad(tensor, [(0, 0), *((pad // 2, pad - pad // 2) for pad in pads)], constant_values=rule.padding)
    starts = []
    for side, had in zip(sides, padded.shape[1:], strict=True):
        step = side if side == had else max(1, int(side * (1 - rule.overlap)))
        found = []
        for index in range(ceil(had / step)):
            found.append(min(index * step, had - side))
            if index * step + side >= had:
                break
        starts.append(found)
    weight_of = {}
    for place in product(*map(range, sides)):
        bells = [exp(-((at - (side - 1) / 2) ** 2) / (2 * (rule.sigma * side) ** 2))
                 for at, side in zip(place, sides, strict=True)]
        weight_of[place] = 1.0 if rule.blend == "constant" else float(np.prod(bells))
    least = max(min(weight_of.values()), 1e-3)
    sums, weights = np.zeros((2, *padded.shape[1:])), np.zeros(padded.shape[1:])
    for corner in product(*starts):
        window = padded[(slice(None), *(slice(at, at + side) for at, side in zip(corner, sides, strict=True)))]
        given = network(window[None])["logits"][0]
        for place, weight in weight_of.items():
            at = tuple(one + two for one, two in zip(corner, place, strict=True))
            sums[(slice(None), *at)] += given[(slice(None), *place)] * max(weight, least)
            weights[at] += max(weight, least)
    blended = sums / weights
    cut = tuple(slice(pad // 2, pad // 2 + had) for pad, had in zip(pads, count, strict=True))
    return np.asarray(blended[(slice(None), *cut)], np.float32)


@pytest.mark.parametrize("shape", [(13, 17, 9), (8, 8, 8), (5, 20, 8), (3, 4, 5)])
@pytest.mark.parametrize(("blend", "overlap"), [("gaussian", 0.25), ("gaussian", 0.5), ("constant", 0.6), ("gaussian", 0.0)])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_blend_is_that_of_the_definition(shape: tuple[int, int, int], blend: str, overlap: float, batch: int) -> None:
    rule = SlidingWindow.model_validate(
        {"kind": "sliding-window", "window": (8, 6, 8), "overlap": overlap, "blend": blend, "batch": batch, "padding": -1.0})
    tensor = np.random.default_rng(7).normal(size=(1, *shape)).astype(np.float32)
    ours = slid(tensor, rule, lambda windows: [network(windows)], ["logits"]).maps["logits"]
    theirs = plain(tensor, rule)
    assert ours.shape == (2, *shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_array_equal(ours.argmax(axis=0), theirs.argmax(axis=0))


@pytest.mark.parametrize("shape", [(19, 26), (8, 6), (5, 20), (3, 4)])
@pytest.mark.parametrize(("blend", "overlap"), [("gaussian", 0.25), ("gaussian", 0.5), ("constant", 0.6)])
@pytest.mark.parametrize("batch", [1, 3])
def test_tiles_are_blended_in_two_dimensions_alike(shape: tuple[int, int], blend: str, overlap: float, batch: int) -> None:
    rule = Tiles.model_validate(
        {"kind": "tiles", "tile": (8, 6), "overlap": overlap, "blend": blend, "batch": batch, "padding": -1.0})
    tensor = np.random.default_rng(7).normal(size=(1, *shape)).astype(np.float32)
    ours = slid(tensor, rule, lambda tiles: [network(tiles)], ["logits"]).maps["logits"]
    theirs = plain(tensor, rule)
    assert ours.shape == (2, *shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_array_equal(ours.argmax(axis=0), theirs.argmax(axis=0))


def test_the_importance_is_largest_in_the_middle_and_never_nothing() -> None:
    rule = SlidingWindow(kind="sliding-window", window=(31, 33, 9))
    importance = importance_map(rule)
    assert importance[15, 16, 4] == importance.max() == 1.0
    assert importance.min() == pytest.approx(1e-3)
    # By hand: one sigma (0.125 x 31) from the middle along the first axis.
    far = importance[15 + 4, 16, 4]
    assert far == pytest.approx(exp(-(4**2) / (2 * (0.125 * 31) ** 2)), rel=1e-5)


def test_windows_may_be_run_in_pieces() -> None:
    rule = SlidingWindow(kind="sliding-window", window=(4, 4, 4), batch=4)
    tensor = np.random.default_rng(1).normal(size=(1, 9, 8, 7)).astype(np.float32)
    whole = slid(tensor, rule, lambda windows: [network(windows)], ["logits"]).maps["logits"]
    pieces = slid(tensor, rule, lambda windows: [network(one[None]) for one in windows], ["logits"]).maps["logits"]
    np.testing.assert_array_equal(whole, pieces)


def test_an_output_of_another_shape_than_its_window_fails() -> None:
    rule = SlidingWindow(kind="sliding-window", window=(4, 4, 4))
    with pytest.raises(InferenceFailed, match="not that of its window"):
        slid(np.zeros((1, 8, 8, 8), np.float32), rule, lambda windows: [{"logits": windows[..., ::2]}], ["logits"])
