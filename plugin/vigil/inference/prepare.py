"""From a volume to the tensor of a network: axes, voxels, values, channels, as the manifest says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest import TensorPreprocessing
from vigil.imaging.placing import Box, PlacedGrid, Wanted, place
from vigil.imaging.volume import Volume
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
    volume: Volume, input_: TensorPreprocessing, *, box: Box | None = None, on: tuple[int, int, int] | None = None
) -> Prepared:
    """``box``: of the volume in the tensor's axes, found by an earlier network. ``on``: that network's own shape.

    Raises: NothingToSee.
    """
    wanted = wanted_of(input_)
    grid = place(volume, wanted if on is None else wanted.on(on), box)
    common = stepped(grid.voxels, input_.intensity)
    return Prepared(np.stack([stepped(common, steps) for steps in input_.channels]), grid)
