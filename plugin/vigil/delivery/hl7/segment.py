"""Segments, fields and components of HL7 v2 as text, and the lengths that the standard sets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from vigil.delivery.hl7.escape import escape, fit, one_line
from vigil.domain.concepts import Code

CODING_SYSTEMS = {"RADLEX": "RadLex", "SRT": "SNM3"}
"""DICOM's coding scheme designators where HL7 table 0396 writes another; the rest (SCT, LN, DCM, UCUM, 99…) agree."""
TEXT_LIMIT = 199
NO_OTHER_NAMES: Mapping[str, str] = MappingProxyType({})


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment of fields that are already escaped, by their number. For MSH, field 2 is the first after the name."""
    first = 2 if name == "MSH" else 1
    last = max((number for number, value in fields.items() if value), default=first)
    return "|".join([name, *(fields.get(number, "") for number in range(first, last + 1))])


def components(*parts: str, separator: str = "^") -> str:
    """Escaped parts joined, without empty ones at the end."""
    return separator.join(escape(one_line(part)) for part in parts).rstrip(separator)


def designator(text: str, separator: str = "^") -> str:
    """A hierarchic designator (HD) that settings write as ``NAME`` or ``NAME^universal id^type``."""
    return components(*text.replace("&", "^").split("^"), separator=separator)


def coded(code: Code, alternate: Code | None = None, systems: Mapping[str, str] = NO_OTHER_NAMES) -> str:
    """A CWE or CE: identifier, text and coding system, then the alternate. ``systems``: what this receiver calls a coding
    system, by its usual name (or DICOM's)."""
    parts: list[str] = []
    for each in (code,) if alternate is None else (code, alternate):
        usual = CODING_SYSTEMS.get(each.scheme, each.scheme)
        parts += [each.value, fit(each.meaning, TEXT_LIMIT), systems.get(each.scheme, systems.get(usual, usual))]
    return components(*parts)


def timestamp(moment: datetime, milliseconds: bool = False) -> str:
    """TS: with the offset from UTC, where it is known."""
    text = moment.strftime("%Y%m%d%H%M%S")
    if milliseconds:
        text += f".{moment.microsecond // 1000:03d}"
    return text + moment.strftime("%z")
