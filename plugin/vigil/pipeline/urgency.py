"""Whose turn is next: studies that are STAT and models that look for emergencies first, and nobody waits for ever.

An analysis has one number from its first moment on: when its images arrived, plus eight hours for each rank. The lowest
goes first. So among equals the oldest is first, a new STAT passes all that wait, and a routine study that has waited for a day
is on a par with the most urgent that arrives now. The number is that of the images, the settings and the manifest, so that
a task that was lost, in a kill too, is promised again with the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from vigil.domain.answer import Analysis
from vigil.domain.gateway import Gateway
from vigil.inference.registry import InstalledModel
from vigil.intake.errors import UnreadableInstance
from vigil.intake.header import ImageHeader, read_header
from vigil.intake.priority import Stat, stat_by
from vigil.intake.study import HeaderCache
from vigil.pipeline.reference import References
from vigil.pipeline.roster import site_of
from vigil.settings import Settings

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
A_RANK_IS_WORTH = timedelta(hours=8)
"""Of waiting."""
HIGHEST_NUMBER = 2**31 - 1
"""Of a priority in the workflow store; in seconds from EPOCH that is the year 2088."""
CATEGORY_OF_AN_EMERGENCY = 1
"""ACR: to be told within minutes."""


class Urgency(IntEnum):
    STAT_EMERGENCY = 0
    STAT = 1
    EMERGENCY = 2
    ROUTINE = 3

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True)
class Turn:
    """``priority``: of the task, the lowest first. ``stat``: what says that the study is STAT, None where nothing does."""

    urgency: Urgency
    stat: Stat | None
    priority: int

    @property
    def evidence(self) -> dict[str, object]:
        """For the ledger."""
        return {"urgency": self.urgency.word, "stat": None if self.stat is None else self.stat.value}


class Triage:
    """Raises what the gateway raises."""

    def __init__(self, *, gateway: Gateway, references: References, headers: HeaderCache, models: Mapping[str, InstalledModel],
                 settings: Settings) -> None:
        self._gateway = gateway
        self._references = references
        self._headers = headers
        self._models = models
        self._settings = settings

    def turn(self, analysis: Analysis) -> Turn:
        """By the reference image of the analysis: request and place are the same in all images of a study."""
        header = self._header(analysis)
        stat = None if header is None else stat_by(
            header, self._settings.priority, lambda: self._gateway.sender(analysis.reference_instance))
        model = self._models.get(analysis.model_id)
        emergency = model is not None and is_emergency(model, self._settings)
        urgency = {(True, True): Urgency.STAT_EMERGENCY, (True, False): Urgency.STAT,
                   (False, True): Urgency.EMERGENCY, (False, False): Urgency.ROUTINE}[stat is not None, emergency]
        return Turn(urgency, stat, _number(analysis.arrived_at or analysis.created_at, urgency))

    def _header(self, analysis: Analysis) -> ImageHeader | None:
        reference = analysis.reference_instance
        content_sha256 = next((item.content_sha256 for item in analysis.inputs if item.orthanc_id == reference), "")
        known = self._headers.of_content(reference, content_sha256)
        if known is not None:
            return known
        head = self._references.head(analysis)
        try:
            return None if head is None else read_header(reference, head)
        except UnreadableInstance:
            return None


def is_emergency(model: InstalledModel, settings: Settings) -> bool:
    """Whether minutes count in what a model finds: as the site says, else by its manifest. Nobody waits for what runs in
    silence."""
    site = site_of(settings, model)
    if site is None or site.stage != "live":
        return False
    if site.emergency is not None:
        return site.emergency
    return model.manifest is not None and model.manifest.acr_category == CATEGORY_OF_AN_EMERGENCY


def _number(arrived: datetime, urgency: Urgency) -> int:
    seconds = (arrived + urgency * A_RANK_IS_WORTH - EPOCH).total_seconds()
    return min(max(1, int(seconds)), HIGHEST_NUMBER)
