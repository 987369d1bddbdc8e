"""Regions cleaned where the manifest says, on the network's grid or on the source's voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vigil.domain.manifest.postprocessing import RegionRule
from vigil.imaging.placing import Wanted, place
from vigil.imaging.volume import Volume
from vigil.inference.regions import Understood, outline


@pytest.mark.parametrize(("where", "parts"), [("grid", 2), ("source", 1)])
def test_a_bridge_that_only_the_grid_has_joins_two_parts_there_alone(where: Any, parts: int) -> None:
    """Two blocks, and a bridge of one voxel of 0.33 mm between them, which no voxel of 1 mm meets."""
    volume = Volume(np.zeros((12, 12, 12), np.float32), np.eye(4))
    grid = place(volume, Wanted("SPL", (None,) * 3, (36, 36, 36), "nearest-exact"))
    likely = np.zeros((1, 36, 36, 36), np.float32)
    likely[0, 3:12, 3:12, 3:12] = likely[0, 18:24, 3:12, 3:12] = 1.0
    likely[0, 12:18, 3, 3] = 1.0
    mask = outline(
        RegionRule(name="part", output="map", keep="largest", cleaned_on=where, back="nearest"),
        Understood({"map": likely}, {}), grid, volume)
    # Blocks of 3 x 3 x 3 and 2 x 3 x 3 voxels of the source.
    assert np.count_nonzero(mask) == (27 + 18 if parts == 2 else 27)
