"""What every part of the settings stands on: the section, and the values that more than one of them takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vigil.domain.answer import AnswerKind

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


def absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("relative")
    return path


def known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("unknown time zone") from error
    return name


def without_credentials(link: str) -> str:
    if not re.fullmatch(r"https?://[^\s@|^~\\]+", link):
        raise ValueError("not a plain address")
    return link


def each_once(kinds: tuple[AnswerKind, ...]) -> tuple[AnswerKind, ...]:
    if len(set(kinds)) != len(kinds):
        raise ValueError("named twice")
    return kinds


AbsolutePath = Annotated[Path, AfterValidator(absolute)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$", max_length=253)]
ApplicationEntity = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
"""PS3.5 6.2, AE: 1 to 16 characters of ASCII without backslash and control characters, not only spaces."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,47}$")]
"""A name that stands in ids, logs and metrics."""
HierarchicDesignator = Annotated[str, Field(pattern=r"^[^|~\\&\x00-\x1f\x7f]{0,180}$")]
"""Text of an MSH application or facility: components (^) are allowed, the other delimiters are not."""
Component = Annotated[str, Field(pattern=r"^[^|^~\\&\x00-\x1f\x7f]{1,180}$")]
