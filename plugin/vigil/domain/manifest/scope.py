"""On what a model may run (law 5)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.strict import AnyOf, Range, Strict, WhenUnknown

OLDEST_YEARS = 130
THICKEST_MM = 100
STRONGEST_T = 25


class BodyPart(Strict):
    """Accepted values of Body Part Examined; ``words`` are looked for in the study, series and protocol descriptions
    where Body Part Examined is absent."""

    any_of: tuple[str, ...] = Field(min_length=1)
    words: tuple[str, ...] = ()
    unknown: WhenUnknown = WhenUnknown.REFUSE


class Contrast(StrEnum):
    NONE = "none"
    """Only images without a contrast agent: one that the header names refuses them."""
    GIVEN = "given"
    """Only images whose header names a contrast agent."""


class Asked(Strict):
    """What was asked for: by code, "scheme:value" as DICOM writes them (LN:24725-4), or by a word of what people wrote; one of
    all these is enough."""

    codes: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,16}:[^:\s]{1,64}$")], ...] = ()
    words: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    unknown: WhenUnknown = WhenUnknown.REFUSE

    @model_validator(mode="after")
    def _possible(self) -> Asked:
        if not self.codes and not self.words:
            raise ValueError("give codes, words or both: without either no request would do")
        return self


class Scope(Strict):
    modality: tuple[str, ...] = Field(min_length=1)
    body_part: BodyPart
    age_years: Range | None = None
    slice_thickness_mm: Range | None = None
    sex: AnyOf | None = None
    """Patient's Sex: M, F or O."""
    manufacturers: AnyOf | None = None
    """Words of Manufacturer, for example "siemens"."""
    kernels: AnyOf | None = None
    """Convolution Kernels, each whole, for example "H30s"."""
    field_strength_t: Range | None = None
    contrast: Contrast | None = None
    lossy: Literal["refuse", "accept"] = "refuse"
    """What to do with images that were ever compressed with loss: nobody knows what a network makes of its traces."""
    burned_in: Literal["refuse", "accept"] = "refuse"
    """What to do with images that say that text or marks are burned into their pixels: a network sees them as something of the
    patient."""
    procedures: Asked | None = None
    """Procedure Code, Requested Procedure Code and their like, and the words beside them."""
    indications: Asked | None = None
    """Reason for the Requested Procedure, Admitting Diagnoses, and the words beside them."""
    views: AnyOf | None = None
    """View Positions of projection images: PA, AP, LL, MLO, CC."""

    @model_validator(mode="after")
    def _possible(self) -> Scope:
        _within("age_years", self.age_years, OLDEST_YEARS)
        _within("slice_thickness_mm", self.slice_thickness_mm, THICKEST_MM)
        _within("field_strength_t", self.field_strength_t, STRONGEST_T)
        for modality in self.modality:
            if not (modality.isascii() and modality.isupper() and 2 <= len(modality) <= 16):
                raise ValueError(f"modality '{modality}' is none of DICOM's; they are written in capitals, such as CT or MR")
        return self


def _within(name: str, limits: Range | None, most: float) -> None:
    """A range that no patient and no series can lie in would refuse everything, and nobody would know why."""
    if limits is None:
        return
    if (limits.maximum is not None and limits.maximum < 0) or (limits.minimum is not None and limits.minimum > most):
        raise ValueError(f"{name} can never be met: nothing lies in it; write a range from 0 to {most}")
