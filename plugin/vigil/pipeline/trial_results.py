"""Result sets of a trial, one for every kind of answer, made by the renderer that makes the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import vigil
from vigil.domain.answer import Analysis, Answer, AnswerKind, Criterion, Finding, InputInstance, Measurement, Reason
from vigil.domain.codes import MILLILITRE
from vigil.domain.errors import Category
from vigil.domain.identity import digest, object_uid
from vigil.domain.manifest import Manifest, PermittedOutput, RegulatoryStatus
from vigil.inference.manifest_file import FILE, read_manifest
from vigil.pipeline.trial_study import BALL_ML, TrialStudy
from vigil.results import RENDERER_VERSION
from vigil.results.make import make_results
from vigil.results.objects import ResultObject
from vigil.results.options import ResultOptions
from vigil.results.request import DeviceIdentity, ResultRequest
from vigil.results.wording import KIND_WORDS

DECIDES, MEASURES = "hyperdense-volume-ct-head", "brain-volume-t1-mr"
"""The models of the bundle whose packages a trial borrows its words from."""
THRESHOLD_ML = 5.0
REASONS = {
    AnswerKind.NOT_ANALYSED: Reason(Category.SLICE_MISSING, "this is how a study looks of which a slice is missing"),
    AnswerKind.FAILED: Reason(Category.MODEL_HASH_MISMATCH, "this is how it looks when the model itself could not run"),
}
LOOK_FOR: Mapping[str, str] = {
    "source": "a grey egg in a bright shell, with a brighter ball of 20 mL in the right half of the patient (left on screen)",
    "summary": "one image, a series of its own: {answer} in large letters, NOT FOR PRIMARY DIAGNOSIS; legible without zoom",
    "key-slice": "colour pictures with a contour around the ball, each at the place of its source image: scroll both together",
    "segmentation": "an overlay that covers the ball and nothing else, and can be switched off",
    "full-segmentation": "the same overlay, as an object with a frame for every source image",
    "report": "a document, or an entry in the panel of AI findings, that says {answer}; where it has an outline, on its slice",
    "text-report": "the same as text alone; in a reporting system, in the fields that it reads",
    "key-objects": "a flag or star at the images that show the finding",
    "presentation-state": "the outline as an overlay on the source image, when this state is chosen",
    "multi-frame": "the colour pictures of slices as one object that scrolls",
}
"""What a person looks for in the viewer, by the role of the object."""


def look_for(role: str, kind: AnswerKind | None) -> str:
    return LOOK_FOR.get(role, "").format(answer="" if kind is None else KIND_WORDS[kind])


def trial_set(study: TrialStudy, kind: AnswerKind, models: Path, now: datetime, installation_name: str,
              options: ResultOptions) -> tuple[ResultObject, ...]:
    """``models``: the folder of the bundle's models. ``now``: the time that the results bear."""
    manifest = _manifest(models, kind)
    answer = _answer(kind, manifest, study)
    return make_results(ResultRequest(
        analysis=_analysis(study, kind, manifest, now), answer=answer, manifest=manifest, reference=study.headers[0],
        device=DeviceIdentity(
            installation_name=installation_name, device_uid=object_uid("trial", installation_name),
            bundle_version=vigil.__version__, runtime="no model ran: a trial"),
        sources=study.headers if kind.analysed else (), voxels=study.voxels if kind.analysed else None,
        masks={"ball": study.ball} if kind.analysed else {}, options=options))


def _manifest(models: Path, kind: AnswerKind) -> Manifest:
    base = read_manifest(models / (MEASURES if kind is AnswerKind.MEASURED else DECIDES) / FILE)
    regulatory = base.regulatory.model_copy(update={
        "status": RegulatoryStatus.RESEARCH, "clearance": None, "permitted_outputs": frozenset(PermittedOutput)})
    return base.model_copy(update={
        "id": f"trial-{kind}", "name": f"TEST {kind.value.replace('-', ' ')}", "vendor": "Vigil for Orthanc",
        "regulatory": regulatory,
        "limitations": ("A trial of the way of results on a synthetic phantom. No model ran.",)})


def _answer(kind: AnswerKind, manifest: Manifest, study: TrialStudy) -> Answer:
    if not kind.analysed:
        return Answer(kind, f"TEST on a synthetic phantom: {REASONS[kind].text}.", reason=REASONS[kind])
    value = {AnswerKind.NEGATIVE: 0.4, AnswerKind.INDETERMINATE: 4.2}.get(kind, BALL_ML)
    entry = manifest.finding
    concept = entry.measurement.code()
    measured = Measurement(concept, value, MILLILITRE)
    told = {
        AnswerKind.POSITIVE: f"{value:.1f} mL, at or above the threshold of {THRESHOLD_ML:.1f} mL.",
        AnswerKind.NEGATIVE: f"{value:.1f} mL, below the threshold of {THRESHOLD_ML:.1f} mL. This does not exclude anything.",
        AnswerKind.INDETERMINATE: f"{value:.1f} mL, too close to the threshold of {THRESHOLD_ML:.1f} mL for an answer.",
        AnswerKind.MEASURED: f"{value:.1f} mL. It is held against no threshold.",
    }[kind]
    findings: tuple[Finding, ...] = ()
    if kind.shows_place:
        largest = int(study.ball.sum(axis=(1, 2)).argmax())
        findings = (Finding(entry.concept.code(), entry.category.code(), entry.site.code(), (measured,), region="ball",
                            key_slices=(largest,), acr_category=entry.acr_category),)
    criterion = None if kind is AnswerKind.MEASURED else Criterion("default", concept, THRESHOLD_ML, MILLILITRE)
    return Answer(kind, f"TEST on a synthetic phantom: {told}", criterion=criterion, measured=measured, findings=findings)


def _analysis(study: TrialStudy, kind: AnswerKind, manifest: Manifest, now: datetime) -> Analysis:
    inputs = tuple(
        InputInstance("", str(header.SOPInstanceUID), str(header.SOPClassUID), str(header.SeriesInstanceUID), "")
        for header in study.headers) if kind.analysed else ()
    return Analysis(
        analysis_id=digest("trial", study.study_instance_uid, kind)[:32], orthanc_study_id="",
        study_instance_uid=study.study_instance_uid, model_id=manifest.id, model_version=manifest.version,
        weights_sha256=manifest.weights_sha256, operating_point="default", renderer_version=RENDERER_VERSION,
        settings_sha256="", inputs_sha256="", inputs=inputs, created_at=now, correlation_id="", stage="live")
