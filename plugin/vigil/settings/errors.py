"""What can be wrong with the settings: every fault of a file at once, each with its key, its value and its cure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vigil.domain.errors import Category, VigilError


@dataclass(frozen=True)
class Fault:
    """One fault. ``key``: the path of keys as the file writes them ("Vigil.Pacs.pacs.Port"). ``value``: what stands there, as
    text; None where nothing does, or where it may be a secret. ``allowed``: what may stand there, or what to do."""

    key: str
    allowed: str
    value: str | None = None

    def text(self) -> str:
        return f"{self.key}: {self.allowed}" if self.value is None else f"{self.key}: {self.value} is not allowed; {self.allowed}"


class SettingsInvalid(VigilError):
    """The configuration cannot be used. ``faults`` holds every fault that was found, in the order of the keys."""

    category = Category.SETTINGS_INVALID

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.key))
        many = f"{len(self.faults)} faults" if len(self.faults) > 1 else "1 fault"
        super().__init__(f"the settings have {many}: " + "; ".join(fault.text() for fault in self.faults))
