"""A slice of nothing between slices of something: a damaged image that decodes without complaint.

Whatever lay there would be missed, and a negative said of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vigil.imaging.errors import UnreadablePixels
from vigil.imaging.volume import Volume

SAMPLE_EVERY = 16
"""Pixels: where these differ the others need no look."""


def refuse_blank_slices(volume: Volume) -> None:
    """Raises: UnreadablePixels where a slice between two others has one value all over. (At the ends it may be air.)"""
    shown = [index for index, plane in enumerate(volume.voxels) if not _is_blank(plane)]
    if not shown:
        raise UnreadablePixels("all images are blank: every pixel of a slice has the same value; send the series again")
    blank = sorted(set(range(shown[0], shown[-1] + 1)) - set(shown))
    if blank:
        count = len(volume.voxels)
        more = f" and {len(blank) - 1} more" if len(blank) > 1 else ""
        raise UnreadablePixels(
            f"slice {blank[0] + 1} of {count}{more} is blank, between others that are not; send the series again"
        )


def _is_blank(plane: NDArray[np.float32]) -> bool:
    sample = plane[::SAMPLE_EVERY, ::SAMPLE_EVERY]
    return bool((sample == plane[0, 0]).all() and (plane == plane[0, 0]).all())
