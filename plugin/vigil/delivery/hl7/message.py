"""ORU^R01: the alert, shaped after IHE RAD Results Distribution (RAD-128), in HL7 v2.5.1, 2.4 or 2.3.1."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vigil.delivery.errors import MessageInvalid
from vigil.delivery.hl7.alert import Alert
from vigil.delivery.hl7.conformance import faults
from vigil.delivery.hl7.escape import encode, escape, fit
from vigil.delivery.hl7.observations import observations
from vigil.delivery.hl7.profile import Hl7Profile, PriorityIn, Version
from vigil.delivery.hl7.segment import components, designator, segment, timestamp
from vigil.delivery.hl7.subject import Subject, read_subject

_ACCESSION_LIMIT = 60


@dataclass(frozen=True)
class ComposedMessage:
    """The bytes between the MLLP frames, and what could not be said as it was: for log and audit, without patient
    data."""

    content: bytes
    control_id: str
    warnings: tuple[str, ...]


def compose(alert: Alert, profile: Hl7Profile) -> ComposedMessage:
    """Write an alert for one receiver, and hold it against the standard: what that objects to becomes a warning. An alert
    is not kept back for it.

    Raises
    ------
    MessageInvalid
        As :func:`write`.
    """
    written = write(alert, profile)
    objections = tuple(f"the HL7 standard objects: {fault}" for fault in faults(written.content, profile))
    return replace(written, warnings=(*written.warnings, *objections))


def write(alert: Alert, profile: Hl7Profile) -> ComposedMessage:
    """As :func:`compose`, without the check.

    Raises
    ------
    MessageInvalid
        The images name neither a patient id nor an order: nobody could tell whom the alert is about.
    """
    subject = read_subject(alert.patient_study, profile)
    if not subject.matchable and not alert.patient_study.get("PatientID"):
        raise MessageInvalid(
            f"analysis {alert.analysis.analysis_id}: the images give no patient id, accession or order number, so no "
            "receiver could match the alert. Correct the study in the PACS; it is then analysed again"
        )
    warnings = list(subject.warnings)
    lines = [_msh(alert, profile), subject.pid, subject.pv1, *_order(alert, profile, subject, warnings)]
    lines += observations(alert, profile, subject, warnings)
    if profile.zds:
        pointer = components(alert.analysis.study_instance_uid, "VIGIL", "Application", "DICOM")
        lines.append(segment("ZDS", {1: pointer}))
    content, missing = encode("\r".join(lines) + "\r", profile.codec)
    if missing:
        warnings.append(f"{missing} character(s) that {profile.character_set} lacks were replaced by '?'")
    return ComposedMessage(content, alert.control_id, tuple(warnings))


def _msh(alert: Alert, profile: Hl7Profile) -> str:
    kind = "ORU^R01^ORU_R01" if profile.version is Version.V251 else "ORU^R01"
    character_set, scheme = profile.header_character_sets
    return segment(
        "MSH",
        {
            2: "^~\\&",
            3: designator(profile.sending_application),
            4: designator(profile.sending_facility),
            5: designator(profile.receiving_application),
            6: designator(profile.receiving_facility),
            7: timestamp(alert.created_at, milliseconds=True),
            9: kind,
            10: components(alert.control_id),
            11: _processing_id(alert, profile),
            12: designator(profile.version_text) or profile.version.value,
            15: profile.accept_acknowledgement,
            16: profile.application_acknowledgement,
            18: character_set,
            20: scheme,
        },
    )


def _processing_id(alert: Alert, profile: Hl7Profile) -> str:
    """MSH-11. Nothing that is a test, or of a research model that nobody answers for, goes out as production."""
    if profile.processing_id == "P" and (profile.test or (alert.research and not alert.override)):
        return "T"
    return profile.processing_id


def _order(alert: Alert, profile: Hl7Profile, subject: Subject, warnings: list[str]) -> list[str]:
    """ORC, OBR and, where the priority stands there, TQ1. OBR-3 is our own filler number; the accession stands in OBR-18."""
    filler = components(alert.filler_order_number, profile.sending_application.split("^")[0])
    if len(filler) > 22:
        filler = components(alert.filler_order_number)
        warnings.append("OBR-3: our order number was sent without the application's name, to keep to 22 characters")
    accession = fit(subject.accession, _ACCESSION_LIMIT)
    if accession != subject.accession:
        warnings.append("OBR-18: the accession number was cut to 60 characters")
    priority = _priority(alert, profile)
    obr = segment(
        "OBR",
        {
            1: "1",
            2: subject.placer,
            3: filler,
            4: subject.service,
            5: priority[0] if priority and profile.priority_in is PriorityIn.OBR_5 else "",
            7: timestamp(subject.started) if subject.started else "",
            16: subject.ordering_physician,
            18: escape(accession),
            22: timestamp(alert.created_at),
            24: subject.section,
            25: "X" if alert.retracts or not alert.answer.kind.analysed else profile.result_status,
            27: f"^^^^^{priority[0]}" if priority and profile.priority_in is PriorityIn.OBR_27 else "",
        },
    )
    orc = segment("ORC", {1: "RE", 2: subject.placer, 3: filler, 5: "IP"})
    if priority is None or profile.priority_in is not PriorityIn.TQ1:
        return [orc, obr]
    return [orc, obr, segment("TQ1", {1: "1", 9: components(*priority, "HL70485")})]


def _priority(alert: Alert, profile: Hl7Profile) -> tuple[str, str] | None:
    """HL7 table 0485. A research model is never urgent but under a named override; a retraction and a test never are."""
    if alert.retracts or profile.test or (alert.research and not alert.override):
        return None
    return {1: ("S", "STAT"), 2: ("A", "ASAP")}.get(alert.acr_category or 0)
