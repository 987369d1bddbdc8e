from __future__ import annotations

import numpy as np
import pytest
from quality_cases import changed, real_head, synthetic_head

from vigil.domain.errors import Category
from vigil.imaging.errors import SaturatedValues
from vigil.imaging.saturated import refuse_saturated


def test_heads_are_not_saturated_nor_is_what_a_scanner_clips() -> None:
    for head in (synthetic_head(), real_head(), changed(real_head(), real_head().voxels.clip(None, 1300))):
        refuse_saturated(head)


def test_a_slice_that_is_white_in_a_large_part_is_named() -> None:
    voxels = synthetic_head().voxels.copy()
    voxels[7, :40] = 3071
    with pytest.raises(SaturatedValues, match=r"slice 8 of 40 has the highest value in 31% of its pixels") as caught:
        refuse_saturated(changed(synthetic_head(), voxels))
    assert caught.value.category is Category.SATURATED_VALUES


def test_a_volume_that_is_white_in_every_slice_is_refused_though_no_slice_is_by_itself() -> None:
    voxels = synthetic_head().voxels.copy()
    voxels[:, :8] = 3071
    with pytest.raises(SaturatedValues, match=r"6% of all pixels have the highest value"):
        refuse_saturated(changed(synthetic_head(), voxels))
    bright = np.random.default_rng(2).normal(200, 60, (9, 40, 40)).clip(0, 255)  # an MR windowed to eight bits
    with pytest.raises(SaturatedValues):
        refuse_saturated(changed(synthetic_head(), bright))
