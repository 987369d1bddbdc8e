"""One analysis: pixels, network, answer, result objects; frozen together before anything is shown to anyone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from pydicom import Dataset

from vigil.domain.answer import Analysis, Answer, AnswerKind, Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category, Stopping
from vigil.domain.gateway import Gateway, GatewayError
from vigil.domain.manifest import Manifest
from vigil.imaging.arrived import ArrivedImages
from vigil.inference.quarantine import CrashMarker
from vigil.inference.registry import InstalledModel
from vigil.inference.runtime import Runtime
from vigil.intake.header import read_dataset
from vigil.intake.study import HeaderCache
from vigil.pipeline.engine import Task, Verdict
from vigil.pipeline.look import Looked, Looker, is_early, no_answer
from vigil.pipeline.reference import References
from vigil.pipeline.retry import Backoff
from vigil.records.audit import Audit
from vigil.records.entries import UNFINISHED_ANALYSIS
from vigil.records.errors import StateUnusable
from vigil.records.ledger import Ledger
from vigil.results.make import make_results
from vigil.results.objects import ResultObject, Role
from vigil.results.options import ResultOptions
from vigil.results.request import DeviceIdentity, PredecessorReport, ResultRequest
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

STORE = "store"
STORAGE = "storage"

SEEN_BY_SOMEBODY = ("answered", "stored")
"""States of an analysis whose results lie in Orthanc, or soon will."""


class Analyst:
    """The worker of the inference queue."""

    def __init__(
        self, *, gateway: Gateway, ledger: Ledger, audit: Audit, references: References, models: Mapping[str, InstalledModel],
        runtime: Runtime, headers: HeaderCache, images: ArrivedImages, reading: CrashMarker, device: DeviceIdentity,
        options: Callable[[str], ResultOptions], backoff: Backoff, clock: Clock, stop: threading.Event, log: Log,
        metrics: Metrics,
    ) -> None:
        self._ledger = ledger
        self._audit = audit
        self._references = references
        self._models = models
        self._runtime = runtime
        self._images = images
        self._looker = Looker(
            gateway=gateway, models=models, runtime=runtime, headers=headers, images=images, reading=reading, stop=stop,
            metrics=metrics)
        self._device = device
        self._options = options
        self._backoff = backoff
        self._clock = clock
        self._log = log
        self._metrics = metrics

    def __call__(self, subject: str, attempt: int) -> Verdict:
        """``subject``: an analysis id. At this edge every error becomes a named category (architecture: style)."""
        record = self._ledger.analysis(subject)
        if record is None:
            return Verdict()
        analysis = record.analysis
        log = self._log.bind(correlation_id=analysis.correlation_id, analysis=subject, model=analysis.model_id)
        if record.answer is not None:
            return self._follow(analysis)
        if record.state == "ended-early":
            return Verdict()
        try:
            if not self._references.lets_go_on(analysis):
                return self._end_deleted(analysis, log)
            if self._replaced(analysis):
                return self._end_replaced(analysis, log)
            self._ledger.set_analysis_state(subject, "running")
            looked = self._looker.look(analysis, log)
            if is_early(analysis) and self._says_nothing(analysis, looked):
                return self._end_early(analysis, log)
            objects = self._render(analysis, looked, log)
            if objects is None:
                return self._end_deleted(analysis, log)
            answer, made = objects
            self._ledger.freeze_answer(subject, answer, made)
        except Stopping:
            return Verdict(retry_after_s=1.0)
        except (GatewayError, StateUnusable) as error:
            if self._is_lost(analysis):
                return self._end_deleted(analysis, log)
            self._ledger.set_analysis_state(subject, "pending", Reason(error.category, error.message))
            self._metrics.error("pipeline", error.category.value)
            log.warning("analysis-waits", category=error.category.value, attempt=attempt)
            return Verdict(retry_after_s=self._backoff.delay_s(attempt))
        self._forget_images(analysis)
        self._metrics.answered(analysis.model_id, answer.kind.value)
        self._audit.append("answered", subject, actor="vigil", role="system", evidence={
            "kind": answer.kind.value, "value": None if answer.measured is None else answer.measured.value,
            "threshold": None if answer.criterion is None else answer.criterion.threshold,
            "reason": None if answer.reason is None else answer.reason.category.value, "objects": len(made)})
        log.info("answered", kind=answer.kind.value, objects=len(made))
        return self._follow(analysis)

    def _follow(self, analysis: Analysis) -> Verdict:
        if analysis.stage == "shadow":
            self._ledger.set_analysis_state(analysis.analysis_id, "shadow")
            self._ledger.purge_object_bytes(analysis.analysis_id)  # they are sent to nobody, also when the model goes live
            return Verdict()
        return Verdict(follow=(Task(STORE, analysis.analysis_id, STORAGE),))

    def _says_nothing(self, analysis: Analysis, looked: Looked) -> bool:
        """Early, only a positive may leave, and only while nothing newer is under way."""
        record = self._ledger.analysis(analysis.analysis_id)
        return looked.answer.kind is not AnswerKind.POSITIVE or record is None or record.superseded_by is not None

    def _end_early(self, analysis: Analysis, log: Log) -> Verdict:
        """Nothing is shown, sent or stored: the study waits on, and the last word is made when it is complete or given up."""
        self._ledger.set_analysis_state(analysis.analysis_id, "ended-early", analysis.refusal)
        self._ledger.purge_object_bytes(analysis.analysis_id)
        self._audit.append("ended-early", analysis.analysis_id, actor="vigil", role="system", evidence={})
        log.info("ended-early")
        return Verdict()

    def _render(self, analysis: Analysis, looked: Looked, log: Log) -> tuple[Answer, tuple[ResultObject, ...]] | None:
        """The answer and its objects. An answer that cannot be drawn becomes "failed", which can. None: the study is gone."""
        reference = self._references.head(analysis)
        if reference is None:
            if not analysis.reference_instance:
                return looked.answer, ()
            return None
        model = self._models.get(analysis.model_id)
        if model is None or model.manifest is None:
            return looked.answer, ()
        header = read_dataset(reference)
        try:
            with self._metrics.stage("render"):
                return looked.answer, make_results(self._request(analysis, looked, header, model.manifest))
        except Exception as error:  # noqa: BLE001 - the workflow's edge: what cannot be drawn is said to have failed
            self._metrics.error("results", Category.RESULT_NOT_MADE.value)
            log.error("result-not-made", exception=error)
        failed = Looked(no_answer(Reason(
            Category.RESULT_NOT_MADE, "the result objects could not be made; the answer is not shown")))
        try:
            return failed.answer, make_results(self._request(analysis, failed, header, model.manifest))
        except Exception as error:  # noqa: BLE001 - the source is so broken that nothing can be attached to it; the ledger says so
            log.error("result-not-made", exception=error)
            return failed.answer, ()

    def _request(self, analysis: Analysis, looked: Looked, reference: Dataset, manifest: Manifest) -> ResultRequest:
        return ResultRequest(
            analysis=analysis, answer=looked.answer, manifest=manifest, reference=reference, sources=looked.sources,
            voxels=looked.voxels, masks=looked.masks, boxes=looked.boxes, frames=looked.frames,
            further_sources=looked.further_sources,
            device=replace(self._device, runtime=looked.runtime or self._runtime.describe(analysis.model_id)),
            predecessor=self._predecessor(analysis), options=self._options(analysis.model_id))

    def _forget_images(self, analysis: Analysis) -> None:
        """Unless another model waits for them: they take half the memory of a volume."""
        others = {item.orthanc_id for record in self._ledger.analyses(analysis.orthanc_study_id)
                  if record.answer is None and record.state in UNFINISHED_ANALYSIS for item in record.analysis.inputs}
        self._images.forget({item.orthanc_id for item in analysis.inputs} - others)

    def _predecessor(self, analysis: Analysis) -> PredecessorReport | None:
        """The newest earlier report that people may have seen: not one of a shadow, or of a study that was deleted too soon."""
        before = analysis.predecessor_id
        while before is not None:
            record = self._ledger.analysis(before)
            if record is None or record.state in SEEN_BY_SOMEBODY or any(
                    item.state == "delivered" for item in self._ledger.deliveries(before)):
                break
            before = record.analysis.predecessor_id
        if before is None:
            return None
        for item in self._ledger.objects(before):
            if item.role == Role.REPORT:
                return PredecessorReport(
                    sop_class_uid=item.sop_class_uid, sop_instance_uid=item.sop_instance_uid,
                    series_instance_uid=item.series_instance_uid, study_instance_uid=analysis.study_instance_uid)
        return None

    def _is_lost(self, analysis: Analysis) -> bool:
        try:
            return not self._references.lets_go_on(analysis)
        except GatewayError:
            return False

    def _end_deleted(self, analysis: Analysis, log: Log) -> Verdict:
        end_deleted(self._ledger, self._audit, analysis, self._clock)
        log.info("study-deleted")
        return Verdict()

    def _replaced(self, analysis: Analysis) -> bool:
        """Whether another version stands in the place of the one that was to answer."""
        model = self._models.get(analysis.model_id)
        if model is None:
            return "@" in analysis.model_id  # it ran beside the one in use, and does no more
        return analysis.refusal is None and model.manifest is not None and (
            model.manifest.version, model.manifest.weights_sha256) != (analysis.model_version, analysis.weights_sha256)

    def _end_replaced(self, analysis: Analysis, log: Log) -> Verdict:
        """It would be another model's answer under this one's name: the study is looked at again, by the version in use."""
        reason = Reason(Category.MODEL_NOT_LOADED, f"version {analysis.model_version} was replaced before it had answered")
        self._ledger.set_analysis_state(analysis.analysis_id, "ended-model-replaced", reason)
        self._audit.append("ended-model-replaced", analysis.analysis_id, actor="vigil", role="system", evidence={})
        self._ledger.look_again(analysis.orthanc_study_id, self._clock.now())
        log.info("model-replaced")
        return Verdict()


def end_deleted(ledger: Ledger, audit: Audit, analysis: Analysis, clock: Clock, *, delivered: bool = False) -> None:
    """The study is gone: the analysis ends as such, and nothing brings the study back. ``delivered``: its results leave the house
    all the same."""
    reason = Reason(Category.STUDY_DELETED, "the study was deleted from Orthanc while it was analysed" + (
        "; its results are sent from here (DeletedStudies)" if delivered else ""))
    ledger.set_analysis_state(analysis.analysis_id, "ended-study-deleted", reason)
    ledger.mark_deleted(analysis.orthanc_study_id, clock.now())
    audit.append("ended-study-deleted", analysis.analysis_id, actor="vigil", role="system", evidence={
        "delivered": True} if delivered else {})
