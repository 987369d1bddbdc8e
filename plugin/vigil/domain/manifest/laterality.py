"""On which side of the body a finding lies, and how that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.inputs import SeriesInput
from vigil.domain.manifest.scope import Scope
from vigil.domain.manifest.strict import Finite, Strict, WhenUnknown

if TYPE_CHECKING:
    from vigil.domain.manifest.finding import FindingEntry

MODALITIES = frozenset({"CT", "MR"})
"""On these the outline of the body is seen."""
OFTEN_ALONE = frozenset({
    "ANKLE", "ARM", "BREAST", "CALF", "CLAVICLE", "ELBOW", "EXTREMITY", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HIP",
    "HUMERUS", "KNEE", "LEG", "LOWERLEG", "SCAPULA", "SHOULDER", "THIGH", "THUMB", "TOE", "UPPERARM", "WRIST",
})  # fmt: skip
"""Body parts that are shown without their like on the other side: the middle of what is seen is none of the patient's."""


class Laterality(Strict):
    """Told of a positive, and of what is only measured; only where it is known."""

    source: Literal["geometry", "header"] = Field(alias="from")
    """``geometry``: where the region lies beside the middle of the body, unless the images say which side they show.
    ``header``: what the images say alone (Image Laterality, Laterality)."""
    margin_mm: Finite | None = Field(default=None, ge=0, le=100)
    """How far beyond the middle of the body the region must lie, beside the doubt about that middle itself."""
    bilateral_share: Finite | None = Field(default=None, gt=0, le=0.5)
    """The finding is "right and left" where each side holds so much of the region; less counts for nothing. Left out: a region
    that lies on both sides has none."""

    @model_validator(mode="after")
    def _whole(self) -> Laterality:
        if (self.margin_mm is None) is (self.source == "geometry"):
            raise ValueError("laterality: margin_mm goes with 'from: geometry', and must be there")
        if self.source == "header" and self.bilateral_share is not None:
            raise ValueError("laterality: bilateral_share goes with 'from: geometry'")
        return self


def insist_a_side_can_be_known(
    where: str, entry: FindingEntry, region: str | None, reference: SeriesInput, scope: Scope
) -> None:
    """``where``: the key of the finding; ``region``: that shows it.

    Raises: ValueError.
    """
    rule = entry.laterality
    if rule is None or rule.source == "header":
        return
    if region is None:
        raise ValueError(f"{where}.laterality 'from: geometry' needs a region; name one in {where}.region")
    if reference.dimensions == 2:
        raise ValueError(f"{where}.laterality 'from: geometry' is of volumes; an input of dimensions 2 has 'from: header'")
    if not MODALITIES.issuperset(scope.modality):
        raise ValueError(f"{where}.laterality 'from: geometry' finds the middle of the body on "
                         f"{' and '.join(sorted(MODALITIES))} alone; take the others out of scope.modality, or write "
                         "'from: header'")
    if scope.body_part.unknown is WhenUnknown.ACCEPT:
        raise ValueError(f"{where}.laterality 'from: geometry' needs to know the body part; write "
                         "scope.body_part.unknown: refuse")
    alone = OFTEN_ALONE.intersection(part.upper() for part in scope.body_part.any_of)
    if alone:
        raise ValueError(f"{where}.laterality 'from: geometry': of {', '.join(sorted(alone))} one side is often shown alone, and "
                         "its middle is not the patient's; write 'from: header'")
