"""From pydantic's errors to what a person can act on: the key as the file writes it, the value, what is allowed."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from vigil.settings.errors import Fault

SECRET = re.compile(r"password|passphrase|secret|token|credential|apikey|privatekey", re.IGNORECASE)
CREDENTIALS = re.compile(r"://[^/]*@")
"""A user and a password in an address."""
LONGEST_VALUE = 60


def faults_of(error: ValidationError, model: type[BaseModel], prefix: str) -> list[Fault]:
    """Every fault of a validation, with the path of its key below ``prefix``."""
    details = error.errors(include_url=False)
    below = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    # A list whose entries are wrong is also "too short" to pydantic: only its entries are worth telling.
    return [_fault(detail, model, prefix) for detail in details
            if not (detail["type"] == "too_short" and detail["loc"] in below)]


def _fault(detail: ErrorDetails, model: type[BaseModel], prefix: str) -> Fault:
    place = [part for part in detail["loc"] if part != "[key]"]
    path = ".".join([prefix, *map(str, place)]) if prefix else ".".join(map(str, place))
    kind = detail["type"]
    if kind == "json_invalid":
        return Fault(path or "the configuration", "holds text that is no Unicode")
    if kind == "extra_forbidden":
        return Fault(path, _unknown(str(place[-1]), _section_at(model, place[:-1])))
    allowed = _allowed(model, place)
    if kind == "missing":
        return Fault(path, f"is missing; give {allowed}")
    if "[key]" in detail["loc"]:
        return Fault(path, "a name has 1 to 48 letters, digits, '_', '.' or '-', and begins with a letter or digit")
    if kind == "value_error" and isinstance(detail["input"], Mapping):
        return Fault(path, detail["msg"].removeprefix("Value error, "))
    secret = (any(SECRET.search(str(part)) for part in place) or _annotation_at(model, place) is SecretStr
              or CREDENTIALS.search(str(detail["input"])) is not None)
    return Fault(path, f"give {allowed}", "this value" if secret else _shown(detail["input"]))


def _shown(value: object) -> str:
    """A value as the file writes it. Of an object or a list only that it is one: a secret may be inside."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _unknown(key: str, section: type[BaseModel] | None) -> str:
    known = [] if section is None else [field.alias or name for name, field in section.model_fields.items()]
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(key.lower(), lower, n=1, cutoff=0.6)
    if near:
        return f'is not a known key; did you mean "{lower[near[0]]}"?'
    return "is not a known key; known are " + ", ".join(known)


def _allowed(model: type[BaseModel], place: Sequence[int | str]) -> str:
    """The description of the field at this place, or of the nearest field above it."""
    for end in range(len(place), 0, -1):
        section = _section_at(model, place[: end - 1])
        for name, field in (section.model_fields if section else {}).items():
            if place[end - 1] in (name, field.alias) and field.description:
                return field.description
        if section is None and isinstance(entry := _annotation_at(model, place[:end]), type) and issubclass(entry, BaseModel):
            keys = {field.alias or name: field.is_required() for name, field in entry.model_fields.items()}
            return "an object with " + ", ".join([key for key in keys if keys[key]] or list(keys))
    return "an object"


def _section_at(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel] | None:
    found = _annotation_at(model, place)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _annotation_at(model: type[BaseModel], place: Sequence[int | str]) -> Any:
    """The type that stands at a place: through objects, maps and lists."""
    current: Any = model
    for part in place:
        if isinstance(current, type) and issubclass(current, BaseModel):
            fields = {field.alias or name: field for name, field in current.model_fields.items()}
            current = _bare(fields[str(part)].annotation) if str(part) in fields else None
        elif get_origin(current) is not None and get_args(current):
            last = [entry for entry in get_args(current) if entry is not Ellipsis][-1]
            current = _bare(last)
        else:
            return None
    return current


def _bare(annotation: Any) -> Any:
    """A type without its constraints and without "or null"."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kept = [entry for entry in get_args(annotation) if entry is not NoneType]
        return _bare(kept[0]) if len(kept) == 1 else annotation
    return annotation
