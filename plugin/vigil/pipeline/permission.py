"""Asks the policy on behalf of an analysis: gathers the case that it decides on."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime, timedelta

from vigil.delivery.policy import Case, Decision, Policy, Stage
from vigil.domain.answer import Analysis, Answer, AnswerKind
from vigil.domain.errors import Category, VigilError
from vigil.inference.registry import InstalledModel
from vigil.pipeline.roster import model_of, site_of
from vigil.settings import Settings

SWITCHED_OFF = Decision(False, "the model was switched off", Category.POLICY)


class ModelMissing(VigilError):
    """The settings still want the model, and it is not there (a broken update, say): what it answered waits for it."""

    category = Category.MODEL_FILE_MISSING


class Permission:
    """The site's settings, the installed models and the watermark of the installation, applied to one analysis at a time."""

    def __init__(self, settings: Settings, models: Mapping[str, InstalledModel], installed_at: datetime) -> None:
        self._settings = settings
        self._models = models
        self._policy = Policy(installed_at, timedelta(hours=settings.max_study_age_hours))

    def to_store(self, analysis: Analysis, answer: Answer) -> Decision:
        case = self._case(analysis, answer)
        return SWITCHED_OFF if case is None else self._policy.may_store(case)

    def to_forward(self, analysis: Analysis, answer: Answer) -> Decision:
        case = self._case(analysis, answer)
        return SWITCHED_OFF if case is None else self._policy.may_forward(case)

    def to_alert(self, analysis: Analysis, answer: Answer, kinds: Set[AnswerKind], now: datetime, *,
                 alerted_before: bool) -> Decision:
        case = self._case(analysis, answer, alerted_before=alerted_before)
        return SWITCHED_OFF if case is None else self._policy.may_alert(case, kinds, now)

    def _case(self, analysis: Analysis, answer: Answer, *, alerted_before: bool = False) -> Case | None:
        """None where the model was switched off, or its version retired, since then. Raises :class:`ModelMissing`."""
        if analysis.model_id not in self._settings.models:
            return None
        model = model_of(self._models, analysis)
        if model is None or model.manifest is None:
            raise ModelMissing(f"the model '{analysis.model_id}' is not installed; install it again, and what waits goes on")
        site = site_of(self._settings, model)
        if site is None:
            return None
        stage = min(Stage(analysis.stage), Stage(site.stage), key=tuple(Stage).index)
        override = site.alert_override
        return Case(
            stage=stage, regulatory=model.manifest.regulatory, answer=answer, study_started=analysis.study_started_at,
            study_arrived=analysis.arrived_at or analysis.created_at, override=None if override is None else override.by,
            alerted_before=alerted_before)
