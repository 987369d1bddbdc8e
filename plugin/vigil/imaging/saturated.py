"""A volume of which a large part has the highest value: overexposed, windowed to eight bits, or damaged on its way."""

from __future__ import annotations

import numpy as np

from vigil.imaging.errors import SaturatedValues
from vigil.imaging.volume import Volume

MOST_OF_A_SLICE = 0.25
MOST_OF_ALL = 0.05
"""In heads, CT and MR, it is below 0.0002."""


def refuse_saturated(volume: Volume) -> None:
    """Raises: SaturatedValues."""
    highest = volume.voxels.max()
    shares = [np.count_nonzero(plane == highest) / plane.size for plane in volume.voxels]
    worst = int(np.argmax(shares))
    if shares[worst] > MOST_OF_A_SLICE:
        raise SaturatedValues(f"slice {worst + 1} of {len(shares)} has the highest value in {shares[worst]:.0%} of its pixels")
    if (share := float(np.mean(shares))) > MOST_OF_ALL:
        raise SaturatedValues(f"{share:.0%} of all pixels have the highest value")
