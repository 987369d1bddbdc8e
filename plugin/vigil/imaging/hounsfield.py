"""Whether the values of a CT can be Hounsfield units: air lies at -1000, water at 0, and a body is mostly water.

A series whose rescale was lost, doubled or shifted on its way decodes without complaint, and whatever a network says of it
means nothing. What is asked is little, so that metal, contrast, noise, padding and a narrow field of view pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vigil.imaging.errors import ImplausibleValues
from vigil.imaging.volume import Volume

AIR_BELOW_HU = -700.0
"""The lung of a full breath lies below it, too."""
LEAST_AIR_SHARE = 1e-4
WIDE_FIELD_MM = 220.0
"""A field of this size shows air beside a head, in a chest or in a bowel; a smaller one may lie wholly within the body."""
BODY_ABOVE_HU = -500.0
WATERY_HU = (-200.0, 200.0)
"""Fat, water, brain, muscle, organs."""
LEAST_WATERY_SHARE = 0.25
"""Of the body. 0.72 to 0.98 in heads and in parts of them; 0.16 in the same head 200 HU too bright, 0.03 with twice the slope."""
NOTHING_BELOW_HU = -1500.0
MOST_BELOW_SHARE = 0.05
"""Of all. The noise of a sharp kernel, and streaks, go below air, and seldom so far."""
SAMPLED_VOXELS = 1_000_000


def refuse_implausible_hounsfield(volume: Volume) -> None:
    """Raises: ImplausibleValues."""
    values = _sampled(volume.voxels)
    lowest = float(values.min())
    measured = values[values > lowest]  # the lowest value may be padding that the header does not name
    if np.count_nonzero(measured < NOTHING_BELOW_HU) > MOST_BELOW_SHARE * len(values):
        raise ImplausibleValues(f"many lie below {NOTHING_BELOW_HU:g} HU, and air is -1000 HU")
    if np.count_nonzero(values < AIR_BELOW_HU) < LEAST_AIR_SHARE * len(values) and (_is_wide(volume) or lowest >= 0):
        raise ImplausibleValues(f"nothing in the field of view is air (the lowest value is {lowest:.0f} HU)")
    body = values[values > BODY_ABOVE_HU]
    watery = np.count_nonzero((body > WATERY_HU[0]) & (body < WATERY_HU[1]))
    if watery < LEAST_WATERY_SHARE * len(body) or not len(body):
        share = round(100 * watery / max(1, len(body)))
        raise ImplausibleValues(f"only {share} % of what is not air lies near water, where soft tissue lies")


def _sampled(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of every slice every so many rows and columns: a histogram of all of them takes as long as decoding them."""
    step = max(1, int((voxels.size / SAMPLED_VOXELS) ** 0.5))
    return voxels[:, step // 2::step, step // 2::step].ravel()


def _is_wide(volume: Volume) -> bool:
    _, row_mm, column_mm = volume.spacing_mm
    _, rows, columns = volume.voxels.shape
    return bool(min(rows * row_mm, columns * column_mm) >= WIDE_FIELD_MM)
