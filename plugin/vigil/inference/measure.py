"""What is told of regions and outputs: on the source's own voxels, in the unit that the manifest names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest import Manifest
from vigil.domain.manifest.measurements import (
    Count,
    LongestDiameter,
    MeanValue,
    MeasurementRule,
    Ratio,
    Score,
    VolumeOf,
)
from vigil.domain.manifest.outputs import Classification, Output, Regression
from vigil.imaging.volume import Volume
from vigil.inference.errors import InferenceFailed
from vigil.inference.morphology import Mask, count_of_clusters
from vigil.inference.regions import Understood

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Seen:
    """All that a measurement may be taken of."""

    volume: Volume
    masks: Mapping[str, Mask]
    found: Understood


def measured(rule: MeasurementRule, manifest: Manifest, seen: Seen) -> float | None:
    """In its unit; a score as 0 to 1. None where there is nothing to measure: the mean of no voxel, a share of nothing.

    Raises: InferenceFailed where an output is not what the manifest says of it.
    """
    if isinstance(rule, VolumeOf):
        return float(np.count_nonzero(seen.masks[rule.region])) * seen.volume.voxel_ml
    if isinstance(rule, LongestDiameter):
        return longest_diameter_mm(seen.masks[rule.region], seen.volume)
    if isinstance(rule, Count):
        return float(count_of_clusters(seen.masks[rule.region]))
    if isinstance(rule, MeanValue):
        values = seen.volume.voxels[seen.masks[rule.region]]
        return float(values.mean(dtype=np.float64)) if values.size else None
    if isinstance(rule, Ratio):
        whole = np.count_nonzero(seen.masks[rule.of])
        return 100.0 * np.count_nonzero(seen.masks[rule.region]) / whole if whole else None
    output = next(output for output in manifest.outputs if output.name == rule.output)
    return _score(rule, output, seen) if isinstance(rule, Score) else _value(output, seen)


def longest_diameter_mm(mask: Mask, volume: Volume) -> float:
    """Between the centres of two voxels of one slice; 0 where there is no region."""
    _, row_mm, column_mm = volume.spacing_mm
    longest = 0.0
    for plane in mask:
        rows = np.flatnonzero(plane.any(axis=1))
        if rows.size == 0:
            continue
        # The ends of a longest line are the first or the last voxel of their rows.
        first = plane[rows].argmax(axis=1)
        last = plane.shape[1] - 1 - plane[rows, ::-1].argmax(axis=1)
        if np.hypot((rows[-1] - rows[0]) * row_mm, (last.max() - first.min()) * column_mm) <= longest:
            continue
        y = np.concatenate([rows, rows]) * row_mm
        x = np.concatenate([first, last]) * column_mm
        longest = max(longest, float(np.hypot(y[:, None] - y, x[:, None] - x).max()))
    return longest


def _score(rule: Score, output: Output, seen: Seen) -> float:
    if isinstance(output, Classification):
        chances = np.stack(seen.found.rows[output.name])
        over = chances.max(axis=0) if output.over_slices == "maximum" else chances.mean(axis=0)
        return float(over[output.classes.index(rule.class_name or "")])
    if output.name in seen.found.boxes:
        return max((box.score for box in seen.found.boxes[output.name]), default=0.0)
    return float(seen.found.maps[output.name].max())


def _value(output: Output, seen: Seen) -> float:
    if not isinstance(output, Regression):
        raise InferenceFailed(f"'{output.name}' is no regression")
    values = np.array([row[output.index] for row in seen.found.rows[output.name]], np.float64)
    return output.offset + output.scale * float(values.max() if output.over_slices == "maximum" else values.mean())
