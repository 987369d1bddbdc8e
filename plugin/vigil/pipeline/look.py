"""What is seen of a study: its images read to volumes, one for each input of the model, and the model run on them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from vigil.domain.answer import Analysis, Answer, AnswerKind, InputInstance, Reason, of_a_part_of_the_study
from vigil.domain.boxes import PatientBox
from vigil.domain.errors import Category, Stopping, VigilError
from vigil.domain.gateway import Gateway, GatewayError
from vigil.domain.manifest import Manifest, SeriesInput
from vigil.imaging.arrived import ArrivedImages
from vigil.imaging.as_seen import as_the_network_sees, sources_of
from vigil.imaging.declared_side import declared_side
from vigil.imaging.errors import ImageGone, ImageReplaced, ImagingError
from vigil.imaging.load import load_stack
from vigil.imaging.lying import lies_on_side
from vigil.imaging.straighten import Straight, straighten
from vigil.imaging.unfit import refuse_unfit
from vigil.imaging.volume import Volume
from vigil.inference.aligned import colour_of
from vigil.inference.qualify import Shown, at_least, qualified
from vigil.inference.quarantine import CrashMarker
from vigil.inference.registry import InstalledModel
from vigil.inference.runtime import Runtime
from vigil.intake.errors import UnreadableInstance
from vigil.intake.flat import flat_stack
from vigil.intake.frames import images_of
from vigil.intake.header import ImageHeader, read_header
from vigil.intake.selection import suffices
from vigil.intake.stack import SliceStack, build_stack
from vigil.intake.study import HeaderCache
from vigil.records.errors import StateUnusable
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

REFUSED_BY_MODEL = frozenset({
    Category.MODEL_FILE_MISSING, Category.MODEL_HASH_MISMATCH, Category.MODEL_INVALID, Category.MODEL_NOT_LOADED,
    Category.MODEL_NOT_APPROVED, Category.MODEL_QUARANTINED, Category.MODEL_PAUSED, Category.MODEL_PROCESS_ENDED,
    Category.INFERENCE_FAILED, Category.TIME_LIMIT, Category.OUT_OF_MEMORY, Category.RESULT_NOT_MADE, Category.SETTINGS_INVALID,
    Category.INTERNAL,
})
"""Causes that lie with us: the answer is "failed". Every other cause lies with what arrived: "not analysed"."""

OF_A_PART = frozenset({Category.INCOMPLETE, Category.SLICE_MISSING})
"""Refusals of a study that was given up, of which a part may be positive. (Of one that still waits: STILL_ARRIVING.)"""

@dataclass(frozen=True, eq=False)
class Looked:
    """What was seen of the study: the answer, and what is needed to draw it. ``further_sources``: the images of each of the
    model's other inputs. ``runtime``: what ran the network, None where nothing ran. ``masks`` and ``boxes``: by region."""

    answer: Answer
    sources: tuple[Dataset, ...] = ()
    voxels: NDArray[np.float32] | None = None
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    frames: tuple[int, ...] = ()
    further_sources: tuple[tuple[Dataset, ...], ...] = ()
    runtime: str | None = None
    boxes: Mapping[str, tuple[PatientBox, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Read:
    """Of one input: the images as they came, and what the network is given of them."""

    volume: Volume
    straight: Straight
    sources: tuple[Dataset, ...]
    frames: tuple[int, ...]
    colours: Mapping[str, Volume]


class Looker:
    """Reads and runs; says why not where that cannot be."""

    def __init__(
        self, *, gateway: Gateway, models: Mapping[str, InstalledModel], runtime: Runtime, headers: HeaderCache,
        images: ArrivedImages, reading: CrashMarker, stop: threading.Event, metrics: Metrics,
    ) -> None:
        self._gateway = gateway
        self._models = models
        self._runtime = runtime
        self._headers = headers
        self._images = images
        self._reading = reading
        self._stop = stop
        self._metrics = metrics

    def look(self, analysis: Analysis, log: Log) -> Looked:
        if analysis.refusal is None:
            return self._infer_or_say_why_not(analysis, log)
        if self._may_be_positive(analysis, analysis.refusal):
            looked = self._infer_or_say_why_not(analysis, log)
            if looked.answer.kind is AnswerKind.POSITIVE:
                note = (f"Early answer, replaced if more images arrive: {analysis.refusal.text}." if is_early(analysis)
                        else f"Only a part of the study was analysed: {analysis.refusal.text}.")
                manifest = self._manifest(analysis)
                answer = looked.answer if manifest is None else at_least(looked.answer, manifest)
                answer = of_a_part_of_the_study(answer, analysis.refusal.text)
                return replace(looked, answer=replace(answer, notes=(*answer.notes, note)))
        return Looked(no_answer(analysis.refusal))

    def _may_be_positive(self, analysis: Analysis, refusal: Reason) -> bool:
        """Whether enough of a study that was given up, or still waits, is here for the model to be run: a positive may leave, and
        no other answer (law 2)."""
        model = self._models.get(analysis.model_id)
        if refusal.category not in {*OF_A_PART, Category.STILL_ARRIVING}:
            return False
        if model is None or model.manifest is None or model.problem is not None:
            return False
        try:
            served = {wanted: self._images_of(analysis, wanted, model.manifest) for wanted in model.manifest.inputs}
        except (ImagingError, UnreadableInstance):
            return False
        return all(suffices(images, model.manifest.scope, wanted) for wanted, images in served.items())

    def _manifest(self, analysis: Analysis) -> Manifest | None:
        model = self._models.get(analysis.model_id)
        return None if model is None else model.manifest

    def _infer_or_say_why_not(self, analysis: Analysis, log: Log) -> Looked:
        try:
            return self._infer(analysis, log)
        except (Stopping, GatewayError):
            raise
        except VigilError as error:
            self._metrics.error("inference", error.category.value)
            log.error("not-answered", category=error.category.value)
            return Looked(no_answer(Reason(error.category, error.message)))
        except OSError as error:  # the marker of the model in flight: a full disk is no answer, and passes
            raise StateUnusable(
                f"the state directory cannot be written ({error.strerror or type(error).__name__}); free space on its disk and "
                "let the user that runs Orthanc write it; the work is taken up by itself") from error
        except MemoryError:
            return Looked(no_answer(Reason(Category.OUT_OF_MEMORY, "not enough memory for this study")))
        except Exception as error:  # noqa: BLE001 - the workflow's edge: a fault of ours becomes a visible "failed", never silence
            self._metrics.error("inference", Category.INTERNAL.value)
            log.error("analysis-broke", exception=error)
            return Looked(no_answer(Reason(Category.INTERNAL, f"a fault in the software ({type(error).__name__})")))

    def _infer(self, analysis: Analysis, log: Log) -> Looked:
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
            read = {wanted.name: self._read(analysis, wanted, model.manifest) for wanted in model.manifest.inputs}
        reference = read.pop(model.manifest.reference.name)
        with self._metrics.stage("infer"):
            inference = self._runtime.run(
                model, reference.straight.volume, operating_point=analysis.operating_point, stop=self._stop,
                further={name: other.straight.volume for name, other in read.items()} | dict(reference.colours))
        for name, seconds in inference.timings_s.items():
            self._metrics.observe_stage(f"infer-{name}", seconds)
        if inference.batch is not None:
            log.warning("fewer-at-a-time", batch=inference.batch)
        masks = {region: reference.straight.back(mask) for region, mask in inference.masks.items()}
        boxes = {region: tuple(back for box in found if (back := reference.straight.box_back(box)) is not None)
                 for region, found in inference.boxes.items()}
        answer = qualified(inference.answer, model.manifest, Shown(
            reference.straight.volume, inference.masks, declared_side(reference.sources),
            is_ct=any(str(source.get("Modality")) == "CT" for source in reference.sources[:1]),
            lies_on_side=lies_on_side(reference.sources)))
        return Looked(answer, reference.sources, reference.volume.voxels, masks, reference.frames,
                      tuple(other.sources for other in read.values()), inference.runtime, boxes)

    def _read(self, analysis: Analysis, wanted: SeriesInput, manifest: Manifest) -> _Read:
        with _named(wanted, manifest):
            stack = _stack(self._images_of(analysis, wanted, manifest), wanted)
            loaded = load_stack(stack, self._gateway.dicom, stop=self._stop, colour=wanted.colour,
                                held=lambda header: self._images.take(header.orthanc_id, header.content_sha256))
            sources = sources_of(loaded)
            refuse_unfit(loaded.volume, sources, wanted)
            seen = as_the_network_sees(loaded.volume, sources, wanted)
        return _Read(loaded.volume, straighten(seen), sources, loaded.frames, {
            colour_of(wanted.name, colour): plane for colour, plane in loaded.colours.items()})

    def _images_of(self, analysis: Analysis, wanted: SeriesInput, manifest: Manifest) -> list[ImageHeader]:
        """Those that were chosen for one input."""
        served = wanted.name if len(manifest.inputs) > 1 else ""
        return [image for item in analysis.inputs if item.input == served for image in images_of(self._header(item), item.frames)]

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


def _stack(images: list[ImageHeader], wanted: SeriesInput) -> SliceStack:
    if wanted.dimensions == 2:
        return flat_stack(images)
    return build_stack(images, wanted.spacing_tolerance, wanted.largest_gantry_tilt_degrees)


@contextmanager
def _named(wanted: SeriesInput, manifest: Manifest) -> Iterator[None]:
    """Says of which of several inputs the images cannot be read."""
    try:
        yield
    except (ImagingError, UnreadableInstance) as error:
        if len(manifest.inputs) > 1:
            error.args = (f"{wanted.name} series: {error.message}",)
        raise


def is_early(analysis: Analysis) -> bool:
    return analysis.refusal is not None and analysis.refusal.category is Category.STILL_ARRIVING


def no_answer(reason: Reason) -> Answer:
    if reason.category in REFUSED_BY_MODEL:
        return Answer(AnswerKind.FAILED, f"The analysis failed: {reason.text}. This is not a negative result.", reason=reason)
    return Answer(AnswerKind.NOT_ANALYSED, f"Not analysed: {reason.text}. This is not a negative result.", reason=reason)
