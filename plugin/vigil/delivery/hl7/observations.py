"""The OBX segments: study, coded answer, value, ACR category, text, link."""

from __future__ import annotations

from vigil.delivery.hl7.alert import Alert, AlertKind
from vigil.delivery.hl7.escape import escape, fit
from vigil.delivery.hl7.profile import Hl7Profile, StudyUidAs, Version
from vigil.delivery.hl7.segment import coded, components, segment, timestamp
from vigil.delivery.hl7.subject import Subject
from vigil.delivery.hl7.wording import narrative, remarks
from vigil.domain import codes
from vigil.domain.answer import AnswerKind, Criterion, Measurement
from vigil.domain.concepts import Code

STUDY = Code("113014", "DCM", "DICOM Study")
FINDINGS_TEXT = Code("59776-5", "LN", "Procedure findings")
DIAGNOSTIC_FINDING = Code("18782-3", "LN", "Radiology Study observation")
DOCUMENT = Code("55112-7", "LN", "Document summary")
_ANSWERS = {
    AnswerKind.POSITIVE: codes.PRESENT,
    AnswerKind.NEGATIVE: codes.ABSENT,
    AnswerKind.INDETERMINATE: codes.INDETERMINATE,
    AnswerKind.NOT_ANALYSED: codes.NOT_ANALYSED,
    AnswerKind.FAILED: codes.FAILED,
}
_EQUIPMENT_LIMIT = 22
_TEXT_LIMIT = 4000
"""The standard lets TX have 65536 characters; receivers' screens and columns have fewer."""
_POINTER_LIMIT = 200


def observations(alert: Alert, profile: Hl7Profile, subject: Subject, warnings: list[str]) -> list[str]:
    """Every OBX with its notes, numbered. Values share one OBX-4, so that a receiver sees what belongs together."""
    writer = _Writer(alert, profile, subject, warnings)
    writer.study()
    writer.answer()
    if not alert.retracts and alert.answer.kind.analysed:
        writer.values()
        writer.category()
    writer.text()
    writer.link()
    return writer.lines


class _Writer:
    def __init__(self, alert: Alert, profile: Hl7Profile, subject: Subject, warnings: list[str]) -> None:
        self.lines: list[str] = []
        self._alert = alert
        self._profile = profile
        self._subject = subject
        self._warnings = warnings
        self._count = 0
        self._status = _status(alert, profile)

    def study(self) -> None:
        uid = self._alert.analysis.study_instance_uid
        kind = self._profile.study_uid
        if kind is StudyUidAs.NONE:
            return
        value = {
            StudyUidAs.ST: components(uid),
            StudyUidAs.HD: components("", uid, "ISO"),
            StudyUidAs.RP: components(uid, "VIGIL", "Application", "DICOM"),
        }[kind]
        self._add(kind.value, STUDY, value, status="O")

    def answer(self) -> None:
        """One of the five answers, coded. A disease's code appears only where the model claims just that disease."""
        alert, kind = self._alert, self._alert.answer.kind
        if not kind.analysed:
            self._computed(self._profile.coded, codes.ANALYSIS_STATUS, coded(_ANSWERS[kind]))
            return
        concept = alert.manifest.finding.concept.code()
        flag = "" if alert.retracts else _flag(alert)
        if kind is AnswerKind.POSITIVE and not concept.scheme.startswith("99"):
            self._computed(self._profile.coded, DIAGNOSTIC_FINDING, coded(concept), flag=flag)
        else:
            self._computed(self._profile.coded, concept, coded(_ANSWERS[kind]), flag=flag)

    def values(self) -> None:
        answer = self._alert.answer
        if not self._alert.tells_numbers:
            return
        if answer.measured is not None:
            self._value(answer.measured, answer.criterion)
        several = len(answer.findings) > 1
        for number, finding in enumerate(answer.findings, 1):
            for measurement in finding.measurements:
                if several or answer.measured is None or measurement.concept != answer.measured.concept:
                    self._value(measurement, None, f"1.{number}" if several else "1")

    def category(self) -> None:
        category = self._alert.acr_category
        if category is not None:
            value = coded(codes.ACR_CATEGORIES[category])
            self._add(self._profile.coded, codes.ACR_CATEGORY, value, group="1", flag=_flag(self._alert))

    def text(self) -> None:
        """The words, for the many receivers that show nothing else, and the notes below them."""
        whole = narrative(self._alert, self._subject, self._profile)
        shown = fit(whole, _TEXT_LIMIT)
        if shown != whole:
            self._warnings.append(f"OBX-5: the text was cut to {_TEXT_LIMIT} characters")
        status = self._profile.result_status if self._alert.retracts else self._status
        flag = "" if self._alert.retracts else _flag(self._alert)
        self._add("TX", FINDINGS_TEXT, escape(shown), group="1", flag=flag, status=status)
        self.lines += [
            segment("NTE", {1: str(number), 3: escape(fit(note, _TEXT_LIMIT))})
            for number, note in enumerate(remarks(self._alert), 1)
        ]

    def link(self) -> None:
        template, report = self._profile.link, self._alert.report_uid
        if template is None or self._alert.retracts or ("{report_uid}" in template and report is None):
            return
        address = template.replace("{study_uid}", self._alert.analysis.study_instance_uid)
        value = components(address.replace("{report_uid}", report or ""), "ORTHANC", "Application", "DICOM")
        if len(value) > _POINTER_LIMIT and self._profile.version is not Version.V251:
            self._warnings.append(f"OBX-5: the link has more than {_POINTER_LIMIT} characters; it was sent whole")
        self._add("RP", DOCUMENT, value)

    def _value(self, measurement: Measurement, criterion: Criterion | None, group: str = "1") -> None:
        limit = f"<{number(criterion.threshold)}" if criterion is not None else ""
        value = number(measurement.value, criterion.threshold if criterion is not None else None)
        flag = _flag(self._alert)
        unit = coded(measurement.unit)
        self._computed("NM", measurement.concept, value, unit=unit, limit=limit, flag=flag, group=group)

    def _computed(
        self, kind: str, concept: Code, value: str, *, unit: str = "", limit: str = "", flag: str = "", group: str = "1"
    ) -> None:
        """An OBX that the model itself computed: with method, equipment, and when image and analysis were made."""
        manifest = self._alert.manifest
        method = Code(f"{manifest.id}-{manifest.version}", "99VIGIL", f"{manifest.name} {manifest.version}")
        started = self._subject.started
        self._add(
            kind, concept, value, group=group, unit=unit, limit=limit, flag=flag,
            observed=timestamp(started) if started else "", method=coded(method), equipment=self._equipment(),
            analysed=timestamp(self._alert.analysis.created_at),
        )

    def _equipment(self) -> str:
        manifest = self._alert.manifest
        whole = components(f"{manifest.id}-{manifest.version}", "VIGIL")
        if len(whole) <= _EQUIPMENT_LIMIT:
            return whole
        shown = fit(f"{manifest.id}-{manifest.version}", _EQUIPMENT_LIMIT)
        warning = "OBX-18: the equipment's name was shortened to 22 characters; OBX-17 has it whole"
        if shown != f"{manifest.id}-{manifest.version}" and warning not in self._warnings:
            self._warnings.append(warning)
        return components(shown)

    def _add(
        self, kind: str, concept: Code, value: str, *, group: str = "", unit: str = "", limit: str = "",
        flag: str = "", status: str = "", observed: str = "", method: str = "", equipment: str = "", analysed: str = "",
    ) -> None:
        self._count += 1
        modern = self._profile.version is Version.V251
        fields = {
            1: str(self._count), 2: kind, 3: coded(concept), 4: group, 5: value, 6: unit, 7: limit, 8: flag,
            11: status or self._status, 14: observed, 17: method, 18: equipment if modern else "",
            19: analysed if modern else "",
        }
        self.lines.append(segment("OBX", fields))


def number(value: float, threshold: float | None = None) -> str:
    """A number with one decimal, or as many as it takes to stand on its own side of the threshold: 4.97 is not 5.0."""
    for decimals in range(1, 7):
        shown = f"{value:.{decimals}f}"
        if threshold is None or (float(shown) >= threshold) == (value >= threshold):
            return shown
    return repr(value)


def _status(alert: Alert, profile: Hl7Profile) -> str:
    """OBX-11 (table 0085): D withdrawn, W wrong patient, X no result; else the profile's, unverified by default."""
    if alert.kind is AlertKind.WITHDRAWAL:
        return "D"
    if alert.kind is AlertKind.WRONG_PATIENT:
        return "W"
    return profile.result_status if alert.answer.kind.analysed else "X"


def _flag(alert: Alert) -> str:
    """OBX-8 (table 0078): AA very abnormal for category 1, A for other positives. Never N: a negative of a model is not
    a normal study."""
    if alert.answer.kind is not AnswerKind.POSITIVE:
        return ""
    return "AA" if alert.acr_category == 1 else "A"
