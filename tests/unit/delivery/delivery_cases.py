"""Alerts, patients and answers for the tests of this room."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from pydicom import Dataset
from pydicom.sequence import Sequence

from vigil.delivery.hl7.alert import Alert, AlertKind
from vigil.delivery.hl7.profile import Hl7Profile
from vigil.domain import codes
from vigil.domain.answer import (
    Analysis,
    Answer,
    AnswerKind,
    Criterion,
    Finding,
    InputInstance,
    Measurement,
    Reason,
)
from vigil.domain.errors import Category
from vigil.domain.manifest import Manifest

STUDY_UID = "1.2.840.99.1.1"
REPORT_UID = "2.25.99"
ANALYSED_AT = dt.datetime(2026, 11, 22, 20, 44, 30, tzinfo=dt.UTC)
SENT_AT = dt.datetime(2026, 11, 22, 20, 45, 0, 123000, tzinfo=dt.UTC)
PROFILE = Hl7Profile(
    sending_facility="HOSP^2.16.840.1.113883.19.1^ISO", receiving_application="EHR", receiving_facility="HOSP",
    patient_assigning_authority="HOSP^2.16.840.1.113883.19.1^ISO",
    link="https://pacs.hosp.example/dicom-web/studies/{study_uid}?report={report_uid}",
)


def manifest(**changes: Any) -> Manifest:
    """The manifest of a hyperdense volume model; ``status`` and ``permitted`` of its regulatory part may be changed."""
    status = changes.pop("status", "cleared")
    permitted = changes.pop("permitted", ["notification", "score", "measurement", "location", "contour"])
    concept = changes.pop("concept", codes.HYPERDENSE_REGION)
    content: dict[str, Any] = {
        "schema_version": 1, "id": "hdv", "version": "1.0.0", "name": "Hyperdense volume", "vendor": "Vigil",
        "licence": "AGPL-3.0-or-later", "summary": "Volume of hyperdense voxels in the head.",
        "regulatory": {
            "status": status, "intended_use": "Notification of a hyperdense volume on CT head.",
            "clearance": "K000000 FDA" if status == "cleared" else None, "permitted_outputs": permitted,
        },
        "files": {"model.onnx": "0" * 64},
        "scope": {"modality": ["CT"], "body_part": {"any_of": ["HEAD"]}},
        "inputs": [{"name": "head", "minimum_slices": 20, "minimum_coverage_mm": 100}],
        "preprocessing": {"spacing_mm": [2.0, 1.0, 1.0]},
        "network": {"file": "model.onnx", "input": "hu", "outputs": ["cavity", "band"]},
        "postprocessing": {
            "kind": "hyperdense-volume", "cavity_output": "cavity", "band_output": "band", "region": "hyperdense",
            "minimum_component_ml": 0.1, "plausible_cavity_ml": {"minimum": 500, "maximum": 2500},
        },
        "operating_points": {"default": {"positive": 5.0}},
        "finding": {
            "concept": {"value": concept.value, "scheme": concept.scheme, "meaning": concept.meaning},
            "category": {"value": "49755003", "scheme": "SCT", "meaning": "Morphologically Altered Structure"},
            "site": {"value": "12738006", "scheme": "SCT", "meaning": "Brain"},
            "measurement": {"value": "VG-HDV", "scheme": "99VIGIL", "meaning": "Hyperdense intracranial volume"},
            "unit": "mL", "acr_category": 1, "positive": "{value}", "negative": "{value}", "indeterminate": "{value}",
        },
        "limitations": ["Calcifications count as hyperdense."],
        "changes": {"1.0.0": "First version."},
    }
    return Manifest.model_validate(content | changes)


def answer(kind: AnswerKind = AnswerKind.POSITIVE, value: float = 19.9, acr_category: int | None = 1) -> Answer:
    if not kind.analysed:
        return Answer(
            kind, "Hyperdense volume was not measured.",
            reason=Reason(Category.SLICE_MISSING, "one slice of 30 is missing"),
        )
    measured = Measurement(codes.HYPERDENSE_VOLUME, value, codes.MILLILITRE)
    sentences = {
        AnswerKind.POSITIVE: f"Hyperdense intracranial volume {value:.1f} mL, at or above the threshold of 5.0 mL.",
        AnswerKind.NEGATIVE: (
            f"Hyperdense intracranial volume {value:.1f} mL, below the threshold of 5.0 mL. "
            "This does not exclude a haemorrhage."
        ),
        AnswerKind.INDETERMINATE: f"Hyperdense intracranial volume {value:.1f} mL lies in the range of no decision.",
        AnswerKind.MEASURED: f"Hyperdense intracranial volume {value:.1f} mL.",
    }
    findings = (
        (
            Finding(
                codes.HYPERDENSE_REGION, codes.MORPHOLOGICALLY_ALTERED_STRUCTURE, codes.BRAIN, (measured,),
                region="hyperdense", key_slices=(3,), acr_category=acr_category,
            ),
        )
        if kind is AnswerKind.POSITIVE
        else ()
    )
    criterion = None
    if kind is not AnswerKind.MEASURED:
        criterion = Criterion("default", codes.HYPERDENSE_VOLUME, 5.0, codes.MILLILITRE)
    return Answer(kind, sentences[kind], criterion=criterion, measured=measured, findings=findings)


def analysis() -> Analysis:
    inputs = tuple(InputInstance(f"o{n}", f"1.2.{n}", "1.2.840.10008.5.1.4.1.1.2", "1.2.9", "0" * 64) for n in range(30))
    return Analysis(
        analysis_id="a" * 32, orthanc_study_id="study", study_instance_uid=STUDY_UID, model_id="hdv",
        model_version="1.0.0", weights_sha256="0" * 64, operating_point="default", renderer_version="1",
        settings_sha256="0" * 64, inputs_sha256="0" * 64, inputs=inputs, created_at=ANALYSED_AT,
        correlation_id="c" * 16, stage="live",
    )


def header(name: str = "Müller^Jörg^^Dr.=山田^太郎=やまだ^たろう", **changes: Any) -> Dataset:
    """The header of a CT image of an ordered study."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = name
    ds.PatientID = "PAT-1"
    ds.IssuerOfPatientID = "HOSP"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "F"
    ds.StudyInstanceUID = STUDY_UID
    ds.StudyDate, ds.StudyTime = "20261122", "203000.25"
    ds.TimezoneOffsetFromUTC = "+0000"
    ds.AccessionNumber = "ACC1"
    ds.Modality = "CT"
    ds.StudyDescription = "CT HEAD WITHOUT CONTRAST"
    ds.ReferringPhysicianName = "Referrer^Rita^^Dr."
    ds.AdmissionID = "V123"
    ds.CurrentPatientLocation = "ED-12"
    ds.RequestAttributesSequence = Sequence([_request()])
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def _request() -> Dataset:
    request = Dataset()
    request.PlacerOrderNumberImagingServiceRequest = "PLC1"
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = "RIS"
    request.OrderPlacerIdentifierSequence = Sequence([issuer])
    request.RequestedProcedureCodeSequence = Sequence([code("30799-1", "LN", "CT Head WO contrast")])
    return request


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def alert(kind: AlertKind = AlertKind.RESULT, **changes: Any) -> Alert:
    base = Alert(
        analysis=analysis(), answer=answer(), manifest=manifest(), patient_study=header(),
        filler_order_number="V8F3A1C2D4E5F60", control_id="V0123456789ABCDEF012", created_at=SENT_AT,
        report_uid=REPORT_UID,
    )
    return replace(base, kind=kind, **changes)
