"""How much memory a run will need, told before it is taken: one budget for the whole bundle (law 1)."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from vigil.domain.manifest import Manifest, TensorPreprocessing
from vigil.domain.manifest.outputs import HeatMap, Segmentation
from vigil.domain.manifest.sides import FLOAT32_BYTES
from vigil.domain.manifest.strategy import SlidingWindow, Tiles, WholeVolume
from vigil.imaging.placing import plan
from vigil.imaging.volume import Volume
from vigil.inference.errors import OutOfMemory
from vigil.inference.prepare import wanted_of

WORKING_COPIES = 26
"""Float32 tensors of the network's size that a run takes at its peak, network, masks and distances together: measured
(models/*/CARD.md)."""


def insist_it_fits(shapes: Iterable[tuple[int, ...]], room_bytes: int) -> None:
    """Of the input tensors of one run of a network by itself.

    Raises: OutOfMemory.
    """
    needed = WORKING_COPIES * FLOAT32_BYTES * sum(prod(shape) for shape in shapes)
    if needed > room_bytes:
        raise OutOfMemory(f"one run of the network would need {needed >> 20} MiB, more than the {room_bytes >> 20} MiB of "
                          "Runtime.MemoryBudgetMiB; raise it")


def batch_within(
    manifest: Manifest, volume: Volume, further: Iterable[Volume], most: int, room_bytes: int
) -> int:
    """How many windows, tiles or slices at a time there is room for, ``most`` of them or half as many, down to one.

    Raises: OutOfMemory where there is no room for one.
    """
    others, batch = tuple(further), most
    while (needed := needed_bytes(manifest, volume, others, batch)) > room_bytes:
        if batch == 1:
            raise OutOfMemory(
                f"the analysis would need {needed >> 20} MiB, more than the {room_bytes >> 20} MiB of "
                "Runtime.MemoryBudgetMiB; raise it, or send a smaller field of view")
        batch //= 2
    return batch


def needed_bytes(manifest: Manifest, volume: Volume, further: Iterable[Volume] = (), batch: int = 1) -> int:
    """At a run's peak, the source included. ``volume``: of the first input; the others are held as they came and on its voxels.
    ``batch``: of the windows, tiles or slices. Of a network's inside only an estimate can be had."""
    others = sum(other.voxels.nbytes + volume.voxels.nbytes for other in further)
    held = volume.voxels.nbytes + volume.voxels.size + others  # a mask is a byte a voxel
    input_ = manifest.preprocessing
    if isinstance(input_, TensorPreprocessing):
        return held + _of_tensor(manifest, input_, volume, batch)
    tensor = FLOAT32_BYTES * float(prod(volume.spacing_mm)) * volume.voxels.size / float(prod(input_.spacing_mm))
    return held + int(WORKING_COPIES * tensor)


def _of_tensor(manifest: Manifest, input_: TensorPreprocessing, volume: Volume, batch: int) -> int:
    _, _, lines = plan(volume, wanted_of(input_))
    shape = [line.new_count for line in lines]
    channels = len(input_.channels)
    told = sum(output.channels for output in manifest.outputs if isinstance(output, Segmentation | HeatMap))
    # Voxels, steps and channels of the grid; sums, weights, probabilities and a mask of what comes out.
    grid = prod(shape) * (2 + 2 * channels + 3 * told + 1)
    if manifest.ensemble is not None:
        grid += prod(shape) * 2 * told  # the sum, and the sum with one more
    strategy = manifest.strategy
    if isinstance(strategy, WholeVolume):
        # What comes out is among the working copies, unless it has more channels than these.
        return FLOAT32_BYTES * max(grid, WORKING_COPIES * channels * prod(shape))
    if isinstance(strategy, SlidingWindow | Tiles):
        at_once = batch * channels * prod(strategy.sides)
    else:
        at_once = batch * channels * (2 * strategy.neighbours + 1) * shape[1] * shape[2]
    return FLOAT32_BYTES * (grid + WORKING_COPIES * at_once)
