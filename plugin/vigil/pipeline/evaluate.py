"""What each model makes of a study as it is now: analyse, wait, refuse or leave alone. Idempotent, on any change.

The same content leads to the same analysis ids, so it does not matter how often, by whom or after which crash this is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from vigil.domain.answer import Analysis, InputInstance, Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category
from vigil.domain.gateway import Gateway, StudyRecord
from vigil.domain.identity import analysis_id, correlation_id, digest, inputs_digest
from vigil.inference.registry import InstalledModel
from vigil.intake.appraise import Appraisal, Verdict, appraise
from vigil.intake.header import ImageHeader
from vigil.intake.part10 import read_instance
from vigil.intake.study import HeaderCache, StudyContent, StudyReader
from vigil.pipeline.early import ASK_AGAIN, Standing, due_at, may_begin, standing
from vigil.pipeline.engine import Engine, Task
from vigil.pipeline.look import OF_A_PART
from vigil.pipeline.retract import OtherPatients, Retractor
from vigil.pipeline.roster import site_of
from vigil.pipeline.scanner import at_scanner
from vigil.pipeline.urgency import Triage
from vigil.records.audit import Audit
from vigil.records.decision import Decision
from vigil.records.entries import ENDED_UNANSWERED
from vigil.records.ledger import Ledger
from vigil.results import RENDERER_VERSION
from vigil.settings import ModelSettings, Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

LEAST_URGENT = 4
INFERENCE = "inference"
INFER = "infer"


class Evaluator:
    """Asks every installed model whether it wants a study, and promises the analyses."""

    def __init__(
        self, *, gateway: Gateway, ledger: Ledger, audit: Audit, settings: Settings, settings_sha256: str,
        models: Mapping[str, InstalledModel], engine: Engine, headers: HeaderCache, triage: Triage, clock: Clock, log: Log,
        metrics: Metrics, restored_at: datetime | None = None,
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._audit = audit
        self._settings = settings
        self._settings_sha256 = settings_sha256
        self._models = models
        self._engine = engine
        self._triage = triage
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._restored_at = restored_at
        self._other_patients = OtherPatients(
            gateway=gateway, ledger=ledger, retractor=Retractor(ledger, audit, clock), log=log)
        self._reader = StudyReader(gateway, ledger.own_sop_instance_uids, headers)

    def evaluate(self, study_id: str, *, told_stable: bool = False) -> None:
        """``told_stable``: Orthanc just said so itself, so its StableAge has passed; otherwise it is counted from the last image.
        Raises :class:`vigil.domain.errors.VigilError` where Orthanc or the ledger fail; asking again is safe."""
        now = self._clock.now()
        log = self._log.bind(correlation_id=correlation_id(study_id), study=study_id)
        study = self._gateway.study(study_id)
        content = None if study is None else self._reader.read(study_id)
        if study is None or content is None:
            self._ledger.mark_deleted(study_id, now)
            return
        known = self._ledger.study_state(study_id)
        fingerprint = digest(content.content_sha256, self._settings_sha256)
        if (known is not None and known.content_sha256 == fingerprint
                and (known.next_look_at is None or known.next_look_at > now)):
            self._ledger.mark_evaluated(study_id, now, fingerprint, known.next_look_at)
            return
        self._other_patients.look(study, (header.sop_instance_uid for header in content.headers))
        arrived = known.touched_at if known is not None and known.touched_at is not None else study.last_update
        if self._restored_at is not None:
            arrived = self._arrived_before(self._restored_at, content) or arrived
        looks: list[datetime] = []
        with self._metrics.stage("evaluate"):
            for model in most_urgent_first(tuple(self._models.values())):
                look = self._consider(model, study, content, now, arrived, told_stable, log)
                if look is not None:
                    looks.append(look)
        self._ledger.mark_evaluated(study_id, now, fingerprint, min(looks) if looks else None)

    def _arrived_before(self, restored_at: datetime, content: StudyContent) -> datetime | None:
        """When the newest image came, of a study that was here before the state was put back; None of any other. What is noted
        of it is later: at the start after the restore it was found anew, and results of ours that are stored in it touch it."""
        updated = [at for series in content.series_orthanc_ids if (at := self._gateway.series_updated_at(series)) is not None]
        newest = max(updated, default=None)
        return newest if newest is not None and newest <= restored_at else None

    def _consider(
        self, model: InstalledModel, study: StudyRecord, content: StudyContent, now: datetime, arrived: datetime,
        told_stable: bool, log: Log,
    ) -> datetime | None:
        """Returns when to look again, where the model waits for more."""
        site = site_of(self._settings, model)
        if site is None:
            return None
        manifest = model.manifest
        if manifest is None:
            self._decide(study, model, "refused", model.problem, None, {}, log)
            return None
        appraisal = appraise(content, manifest, now=now, quiet_since=arrived,
                             stable_age_s=0.0 if told_stable else self._settings.stable_age_s)
        site = at_scanner(site, appraisal.stack.headers if appraisal.stack is not None else ())
        verdict, reason = appraisal.verdict, appraisal.reason
        old = self._too_old(content, now)
        if old is not None and verdict is not Verdict.NOT_APPLICABLE:
            self._decide(study, model, "too-old", old, None, appraisal.evidence, log)
            return None
        if verdict is Verdict.WANTED and model.problem is not None:
            verdict, reason = Verdict.REFUSED, model.problem
        if verdict in (Verdict.NOT_APPLICABLE, Verdict.WAITING):
            self._decide(study, model, verdict.value, reason, None, appraisal.evidence, log)
            look = self._consider_early(model, site, study, content, appraisal, now, arrived, told_stable)
            return look or appraisal.look_again_at
        early, worth = self._early(model, site, study, appraisal)
        if early is not None and worth is Standing.RUNS:
            return now + ASK_AGAIN
        analysis = early if early is not None else self._begin(
            model, site, study, content, appraisal, reason if verdict is Verdict.REFUSED else None, now, arrived)
        turn = self._triage.turn(analysis)
        self._decide(study, model, verdict.value, reason, analysis.analysis_id, appraisal.evidence | turn.evidence, log)
        self._engine.enqueue(Task(INFER, analysis.analysis_id, INFERENCE, priority=turn.priority))
        return None

    def _consider_early(
        self, model: InstalledModel, site: ModelSettings, study: StudyRecord, content: StudyContent, appraisal: Appraisal,
        now: datetime, arrived: datetime, told_stable: bool,
    ) -> datetime | None:
        """Runs a model that waits, where a positive may leave already. Returns when to look again, where it is too soon."""
        if not site.early_positive or model.problem is not None:
            return None
        reason = may_begin(appraisal, self._ledger.analyses(study.orthanc_id), model.model_id)
        if reason is None:
            return None
        due = due_at(arrived, self._settings.stable_age_s)
        if now < due and not told_stable:
            return due if appraisal.look_again_at is None else min(due, appraisal.look_again_at)
        analysis = self._begin(model, site, study, content, appraisal, reason, now, arrived)
        priority = self._triage.turn(analysis).priority
        self._engine.enqueue(Task(INFER, analysis.analysis_id, INFERENCE, priority=priority))
        return None

    def _early(
        self, model: InstalledModel, site: ModelSettings, study: StudyRecord, appraisal: Appraisal
    ) -> tuple[Analysis | None, Standing]:
        """The early analysis of the very same images, and what it is worth; None where it is worth nothing."""
        of_model = [record for record in self._ledger.analyses(study.orthanc_id) if record.analysis.model_id == model.model_id]
        if not of_model or model.manifest is None or (
                appraisal.reason is not None and appraisal.reason.category not in OF_A_PART):
            return None, Standing.NONE
        worth = standing(of_model[-1], inputs_digest(appraisal.inputs), model.manifest.weights_sha256, site.operating_point,
                         complete=appraisal.reason is None)
        return (None if worth is Standing.NONE else of_model[-1].analysis), worth

    def _begin(
        self, model: InstalledModel, site: ModelSettings, study: StudyRecord, content: StudyContent, appraisal: Appraisal,
        refusal: Reason | None, now: datetime, arrived: datetime,
    ) -> Analysis:
        manifest = model.manifest
        assert manifest is not None  # noqa: S101 - _consider leaves before
        inputs_sha256 = inputs_digest(appraisal.inputs)
        for attempt in count(1):
            identity = analysis_id(
                orthanc_study_id=study.orthanc_id, model_id=model.model_id, inputs_sha256=inputs_sha256,
                weights_sha256=manifest.weights_sha256, operating_point=site.operating_point,
                renderer_version=RENDERER_VERSION, refusal="" if refusal is None else refusal.category.value, attempt=attempt)
            known = self._ledger.analysis(identity)
            # One that ended because the study was deleted, and sent again, or its model replaced: it is owed an answer.
            if known is None or known.state not in ENDED_UNANSWERED:
                break
        proposed = Analysis(
            analysis_id=identity, orthanc_study_id=study.orthanc_id, study_instance_uid=study.study_instance_uid,
            model_id=model.model_id, model_version=manifest.version, weights_sha256=manifest.weights_sha256,
            operating_point=site.operating_point, renderer_version=RENDERER_VERSION, settings_sha256=self._settings_sha256,
            inputs_sha256=inputs_sha256, inputs=appraisal.inputs, created_at=now,
            correlation_id=correlation_id(study.orthanc_id), stage=str(site.stage), refusal=refusal,
            arrived_at=arrived, study_started_at=self._started(content),
            reference_instance=_reference(appraisal.inputs, content.headers))
        held = self._ledger.begin_analysis(proposed, self._reference_head(proposed) if known is None else None)
        if known is None:
            self._audit.append("analysis-begun", held.analysis_id, actor="vigil", role="system", evidence={
                "study": held.orthanc_study_id, "model": held.model_id, "version": held.model_version,
                "weights_sha256": held.weights_sha256, "settings_sha256": held.settings_sha256,
                "inputs_sha256": held.inputs_sha256, "images": sum(item.images for item in held.inputs),
                "predecessor": held.predecessor_id,
                "refusal": None if refusal is None else refusal.category.value})
        return held

    def _reference_head(self, proposed: Analysis) -> bytes | None:
        """Kept where the answer may have to leave without the study."""
        if self._settings.deleted_studies != "deliver" or not proposed.reference_instance:
            return None
        dicom = self._gateway.dicom(proposed.reference_instance)
        return None if dicom is None else read_instance(dicom).head

    def _too_old(self, content: StudyContent, now: datetime) -> Reason | None:
        """An archive, a restored backup or a fetched prior sets nothing off (law 6)."""
        limit = self._settings.max_study_age_hours
        started = self._started(content)
        if started is None or now - started <= timedelta(hours=limit):
            return None
        return Reason(Category.STUDY_TOO_OLD,
                      f"the study is older than {limit:g} hours (MaxStudyAgeHours); nothing old is analysed by itself")

    def _started(self, content: StudyContent) -> datetime | None:
        return max((moment for header in content.headers
                    if (moment := study_time(header.study_started, self._settings.time_zone)) is not None), default=None)

    def _decide(
        self, study: StudyRecord, model: InstalledModel, verdict: str, reason: Reason | None, analysis: str | None,
        evidence: dict[str, object], log: Log,
    ) -> None:
        version = model.manifest.version if model.manifest is not None else ""
        self._ledger.record_decision(Decision(
            study_id=study.orthanc_id, model_id=model.model_id, model_version=version, at=self._clock.now(), verdict=verdict,
            reason=reason, analysis_id=analysis, evidence=evidence))
        self._metrics.decided(model.model_id, verdict)
        log.info("decided", model=model.model_id, verdict=verdict, analysis=analysis,
                 category=None if reason is None else reason.category.value)


def most_urgent_first(models: tuple[InstalledModel, ...]) -> tuple[InstalledModel, ...]:
    """By the ACR category of what they find, otherwise as they stand: what may be an emergency is analysed first."""
    def category(model: InstalledModel) -> int:
        found = None if model.manifest is None else model.manifest.acr_category
        return found or LEAST_URGENT

    return tuple(sorted(models, key=category))


def _reference(inputs: tuple[InputInstance, ...], headers: tuple[ImageHeader, ...]) -> str:
    """The image whose patient and study the results copy: the first input, else the first image by UID, so that it is the same
    whatever the order of arrival."""
    if inputs:
        return inputs[0].orthanc_id
    return min(headers, key=lambda header: header.sop_instance_uid).orthanc_id if headers else ""


def study_time(written: str, time_zone: str) -> datetime | None:
    """Study Date and Study Time as the header writes them (YYYYMMDD, then HHMMSS as far as given), in the site's zone."""
    for length, pattern in ((14, "%Y%m%d%H%M%S"), (12, "%Y%m%d%H%M"), (8, "%Y%m%d")):
        if len(written) >= length:
            try:
                return datetime.strptime(written[:length], pattern).replace(tzinfo=ZoneInfo(time_zone))
            except ValueError:
                continue
    return None
