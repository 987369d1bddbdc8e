"""Names of persons: from DICOM PN (PS3.5 6.2.1) to HL7 XPN and XCN."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.valuerep import PersonName

from vigil.delivery.hl7.escape import encodable, escape, one_line

REPRESENTATIONS = ("A", "I", "P")
"""XPN-8 (table 0465) of DICOM's three groups: alphabetic, ideographic, phonetic."""


def patient_name(name: PersonName | str | None, codec: str) -> tuple[str, list[str]]:
    """PID-5, one repetition for each group of the name, and warnings.

    PN is family^given^middle^prefix^suffix, XPN is family^given^second^suffix^prefix: the last two change places. A
    group that the receiver's character set cannot write is left out while another one can be written.
    """
    groups, warnings = list(_groups(name)), []
    writable = [item for item in groups if all(encodable(part, codec) for part in item[1])]
    if groups and writable and len(writable) < len(groups):
        warnings.append("PID-5: a form of the name that the receiver's character set cannot write was left out")
        groups = writable
    if any(len(parts) > 5 for _, parts in groups):
        warnings.append("PID-5: the name has more than five components; the others were left out")
    if not groups:
        return "^^^^^^U", ["PID-5: the images give no name"]
    return "~".join(_xpn(parts, representation) for representation, parts in groups), warnings


def physician(name: PersonName | str | None, codec: str) -> str:
    """An XCN of the name alone (identifier empty), from its first group that can be written."""
    for _, parts in _groups(name):
        if all(encodable(part, codec) for part in parts):
            family, given, middle, prefix, suffix = (escape(part) for part in _five(parts))
            return "^".join(("", family, given, middle, suffix, prefix)).rstrip("^")
    return ""


def _groups(name: PersonName | str | None) -> Iterator[tuple[str, list[str]]]:
    if name is None:
        return
    person = name if isinstance(name, PersonName) else PersonName(name)
    for representation, group in zip(REPRESENTATIONS, person.components, strict=False):
        parts = [one_line(part) for part in str(group).split("^")]
        if any(parts):
            yield representation, parts


def _five(parts: list[str]) -> list[str]:
    return (parts + [""] * 5)[:5]


def _xpn(parts: list[str], representation: str) -> str:
    family, given, middle, prefix, suffix = (escape(part) for part in _five(parts))
    return "^".join((family, given, middle, suffix, prefix, "", "L", representation))
