"""Which series a model is given, and when that is complete (law 2)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.quality import Quality
from vigil.domain.manifest.scope import Contrast
from vigil.domain.manifest.strict import AnyOf, Finite, Range, Strict

MOST_INPUTS = 8


class SeriesInput(Strict):
    """How the one series of this input is picked. Of several inputs the first is the reference: on its voxels the others are
    brought, and its images bear what is found."""

    name: str
    excluded_image_types: tuple[str, ...] = ("LOCALIZER", "SECONDARY")
    required_image_types: tuple[str, ...] = ()
    """Values of Image Type of which one must be there, for example "ADC"; other images of a series are left out."""
    excluded_words: tuple[str, ...] = ()
    """Words of a series description that rule a series out, for example "bone"."""
    required_words: tuple[str, ...] = ()
    """Words of which one must stand in the series description or the protocol's name, for example "t1"; none needs to
    where there are none."""
    contrast: Contrast | None = None
    """Whether the images of this input are those with a contrast agent, beside what ``scope`` says of all."""
    scanning_sequences: AnyOf | None = None
    """Scanning Sequence of an MR: SE, IR, GR, EP or RM; one of an image's must be among these."""
    echo_time_ms: Range | None = None
    repetition_time_ms: Range | None = None
    inversion_time_ms: Range | None = None
    dimensions: Literal[2, 3] = 3
    """3: a volume of slices. 2: one projection image (CR, DX, MG) by itself, in its own rows and columns: it has no place in the
    patient."""
    monochrome1: Literal["turned-over", "as-stored"] = "turned-over"
    """Of two dimensions: what a network sees of an image that is stored with its bright values low."""
    frames: Literal["refuse", "each"] = "refuse"
    """Of two dimensions: a film loop (XA, US) is refused, or each of its frames is looked at, and the answer is over all."""
    colour: Literal["refuse", "luminance", "rgb"] = "refuse"
    """Of two dimensions: an image in colours is refused, or seen as bright as it looks (0 to 255), or in red, green and blue
    (0 to 255), which the channels pick."""
    values: Literal["as-stored", "suv-bw"] = "as-stored"
    """What a voxel is: the stored value after its rescale; or of PET the standardised uptake by body weight, in g/mL."""
    minimum_slices: int = Field(ge=1)
    minimum_coverage_mm: float = Field(default=0, ge=0)
    """Above 0 for a volume."""
    maximum_slices: int = Field(default=2000, ge=1)
    spacing_tolerance: float = Field(default=0.05, gt=0, lt=1)
    """Largest relative departure of a slice gap from the median gap; beyond it a slice is missing or the spacing
    irregular."""
    largest_gantry_tilt_degrees: float = Field(default=0, ge=0, le=45)
    """Up to which a tilted stack is straightened before the model sees it; 0 refuses any."""
    largest_uncovered_share: Finite = Field(default=0.1, ge=0, lt=1)
    """Of an input beside the reference: share of the reference's volume that may lie outside of its images. Beyond it the study
    is not analysed."""
    quality: Quality = Field(default_factory=Quality)
    """What is refused of images that are of the right kind."""
    quiet_s: float = Field(default=0, ge=0)
    """Time without a new image that a study needs beside Orthanc's StableAge before a negative may leave."""
    give_up_after_s: float = Field(default=600, ge=0)
    """Time without a new image after which an incomplete study is answered "not analysed"."""

    @model_validator(mode="after")
    def _possible(self) -> SeriesInput:
        if self.minimum_slices > self.maximum_slices:
            raise ValueError(f"minimum_slices {self.minimum_slices} is above maximum_slices {self.maximum_slices}")
        if self.dimensions == 3 and self.minimum_coverage_mm <= 0:
            raise ValueError("minimum_coverage_mm must be above 0: a negative may leave only where the anatomy is covered")
        if self.dimensions == 2 and (self.minimum_slices, self.minimum_coverage_mm) != (1, 0):
            raise ValueError("of dimensions 2 an input is one image: minimum_slices is 1, and minimum_coverage_mm stands nowhere")
        if self.dimensions == 3 and (self.frames, self.colour) != ("refuse", "refuse"):
            raise ValueError("frames and colour are of dimensions 2: a volume's frames each have a place, and no colours")
        if self.dimensions == 2 and self.values != "as-stored":
            raise ValueError("values 'suv-bw' are of PET volumes, not of dimensions 2")
        return self
