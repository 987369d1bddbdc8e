"""Regions of the patient out of what a network gave: decided, cleaned, and back on the source's own voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest.outputs import Classification, Detection, HeatMap, Output, Regression, Segmentation
from vigil.domain.manifest.postprocessing import RegionRule
from vigil.imaging.placing import PlacedGrid
from vigil.imaging.volume import Volume
from vigil.inference.activation import activated
from vigil.inference.detect import Detected, detected
from vigil.inference.errors import InferenceFailed
from vigil.inference.morphology import Mask, largest_cluster, largest_part, without_holes, without_small_parts
from vigil.inference.strategy.go_over import Given
from vigil.inference.strategy.tiles import Tile

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Understood:
    """The outputs by the manifest's names. ``maps``: probabilities, [channels, D, H, W]. ``boxes``: of the grid. ``rows``: of
    each slice, or of the whole, the probabilities of a classification or the numbers of a regression."""

    maps: dict[str, Values]
    boxes: dict[str, list[Detected]]
    rows: dict[str, list[Values]] = field(default_factory=dict)


def understood(given: Given, outputs: Sequence[Output], shape: tuple[int, int, int]) -> Understood:
    """Raises: InferenceFailed where a tensor is not what the manifest says of it."""
    maps: dict[str, Values] = {}
    boxes: dict[str, list[Detected]] = {}
    rows: dict[str, list[Values]] = {}
    for output in outputs:
        if isinstance(output, Segmentation | HeatMap):
            values = given.maps[output.tensor]
            if len(values) != output.channels:
                raise InferenceFailed(f"the output '{output.tensor}' has {len(values)} channels; the manifest says "
                                      f"{output.channels}")
            maps[output.name] = activated(values, output.activation)
        elif isinstance(output, Detection):
            boxes[output.name] = detected(given.entries[output.boxes], given.entries[output.scores], output, shape, given.tiles)
        elif isinstance(output, Classification):
            rows[output.name] = _of_slices(_chances(given.entries[output.tensor], output), given.tiles)
        else:
            rows[output.name] = _numbers(given.entries[output.tensor], output)
    return Understood(maps, boxes, rows)


def _chances(entries: list[Values], output: Classification) -> list[Values]:
    if any(row.shape != (len(output.classes),) for row in entries):
        raise InferenceFailed(f"the output '{output.tensor}' has shape {entries[0].shape} for an image; the manifest says "
                              f"{len(output.classes)} classes")
    return [activated(row, output.activation) for row in entries]


def _of_slices(rows: list[Values], tiles: Sequence[Tile]) -> list[Values]:
    """Of each slice the largest value of each class that any of its tiles has."""
    if not tiles:
        return rows
    by_slice: dict[int, list[Values]] = {}
    for row, tile in zip(rows, tiles, strict=True):
        by_slice.setdefault(tile.index, []).append(row)
    return [np.max(found, axis=0) for found in by_slice.values()]


def _numbers(entries: list[Values], output: Regression) -> list[Values]:
    rows = [np.atleast_1d(row) for row in entries]
    if any(row.ndim != 1 or len(row) <= output.index for row in rows):
        raise InferenceFailed(f"the output '{output.tensor}' has shape {rows[0].shape} for an image; it has no value "
                              f"{output.index}")
    return rows


def outline(rule: RegionRule, found: Understood, grid: PlacedGrid, volume: Volume) -> Mask:
    """The region on the source's own voxels, [slice, row, column]."""
    boxes = found.boxes.get(rule.output)
    if boxes is not None:
        mask: Mask = np.zeros(grid.source_shape, np.bool_)
        for box in boxes:
            mask[grid.spans_back(box.low, box.high)] = True
        return _cleaned(mask, rule, volume.voxel_ml)
    values = found.maps[rule.output]
    chosen = values.argmax(axis=0) == rule.channel if rule.decide == "argmax" else values[rule.channel] >= rule.threshold
    decided: Mask = np.asarray(chosen, np.bool_)
    if rule.cleaned_on == "source":
        return _cleaned(grid.back(decided, rule.back), rule, volume.voxel_ml)
    return grid.back(_cleaned(decided, rule, grid.voxel_ml), rule.back)


def _cleaned(mask: Mask, rule: RegionRule, voxel_ml: float) -> Mask:
    corners = rule.connected_by == "corners"
    if rule.keep == "largest":
        mask = largest_cluster(mask) if corners else largest_part(mask)
    if rule.minimum_ml > 0:
        mask = without_small_parts(mask, max(1, round(rule.minimum_ml / voxel_ml)), corners=corners)
    return without_holes(mask) if rule.fill_holes else mask
