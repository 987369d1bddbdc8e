"""The box of a volume that an earlier network points to."""

from __future__ import annotations

import numpy as np

from vigil.domain.manifest import Locator
from vigil.imaging.placing import Box
from vigil.inference.errors import NothingToSee
from vigil.inference.morphology import Mask, largest_cluster


def box_around(likely: Mask, shape: tuple[int, int, int], rule: Locator) -> Box:
    """The box of the largest part of ``likely``, on a volume of ``shape``, with its margin.

    Of each axis those planes count of which more than ``least_share`` is in it. The arithmetic is that of deepbet 1.0.2.

    Raises: NothingToSee.
    """
    mask = largest_cluster(likely)
    spans: list[slice] = []
    for axis, count in enumerate(shape):
        others = tuple(other for other in range(3) if other != axis)
        shares = np.count_nonzero(mask, axis=others) / (mask.size / mask.shape[axis])
        used = np.flatnonzero(shares > rule.least_share)
        if used.size == 0:
            raise NothingToSee("what the model is made for could not be found in the images")
        first, end = int(used[0]), int(used[-1]) + 1
        scale = np.float32(count) / np.float32(mask.shape[axis])
        widened = np.float32(1) + np.float32(2) * np.float32(rule.margin)
        centre = np.round(scale * np.float32((first + end) / 2))
        size = np.round(widened * (scale * np.float32(end - first)))
        spans.append(slice(max(0, int(centre - size / 2)), min(count, int(centre + size / 2))))
    return spans[0], spans[1], spans[2]
