"""What makes a study urgent at this site, beside what its own request says."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vigil.settings.base import ApplicationEntity, Section

STAT_LOCATIONS = (
    "emergency", "trauma", "resus", "resuscitation", "stroke unit", "shock room", "notaufnahme", "schockraum", "urgences",
    "urgencias", "pronto soccorso",
)
MOST_RULES = 100
Word = Annotated[str, Field(min_length=2, max_length=64)]


class PrioritySettings(Section):
    """A study is STAT where one of these agrees. A word stands whole in the text, in capitals or not."""

    stat_locations: tuple[Word, ...] = Field(
        default=STAT_LOCATIONS, max_length=MOST_RULES,
        description="a list of words, each of 2 to 64 characters, of a patient's location, department or requesting service")
    stat_descriptions: tuple[Word, ...] = Field(
        default=(), max_length=MOST_RULES,
        description="a list of words, each of 2 to 64 characters, of a study, series or protocol description")
    stat_senders: tuple[ApplicationEntity, ...] = Field(
        default=(), max_length=MOST_RULES, description="a list of AE titles of nodes that send")
