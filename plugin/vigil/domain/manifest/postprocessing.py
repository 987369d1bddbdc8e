"""From what a network gives to regions of the patient."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.strict import Finite, Name, Range, Strict


class HyperdenseVolume(Strict):
    """Cavity and band of :mod:`vigil.inference.hyperdense`: the band inside the intracranial cavity, as a region and
    a volume."""

    kind: Literal["hyperdense-volume"]
    cavity_output: str
    """1 in soft tissue, up to the bone. The cavity is its largest part, opened."""
    band_output: str
    """1 in soft tissue of raised density: what makes a region."""
    raised_output: str = "raised"
    """1 in soft tissue at half the way up to that density: how far a region goes."""
    region: str
    opening_radius_mm: float = Field(default=12.0, gt=0)
    """A ball of this radius finds no way from the cavity through openings of the skull."""
    growth_mm: float = Field(default=3.0, ge=0)
    """How far a region goes on from the band into what is raised."""
    minimum_component_ml: float = Field(ge=0)
    plausible_cavity_ml: Range
    largest_open_share_at_base: float = Field(default=0.15, gt=0, lt=1)
    """Area of the cavity in the lowest slice, as a share of its largest slice; beyond it the scan ends inside the head."""
    largest_open_share_elsewhere: float = Field(default=0.08, gt=0, lt=1)
    """The same at the vertex and at the four sides."""


class RegionRule(Strict):
    """One region: where an output says that something is, cleaned, then back on the source's own voxels."""

    name: Name
    output: Name
    """A segmentation, a heat map or a detection of ``outputs``."""
    channel: int = Field(default=0, ge=0)
    """Of a segmentation."""
    decide: Literal["threshold", "argmax"] = "threshold"
    """"threshold": where the channel is at or above ``threshold``; "argmax": where it is the largest of all channels."""
    threshold: Finite = 0.5
    keep: Literal["all", "largest"] = "all"
    connected_by: Literal["faces", "corners"] = "corners"
    """What joins two voxels into one part."""
    fill_holes: bool = False
    minimum_ml: Finite = Field(default=0.0, ge=0)
    """Smaller parts are dropped."""
    cleaned_on: Literal["grid", "source"] = "grid"
    """Where ``keep``, ``minimum_ml`` and ``fill_holes`` work: on the network's grid, or on the source's voxels after the way
    back."""
    back: Literal["linear", "nearest"] = "linear"
    """How the region comes back to the source's voxels: inside from one half of a linear blend, or the nearest voxel's."""
    plausible_ml: Range | None = None
    """Outside of it nothing is told: the structure was not outlined, or is not there as a whole."""
    largest_open_share: Finite | None = Field(default=None, gt=0, lt=1)
    """Area of the region in a border of the images, as a share of its largest section; beyond it the images end inside what
    is measured, and only a positive may be said."""


class Regions(Strict):
    """Regions out of the outputs, in order."""

    kind: Literal["regions"]
    regions: tuple[RegionRule, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> Regions:
        names = [region.name for region in self.regions]
        if len(set(names)) != len(names):
            raise ValueError("each region must have a name of its own")
        return self


Postprocessing = Annotated[HyperdenseVolume | Regions, Field(discriminator="kind")]
