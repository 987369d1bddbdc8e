"""From the volumes of a model's inputs to the tensor of a network: axes, voxels, values, channels, as the manifest says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest import TensorPreprocessing
from vigil.imaging.placing import Box, PlacedGrid, Wanted, place
from vigil.inference.aligned import Aligned, colour_of
from vigil.inference.intensity import stepped

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prepared:
    """``tensor``: [C, D, H, W]; D, H, W are the axes of ``grid``, which knows the way back."""

    tensor: Values
    grid: PlacedGrid


def wanted_of(input_: TensorPreprocessing) -> Wanted:
    return Wanted(
        orientation=input_.orientation, spacing_mm=input_.spacing_mm, shape=input_.shape, interpolation=input_.interpolation,
        centres=input_.align == "centres", outside=input_.outside,
    )


def prepare(
    volumes: Aligned, input_: TensorPreprocessing, reference: str, *, box: Box | None = None,
    on: tuple[int, int, int] | None = None,
) -> Prepared:
    """``reference``: the name of the first input. ``box``: of its volume in the tensor's axes, found by an earlier network.
    ``on``: that network's own shape.

    Raises: NothingToSee.
    """
    wanted = wanted_of(input_)
    wanted = wanted if on is None else wanted.on(on)
    grid = place(volumes.reference, wanted, box)
    common: dict[str, Values] = {}
    channels: list[Values] = []
    for served, channel in zip(input_.serving(reference), input_.each_channel, strict=True):
        name = served if channel.colour is None else colour_of(served, channel.colour)
        if name not in common:
            # All lie on the same voxels, so they are placed alike.
            placed = grid if name == reference else place(volumes.further[name], wanted, box)
            common[name] = stepped(placed.voxels, input_.intensity)
        channels.append(stepped(common[name], channel.intensity))
    return Prepared(np.stack(channels), grid)
