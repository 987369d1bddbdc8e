"""Which series a model is given, and when that is complete (law 2)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.quality import Quality
from vigil.domain.manifest.strict import Strict


class SeriesInput(Strict):
    """How the one series of this input is picked."""

    name: str
    excluded_image_types: tuple[str, ...] = ("LOCALIZER", "SECONDARY")
    excluded_words: tuple[str, ...] = ()
    """Words of a series description that rule a series out, for example "bone"."""
    required_words: tuple[str, ...] = ()
    """Words of which one must stand in the series description or the protocol's name, for example "t1"; none needs to
    where there are none."""
    dimensions: Literal[2, 3] = 3
    """3: a volume of slices. 2: one projection image (CR, DX, MG) by itself, in its own rows and columns: it has no place in the
    patient."""
    monochrome1: Literal["turned-over", "as-stored"] = "turned-over"
    """Of two dimensions: what a network sees of an image that is stored with its bright values low."""
    minimum_slices: int = Field(ge=1)
    minimum_coverage_mm: float = Field(default=0, ge=0)
    """Above 0 for a volume."""
    maximum_slices: int = Field(default=2000, ge=1)
    spacing_tolerance: float = Field(default=0.05, gt=0, lt=1)
    """Largest relative departure of a slice gap from the median gap; beyond it a slice is missing or the spacing
    irregular."""
    largest_gantry_tilt_degrees: float = Field(default=0, ge=0, le=45)
    """Up to which a tilted stack is straightened before the model sees it; 0 refuses any."""
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
        return self
