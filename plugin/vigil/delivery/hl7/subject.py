"""Who and which order: PID, PV1 and the order fields of OBR, from the header of an image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from pydicom import Dataset
from pydicom.multival import MultiValue

from vigil.delivery.hl7.escape import one_line
from vigil.delivery.hl7.names import patient_name, physician
from vigil.delivery.hl7.profile import Hl7Profile, Version
from vigil.delivery.hl7.segment import coded, components, designator, segment
from vigil.domain.concepts import Code

IMAGING_STUDY = Code("18748-4", "LN", "Diagnostic imaging study")
SECTIONS = {"CT": "CT", "MR": "NMR", "CR": "RX", "DX": "RX", "US": "RUS", "NM": "NMS", "PT": "NMS", "XA": "XRC"}
"""DICOM modality to diagnostic service section (HL7 table 0074); others are RAD."""
_LONGEST_ORDER_NUMBER = 22


@dataclass(frozen=True)
class Subject:
    """Escaped fields of the patient and the order. ``started``: when the study began, without a zone where neither the
    image nor the profile knows one. ``description`` and ``accession``: plain text."""

    pid: str
    pv1: str
    placer: str
    service: str
    accession: str
    ordering_physician: str
    section: str
    started: datetime | None
    description: str
    warnings: tuple[str, ...]

    @property
    def matchable(self) -> bool:
        return bool(self.accession or self.placer)


def read_subject(header: Dataset, profile: Hl7Profile) -> Subject:
    request = _first(header, "RequestAttributesSequence")
    name, warnings = patient_name(header.get("PatientName"), profile.codec)
    identifier = _patient_id(header, profile)
    if not identifier:
        warnings.append("PID-3: the images give no patient id")
    sex = _text(header, "PatientSex").upper()
    birth = _text(header, "PatientBirthDate")
    pid = segment(
        "PID",
        {
            1: "1",
            3: identifier,
            5: name,
            7: birth if re.fullmatch(r"\d{8}", birth) else "",
            8: sex if sex in {"M", "F", "O"} else "U",
        },
    )
    visit = components(_text(header, "AdmissionID"))
    location = components(_text(header, "CurrentPatientLocation"))
    referrer = physician(header.get("ReferringPhysicianName"), profile.codec)
    placer, placer_warnings = _placer(header, request)
    return Subject(
        pid=pid,
        pv1=segment("PV1", {1: "1", 2: profile.patient_class, 3: location, 8: referrer, 19: visit}),
        placer=placer,
        service=_service(header, request, profile),
        accession=_text(header, "AccessionNumber") or _text(request, "AccessionNumber"),
        ordering_physician=physician(header.get("RequestingPhysician"), profile.codec) or referrer,
        section=_section(_text(header, "Modality"), profile.version),
        started=study_started(header, profile.zone),
        description=_description(header, request),
        warnings=(*warnings, *placer_warnings),
    )


def study_started(header: Dataset, zone: tzinfo | None) -> datetime | None:
    """Study Date and Time, in the zone that the image gives (0008,0201), else in the site's."""
    for prefix in ("Study", "Series", "Acquisition", "Content"):
        date = _text(header, f"{prefix}Date").replace(".", "")
        if not re.fullmatch(r"\d{8}", date):
            continue
        clock = re.match(r"\d*", _text(header, f"{prefix}Time").replace(":", ""))
        digits = (clock.group() if clock else "").ljust(6, "0")[:6]
        try:
            moment = datetime.strptime(date + digits, "%Y%m%d%H%M%S")
        except ValueError:
            continue
        return moment.replace(tzinfo=_offset(header) or zone)
    return None


def _offset(header: Dataset) -> tzinfo | None:
    found = re.fullmatch(r"([+-])(\d\d)(\d\d)", _text(header, "TimezoneOffsetFromUTC"))
    if found is None or int(found[2]) > 14 or int(found[3]) > 59:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)


def _patient_id(header: Dataset, profile: Hl7Profile) -> str:
    """PID-3. The issuer that the image names counts; the profile's authority completes it, or stands in."""
    identifier = _text(header, "PatientID")
    if not identifier:
        return ""
    qualifiers = _first(header, "IssuerOfPatientIDQualifiersSequence")
    issuer = _text(header, "IssuerOfPatientID")
    universal, kind = _text(qualifiers, "UniversalEntityID"), _text(qualifiers, "UniversalEntityIDType")
    configured = profile.patient_assigning_authority
    if not universal and issuer in ("", re.split("[&^]", configured)[0]):
        authority = designator(configured, separator="&")
    else:
        authority = components(issuer, universal, kind if universal else "", separator="&")
    return "^".join((components(identifier), "", "", authority, "MR"))


def _placer(header: Dataset, request: Dataset) -> tuple[str, list[str]]:
    """ORC-2 and OBR-2. An order number is never cut: a shorter one is another order's."""
    number = _text(request, "PlacerOrderNumberImagingServiceRequest") or _text(
        header, "PlacerOrderNumberImagingServiceRequest"
    )
    if not number:
        return "", []
    issuer = _first(request, "OrderPlacerIdentifierSequence") or _first(header, "OrderPlacerIdentifierSequence")
    value = components(
        number,
        _text(issuer, "LocalNamespaceEntityID"),
        _text(issuer, "UniversalEntityID"),
        _text(issuer, "UniversalEntityIDType"),
    )
    if len(value) <= _LONGEST_ORDER_NUMBER:
        return value, []
    alone = components(number)
    if len(alone) <= _LONGEST_ORDER_NUMBER:
        return alone, ["OBR-2: the placer order number was sent without its issuer, to keep to 22 characters"]
    return alone, ["OBR-2: the placer order number has more than 22 characters; it was sent whole"]


def _service(header: Dataset, request: Dataset, profile: Hl7Profile) -> str:
    """OBR-4: the procedure's codes (two at most), else a general code with the description beside it."""
    codes = _codes(request, "RequestedProcedureCodeSequence") + _codes(header, "ProcedureCodeSequence")
    distinct = list({(code.value, code.scheme): code for code in codes}.values())
    if distinct:
        return coded(distinct[0], distinct[1] if len(distinct) > 1 else None, profile.coding_systems)
    description = _description(header, request)
    return coded(IMAGING_STUDY, Code("", "L" if description else "", description), profile.coding_systems)


def _codes(holder: Dataset, keyword: str) -> list[Code]:
    codes = []
    for item in holder.get(keyword) or []:
        value = _text(item, "CodeValue") or _text(item, "LongCodeValue")
        if value:
            codes.append(Code(value, _text(item, "CodingSchemeDesignator") or "L", _text(item, "CodeMeaning")))
    return codes


def _section(modality: str, version: Version) -> str:
    section = SECTIONS.get(modality, "RAD")
    return "RAD" if section == "XRC" and version is Version.V231 else section


def _description(header: Dataset, request: Dataset) -> str:
    return (
        _text(header, "StudyDescription")
        or _text(request, "RequestedProcedureDescription")
        or _text(header, "RequestedProcedureDescription")
    )


def _first(holder: Dataset, keyword: str) -> Dataset:
    items = holder.get(keyword)
    return items[0] if items else Dataset()


def _text(holder: Dataset, keyword: str) -> str:
    value = holder.get(keyword)
    if isinstance(value, MultiValue):
        value = "\\".join(str(part) for part in value)  # a backslash where one value was meant
    return "" if value is None else one_line(str(value))
