"""One thing that was looked at, and what was found. Holds no secret and nothing of a patient. The standard library alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Check:
    """``subject``: the kind of thing, a stable word for programs. ``where``: which one. ``remedy``: what to do; "" where all is
    well."""

    subject: str
    where: str
    level: Level
    what: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {"subject": self.subject, "where": self.where, "level": self.level.value, "what": self.what, "remedy": self.remedy}


def good(subject: str, where: str, what: str) -> Check:
    return Check(subject, where, Level.GOOD, what)


def warning(subject: str, where: str, what: str, remedy: str) -> Check:
    return Check(subject, where, Level.WARNING, what, remedy)


def error(subject: str, where: str, what: str, remedy: str) -> Check:
    return Check(subject, where, Level.ERROR, what, remedy)


def exit_code(checks: Sequence[Check]) -> int:
    """0: all is well. 1: something should be looked at. 2: something does not work."""
    levels = {check.level for check in checks}
    return 2 if Level.ERROR in levels else 1 if Level.WARNING in levels else 0


def in_lines(checks: Sequence[Check]) -> str:
    """For a terminal: what is wrong last, where the eye is, with its remedy below it."""
    order = tuple(Level)
    lines = []
    for check in sorted(checks, key=lambda check: order.index(check.level)):
        lines.append(f"{check.level.value:<8}{check.subject:<13}{check.where}: {check.what}")
        if check.remedy:
            lines.append(f"{'':<8}{'':<13}-> {check.remedy}")
    counted = {level: sum(check.level is level for check in checks) for level in order}
    lines += ["", f"{counted[Level.GOOD]} good, {counted[Level.WARNING]} warnings, {counted[Level.ERROR]} errors"]
    return "\n".join(lines)
