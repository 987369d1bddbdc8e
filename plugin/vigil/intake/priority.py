"""How soon a study is wanted: what its request, the place of the patient, the site's own words and its sender say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from vigil.intake.header import ImageHeader
from vigil.intake.words import has_word
from vigil.settings.priority import PrioritySettings

STAT_PRIORITIES = frozenset({"STAT", "HIGH"})
"""Of Requested Procedure Priority (PS3.3 C.4.11) and of the retired Study Priority ID."""


class Stat(StrEnum):
    """What says that a study is STAT."""

    REQUEST = "request"
    LOCATION = "location"
    DESCRIPTION = "description"
    SENDER = "sender"


def stat_by(header: ImageHeader, rules: PrioritySettings, sender: Callable[[], str]) -> Stat | None:
    """None where nothing says so. ``sender``: the AE title that the image came from; asked for only where a rule names one."""
    if header.request_priority in STAT_PRIORITIES:
        return Stat.REQUEST
    if _says(header.whereabouts, rules.stat_locations):
        return Stat.LOCATION
    if _says(header.descriptions, rules.stat_descriptions):
        return Stat.DESCRIPTION
    if rules.stat_senders and sender() in rules.stat_senders:
        return Stat.SENDER
    return None


def _says(text: str, words: Iterable[str]) -> bool:
    return bool(text) and any(has_word(text, word) for word in words)
