"""The ground of every part of a manifest: unknown keys are errors, so that a misspelt limit never passes as an absent one."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vigil.domain.concepts import Code


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,47}$")]
"""What the author calls a region, an output or a measurement: it stands in results."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class CodeEntry(Strict):
    """A code of the manifest: value, scheme and meaning, as DICOM writes them."""

    value: str = Field(min_length=1, max_length=16)
    scheme: str = Field(min_length=1, max_length=16)
    meaning: str = Field(min_length=1, max_length=64)

    def code(self) -> Code:
        return Code(self.value, self.scheme, self.meaning)


class WhenUnknown(StrEnum):
    """What to do where the header does not say: refuse (the default) or accept."""

    REFUSE = "refuse"
    ACCEPT = "accept"


class AnyOf(Strict):
    """Accepted values of a text of the header, in any case of letters."""

    any_of: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)
    unknown: WhenUnknown = WhenUnknown.REFUSE


class Range(Strict):
    """A closed range; the unit is in the name of the key that holds it."""

    minimum: Finite | None = None
    maximum: Finite | None = None
    unknown: WhenUnknown = WhenUnknown.REFUSE

    @model_validator(mode="after")
    def _possible(self) -> Range:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self
