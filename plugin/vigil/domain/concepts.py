"""Coded concepts and units: the triple of DICOM PS3.3 8.8 (code value, coding scheme designator, code meaning)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Code:
    """A coded concept, for example ``Code("1386000", "SCT", "Intracranial hemorrhage")``. It is the same whatever it is called: a
    newer version of a package may word it anew."""

    value: str
    scheme: str
    meaning: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.meaning} ({self.value}, {self.scheme})"


def ucum(value: str, meaning: str) -> Code:
    """A unit of measurement in UCUM (https://ucum.org), for example ``ucum("mL", "milliliter")``."""
    return Code(value, "UCUM", meaning)
