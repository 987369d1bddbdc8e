"""On which side of the patient a region lies: left, right, both, or none that can be said. A wrong side is worse than none."""

from __future__ import annotations

import numpy as np

from vigil.domain.codes import LEFT, RIGHT, RIGHT_AND_LEFT
from vigil.domain.concepts import Code
from vigil.domain.manifest.laterality import Laterality
from vigil.imaging.declared_side import DeclaredSide
from vigil.imaging.volume import Volume
from vigil.inference.midline import midline
from vigil.inference.morphology import Mask

MOST_POINTS = 200_000
LEAST_SHARE = 0.5
"""Of the region, on the side that is said; the rest may lie in the middle."""
NOTHING_SHARE = 0.001
_DECLARED = {DeclaredSide.LEFT: LEFT, DeclaredSide.RIGHT: RIGHT}


def side_of(
    mask: Mask | None, volume: Volume, rule: Laterality, declared: DeclaredSide, *, is_ct: bool, lies_on_side: bool = False
) -> Code | None:
    """``mask``: on the volume's voxels. What the images declare is said, unless the region lies elsewhere: then nothing is.
    ``lies_on_side``: the patient does, so that the belly sags and its outline's middle is not the body's."""
    if declared is DeclaredSide.CONTRADICTORY:
        return None
    said = _DECLARED.get(declared)
    if rule.source == "header":
        return said
    seen = None if mask is None or not mask.any() or lies_on_side else _by_geometry(mask, volume, rule, is_ct=is_ct)
    if said is None or seen is None:
        return said or seen
    return said if said == seen else None


def _by_geometry(mask: Mask, volume: Volume, rule: Laterality, *, is_ct: bool) -> Code | None:
    voxels = np.argwhere(mask)
    voxels = voxels[:: 1 + len(voxels) // MOST_POINTS]
    points = voxels @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    middle = midline(volume, float(points[:, 2].min()), float(points[:, 2].max()), is_ct=is_ct)
    if middle is None:
        return None
    beside = middle.left_of(points)
    margin = rule.margin_mm or 0.0
    left, right = (float(np.count_nonzero(side > margin)) / len(points) for side in (beside, -beside))
    if rule.bilateral_share is not None and min(left, right) >= rule.bilateral_share:
        return RIGHT_AND_LEFT
    neglected = NOTHING_SHARE if rule.bilateral_share is None else rule.bilateral_share
    if left >= LEAST_SHARE and right < neglected:
        return LEFT
    return RIGHT if right >= LEAST_SHARE and left < neglected else None
