"""Slice by slice across the first axis, alone (2D) or with its neighbours as channels (2.5D)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest.strategy import PerSlice
from vigil.inference.forward import Forward

Values = NDArray[np.float32]


def slice_by_slice(tensor: Values, rule: PerSlice, forward: Forward) -> dict[str, list[Values]]:
    """``tensor``: [C, D, H, W]. Every output, an entry for each slice.

    The channels of a slice with neighbours: all of the first neighbour's, then all of the next's.

    Raises: what ``forward`` raises.
    """
    count = tensor.shape[1]
    offsets = range(-rule.neighbours, rule.neighbours + 1)
    gathered: dict[str, list[Values]] = {}
    for start in range(0, count, rule.batch):
        batch = np.stack([
            np.concatenate([tensor[:, min(max(0, index + offset), count - 1)] for offset in offsets])
            for index in range(start, min(start + rule.batch, count))
        ])
        for outputs in forward.batched(batch, rule.batch):
            for name, values in outputs.items():
                gathered.setdefault(name, []).extend(values)
    return gathered
