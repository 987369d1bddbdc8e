"""A message that tries a receiver out: of the same shape as an alert, about a patient and a study that do not exist."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pydicom import Dataset

from vigil.delivery.hl7.alert import Alert
from vigil.delivery.hl7.message import ComposedMessage, compose
from vigil.delivery.hl7.profile import Hl7Profile
from vigil.domain.answer import Analysis, Answer, AnswerKind, Criterion, Finding, Measurement, Part, joined
from vigil.domain.codes import UNITS
from vigil.domain.identity import digest, object_uid
from vigil.domain.manifest import Decided, Manifest

PATIENT_NAME = "Test^Vigil Zoë"
"""With a letter outside of ASCII, so that a wrong character set shows at the receiver."""
PATIENT_ID = "VIGIL-TEST"


def trial_message(destination: str, profile: Hl7Profile, manifest: Manifest, now: datetime) -> ComposedMessage:
    """What an alert of this model would look like at this receiver, marked as a test in MSH-11 and in its first words,
    and never urgent. ``now`` carries its zone; another moment gives another control id (MSH-10)."""
    run = digest("trial", destination, manifest.id, now.isoformat())
    analysis = Analysis(
        analysis_id=run[:32], orthanc_study_id="", study_instance_uid=object_uid(run, "study"), model_id=manifest.id,
        model_version=manifest.version, weights_sha256=manifest.weights_sha256, operating_point="default", renderer_version="",
        settings_sha256="", inputs_sha256="", inputs=(), created_at=now, correlation_id="", stage="")
    alert = Alert(
        analysis=analysis, answer=_answer(manifest), manifest=manifest, patient_study=_study(manifest, analysis, now),
        filler_order_number="VT" + run[:12].upper(), control_id="T" + run[:19].upper(), created_at=now,
        report_uid=object_uid(run, "report"))
    return compose(alert, replace(profile, test=True))


def _answer(manifest: Manifest) -> Answer:
    """A positive just at the model's threshold, of each finding where it has several, or a measurement where the model decides
    nothing."""
    answers = [(decided.entry, _alone(decided)) for decided in manifest.decided]
    if len(answers) == 1:
        return answers[0][1]
    parts = tuple(
        Part(entry.concept.code(), entry.category.code(), entry.site.code(), answer.kind, answer.sentence, answer.measured,
             answer.criterion) for entry, answer in answers)
    findings = tuple(finding for _, answer in answers for finding in answer.findings)
    return replace(answers[0][1], sentence=joined(parts), findings=findings, parts=parts)


def _alone(decided: Decided) -> Answer:
    said, unit = decided.entry, UNITS[decided.entry.unit]
    point = decided.operating_points.get("default")
    measured = Measurement(said.measurement.code(), 1.0 if point is None else point.positive, unit)
    finding = Finding(said.concept.code(), said.category.code(), said.site.code(), (measured,), acr_category=said.acr_category)
    words = said.measured if point is None else said.positive
    sentence = words.format(value=f"{measured.value:.1f}", unit=unit.value, threshold=f"{measured.value:.1f}")
    if point is None:
        return Answer(AnswerKind.MEASURED, sentence, measured=measured, findings=(finding,))
    criterion = Criterion("default", measured.concept, point.positive, unit)
    return Answer(AnswerKind.POSITIVE, sentence, criterion=criterion, measured=measured, findings=(finding,))


def _study(manifest: Manifest, analysis: Analysis, now: datetime) -> Dataset:
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.PatientName, header.PatientID, header.PatientSex = PATIENT_NAME, PATIENT_ID, "O"
    header.PatientBirthDate = "19000101"
    header.StudyInstanceUID = analysis.study_instance_uid
    header.StudyDate, header.StudyTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    header.TimezoneOffsetFromUTC = f"{now:%z}"
    header.AccessionNumber = "VIGIL-TEST"
    header.StudyDescription = "TEST, no study"
    header.Modality = manifest.scope.modality[0]
    return header
