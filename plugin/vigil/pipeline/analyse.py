"""One analysis: pixels, network, answer, result objects; frozen together before anything is shown to anyone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from vigil.domain.answer import Analysis, Answer, AnswerKind, InputInstance, Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category, Stopping, VigilError
from vigil.domain.gateway import Gateway, GatewayError
from vigil.domain.manifest import Manifest, SeriesInput
from vigil.imaging.arrived import ArrivedImages
from vigil.imaging.errors import ImageGone, ImageReplaced, ImagingError
from vigil.imaging.load import LoadedStack, load_stack
from vigil.imaging.polarity import low_is_dark
from vigil.imaging.straighten import straighten
from vigil.imaging.unfit import refuse_unfit
from vigil.imaging.volume import Volume
from vigil.inference.quarantine import CrashMarker
from vigil.inference.registry import InstalledModel
from vigil.inference.runtime import Runtime
from vigil.intake.errors import UnreadableInstance
from vigil.intake.flat import flat_stack
from vigil.intake.frames import images_of
from vigil.intake.header import ImageHeader, read_dataset, read_header
from vigil.intake.selection import suffices
from vigil.intake.stack import SliceStack, build_stack
from vigil.intake.study import HeaderCache
from vigil.pipeline.engine import Task, Verdict
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

REFUSED_BY_MODEL = frozenset({
    Category.MODEL_FILE_MISSING, Category.MODEL_HASH_MISMATCH, Category.MODEL_INVALID, Category.MODEL_NOT_LOADED,
    Category.MODEL_NOT_APPROVED, Category.MODEL_QUARANTINED, Category.MODEL_PAUSED, Category.INFERENCE_FAILED,
    Category.TIME_LIMIT, Category.OUT_OF_MEMORY, Category.RESULT_NOT_MADE, Category.INTERNAL,
})
"""Causes that lie with us: the answer is "failed". Every other cause lies with what arrived: "not analysed"."""

OF_A_PART = frozenset({Category.INCOMPLETE, Category.SLICE_MISSING})
"""Refusals of a study that was given up, of which a part may be positive. (Of one that still waits: STILL_ARRIVING.)"""

SEEN_BY_SOMEBODY = ("answered", "stored")
"""States of an analysis whose results lie in Orthanc, or soon will."""


@dataclass(frozen=True, eq=False)
class Looked:
    """What was seen of the study: the answer, and what is needed to draw it."""

    answer: Answer
    sources: tuple[Dataset, ...] = ()
    voxels: NDArray[np.float32] | None = None
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    frames: tuple[int, ...] = ()


class Analyst:
    """The worker of the inference queue."""

    def __init__(
        self, *, gateway: Gateway, ledger: Ledger, audit: Audit, references: References, models: Mapping[str, InstalledModel],
        runtime: Runtime, headers: HeaderCache, images: ArrivedImages, reading: CrashMarker, device: DeviceIdentity,
        options: Callable[[str], ResultOptions], backoff: Backoff, clock: Clock, stop: threading.Event, log: Log,
        metrics: Metrics,
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._audit = audit
        self._references = references
        self._models = models
        self._runtime = runtime
        self._headers = headers
        self._images = images
        self._reading = reading
        self._device = device
        self._options = options
        self._backoff = backoff
        self._clock = clock
        self._stop = stop
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
            looked = self._look(analysis, log)
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

    def _look(self, analysis: Analysis, log: Log) -> Looked:
        if analysis.refusal is None:
            return self._infer_or_say_why_not(analysis, log)
        if self._may_be_positive(analysis, analysis.refusal):
            looked = self._infer_or_say_why_not(analysis, log)
            if looked.answer.kind is AnswerKind.POSITIVE:
                note = (f"Early answer, replaced if more images arrive: {analysis.refusal.text}." if is_early(analysis)
                        else f"Only a part of the study was analysed: {analysis.refusal.text}.")
                return replace(looked, answer=replace(looked.answer, notes=(*looked.answer.notes, note)))
        return Looked(_no_answer(analysis.refusal))

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

    def _may_be_positive(self, analysis: Analysis, refusal: Reason) -> bool:
        """Whether enough of a study that was given up, or still waits, is here for the model to be run: a positive may leave, and
        no other answer (law 2)."""
        model = self._models.get(analysis.model_id)
        if refusal.category not in {*OF_A_PART, Category.STILL_ARRIVING}:
            return False
        if model is None or model.manifest is None or model.problem is not None:
            return False
        try:
            headers = [image for item in analysis.inputs for image in images_of(self._header(item), item.frames)]
        except (ImagingError, UnreadableInstance):
            return False
        return suffices(headers, model.manifest.scope, model.manifest.inputs[0])

    def _infer_or_say_why_not(self, analysis: Analysis, log: Log) -> Looked:
        try:
            return self._infer(analysis)
        except (Stopping, GatewayError):
            raise
        except VigilError as error:
            self._metrics.error("inference", error.category.value)
            log.error("not-answered", category=error.category.value)
            return Looked(_no_answer(Reason(error.category, error.message)))
        except OSError as error:  # the marker of the model in flight: a full disk is no answer, and passes
            raise StateUnusable(
                f"the state directory cannot be written ({error.strerror or type(error).__name__}); free space on its disk and "
                "let the user that runs Orthanc write it; the work is taken up by itself") from error
        except MemoryError:
            return Looked(_no_answer(Reason(Category.OUT_OF_MEMORY, "not enough memory for this study")))
        except Exception as error:  # noqa: BLE001 - the workflow's edge: a fault of ours becomes a visible "failed", never silence
            self._metrics.error("inference", Category.INTERNAL.value)
            log.error("analysis-broke", exception=error)
            return Looked(_no_answer(Reason(Category.INTERNAL, f"a fault in the software ({type(error).__name__})")))

    def _infer(self, analysis: Analysis) -> Looked:
        model = self._models.get(analysis.model_id)
        if model is None or model.manifest is None:
            raise VigilError("the model is no longer installed", category=Category.MODEL_FILE_MISSING)
        if model.problem is not None:
            raise VigilError(model.problem.text, category=model.problem.category)
        if deaths := self._reading.deaths(analysis.analysis_id):
            raise VigilError(
                f"Orthanc's process ended {deaths} times while these images were read, so they are not read again; look at "
                "Orthanc's log, and send them again, uncompressed", category=Category.UNREADABLE_INSTANCE)
        with self._metrics.stage("read"), self._reading.in_flight(analysis.analysis_id, proves=True):
            stack = self._stack(analysis, model.manifest)
            loaded = load_stack(stack, self._gateway.dicom, stop=self._stop, held=lambda header: self._images.take(
                header.orthanc_id, header.content_sha256))
            volume, sources = loaded.volume, _sources(loaded)
            refuse_unfit(volume, sources, model.manifest.inputs[0])
            straight = straighten(_as_the_network_sees(volume, sources[0], model.manifest.inputs[0]))
        with self._metrics.stage("infer"):
            inference = self._runtime.run(model, straight.volume, operating_point=analysis.operating_point, stop=self._stop)
        for name, seconds in inference.timings_s.items():
            self._metrics.observe_stage(f"infer-{name}", seconds)
        masks = {region: straight.back(mask) for region, mask in inference.masks.items()}
        return Looked(inference.answer, sources, volume.voxels, masks, loaded.frames)

    def _stack(self, analysis: Analysis, manifest: Manifest) -> SliceStack:
        wanted = manifest.inputs[0]
        headers = [image for item in analysis.inputs for image in images_of(self._header(item), item.frames)]
        if wanted.dimensions == 2:
            return flat_stack(headers[0])
        return build_stack(headers, wanted.spacing_tolerance, wanted.largest_gantry_tilt_degrees)

    def _header(self, item: InputInstance) -> ImageHeader:
        """Of the image that was chosen, and of no other that has come to stand under its id."""
        known = self._headers.of_content(item.orthanc_id, item.content_sha256)
        if known is not None:
            return known
        dicom = self._gateway.dicom(item.orthanc_id)
        if dicom is None:
            raise ImageGone
        header = read_header(item.orthanc_id, dicom)
        if header.content_sha256 != item.content_sha256:
            raise ImageReplaced
        return header

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
        failed = Looked(_no_answer(Reason(
            Category.RESULT_NOT_MADE, "the result objects could not be made; the answer is not shown")))
        try:
            return failed.answer, make_results(self._request(analysis, failed, header, model.manifest))
        except Exception as error:  # noqa: BLE001 - the source is so broken that nothing can be attached to it; the ledger says so
            log.error("result-not-made", exception=error)
            return failed.answer, ()

    def _request(self, analysis: Analysis, looked: Looked, reference: Dataset, manifest: Manifest) -> ResultRequest:
        return ResultRequest(
            analysis=analysis, answer=looked.answer, manifest=manifest, reference=reference, sources=looked.sources,
            voxels=looked.voxels, masks=looked.masks, frames=looked.frames,
            device=replace(self._device, runtime=self._runtime.describe(analysis.model_id)),
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


def _as_the_network_sees(volume: Volume, source: Dataset, wanted: SeriesInput) -> Volume:
    """What is shown and stored are the values as they came."""
    return low_is_dark(volume, source) if wanted.dimensions == 2 and wanted.monochrome1 == "turned-over" else volume


def _sources(loaded: LoadedStack) -> tuple[Dataset, ...]:
    """The header of each slice; that of a multi-frame image is read once, for all its frames."""
    read = {head: read_dataset(head) for head in set(loaded.heads)}
    return tuple(read[head] for head in loaded.heads)


def is_early(analysis: Analysis) -> bool:
    return analysis.refusal is not None and analysis.refusal.category is Category.STILL_ARRIVING


def _no_answer(reason: Reason) -> Answer:
    if reason.category in REFUSED_BY_MODEL:
        return Answer(AnswerKind.FAILED, f"The analysis failed: {reason.text}. This is not a negative result.", reason=reason)
    return Answer(AnswerKind.NOT_ANALYSED, f"Not analysed: {reason.text}. This is not a negative result.", reason=reason)
