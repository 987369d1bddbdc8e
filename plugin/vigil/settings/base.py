"""What every object of the settings is, and the kinds of values that several of them hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

WORDS = {"mib": "MiB"}
"""Words that are not written with one capital."""


def key_of(name: str) -> str:
    """The key in the file of an attribute: ``timeout_seconds`` is "TimeoutSeconds"."""
    return "".join(WORDS.get(word, word.capitalize()) for word in name.split("_"))


class Section(BaseModel):
    """An object of the settings: unknown keys are faults, so that a misspelt limit never passes as an absent one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=key_of, validate_by_name=True, validate_by_alias=True,
        protected_namespaces=(),
    )


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("relative")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$", max_length=253)]
ApplicationEntity = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
"""PS3.5 6.2, AE: 1 to 16 characters of ASCII without backslash and control characters, not only spaces."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,47}$")]
"""A name that stands in ids, logs and metrics."""
