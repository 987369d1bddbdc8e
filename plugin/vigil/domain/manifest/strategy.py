"""How a network goes over a volume: at once, window by window, slice by slice, or tile by tile over each slice."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.sides import Sides, insist_it_can_be_held
from vigil.domain.manifest.strict import Finite, Strict

LARGEST_BATCH = 64


class WholeVolume(Strict):
    """The whole volume at once."""

    kind: Literal["whole-volume"] = "whole-volume"

    @property
    def batch(self) -> int:
        return 1


class Overlapping(Strict):
    """How windows, or tiles, overlap and are blended (as MONAI's sliding window inferer does it)."""

    overlap: Finite = Field(default=0.25, ge=0, lt=1)
    """Share of a window that the next one covers again."""
    blend: Literal["gaussian", "constant"] = "gaussian"
    sigma: Finite = Field(default=0.125, gt=0, le=1)
    """Width of the Gaussian, as a share of the window's side."""
    padding: Finite = 0.0
    """Value (of the prepared tensor) around what is smaller than the window."""
    batch: int = Field(default=1, ge=1, le=LARGEST_BATCH)
    """Windows that are run together; 1 for a graph of a fixed batch of one."""


class SlidingWindow(Overlapping):
    """Window by window, overlapping, the results blended."""

    kind: Literal["sliding-window"]
    window: Sides

    @model_validator(mode="after")
    def _possible(self) -> SlidingWindow:
        if any(side < 1 for side in self.window):
            raise ValueError("each side of window must be 1 or more")
        insist_it_can_be_held("window", (self.batch, *self.window))
        return self

    @property
    def sides(self) -> tuple[int, ...]:
        return self.window


class Tiles(Overlapping):
    """Tile by tile over each slice across the first axis (2D), for an image that is larger than what the network takes. Maps are
    blended; of a classification the tile with the largest probability counts for each class; boxes of all tiles are thinned
    out together."""

    kind: Literal["tiles"]
    tile: tuple[int, int]
    """Rows and columns of the network's input."""

    @model_validator(mode="after")
    def _possible(self) -> Tiles:
        if any(side < 1 for side in self.tile):
            raise ValueError("each side of tile must be 1 or more")
        insist_it_can_be_held("tile", (self.batch, *self.tile))
        return self

    @property
    def sides(self) -> tuple[int, ...]:
        return self.tile


class PerSlice(Strict):
    """Each slice across the first axis by itself (2D); with ``neighbours``, as many slices on each side are channels of the
    image too (2.5D), the border's slice standing in for those beyond it."""

    kind: Literal["per-slice"]
    neighbours: int = Field(default=0, ge=0, le=32)
    batch: int = Field(default=1, ge=1, le=LARGEST_BATCH)
    """Slices that are run together; 1 for a graph of a fixed batch of one."""


Strategy = Annotated[WholeVolume | SlidingWindow | PerSlice | Tiles, Field(discriminator="kind")]
