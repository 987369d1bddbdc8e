"""The OBX segments: study, coded answer, value, ACR category, text, link."""

from __future__ import annotations

from functools import partial

from vigil.delivery.hl7.alert import Alert, AlertKind
from vigil.delivery.hl7.escape import escape, wrapped
from vigil.delivery.hl7.profile import AcrIn, Hl7Profile, LinkAs, StudyUidAs, Version
from vigil.delivery.hl7.segment import TEXT_LIMIT, coded, components, segment, timestamp
from vigil.delivery.hl7.several import (
    ANSWERS,
    DIAGNOSTIC_FINDING,
    category_of,
    coded_part,
    flag_in,
    flag_of,
    groups_of,
    names_of,
)
from vigil.delivery.hl7.severity import severities, severities_before
from vigil.delivery.hl7.subject import Subject
from vigil.delivery.hl7.values import number, numbers_of
from vigil.delivery.hl7.wording import Slot, lines_before, narrative, place_of, remarks
from vigil.domain import codes
from vigil.domain.answer import AnswerKind, Criterion, Measurement
from vigil.domain.concepts import Code

FINDINGS_TEXT = Code("59776-5", "LN", "Procedure findings")
DOCUMENT = Code("55112-7", "LN", "Document summary")
_EQUIPMENT_LIMIT = 22
_LONGEST_LINK = {(LinkAs.RP, Version.V231): 200, (LinkAs.RP, Version.V24): 200} | {
    (LinkAs.ST, version): TEXT_LIMIT for version in Version
}


def observations(alert: Alert, profile: Hl7Profile, subject: Subject, warnings: list[str]) -> list[str]:
    """Every OBX with its notes, numbered. Values share one OBX-4, so that a receiver sees what belongs together.

    A message that takes back names the same observations with status D or W and no value. A correction deletes, with
    status D, what the message before may have said and this one does not: else a category 1 would stay standing.
    """
    writer = _Writer(alert, profile, subject, warnings)
    writer.study()
    writer.answer()
    writer.values()
    writer.category()
    writer.severity()
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
        self._coded = partial(coded, systems=profile.coding_systems)

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
        self._add(kind.value, self._profile.study, value, status="O")

    def answer(self) -> None:
        """One of the six answers, coded. A disease's code appears only where the model claims just that disease."""
        if not self._profile.coded_answer:
            return
        if self._alert.answer.parts:
            self._answers()
            return
        kind, value_type = self._alert.answer.kind, self._profile.coded
        concept = self._alert.manifest.finding.concept.code()
        disease = not concept.scheme.startswith("99")
        said: Code | None = None
        if not self._alert.retracts:
            if not kind.analysed or kind is AnswerKind.MEASURED:
                said, value = codes.ANALYSIS_STATUS, ANSWERS[kind]
            elif disease and kind is AnswerKind.POSITIVE:
                said, value = DIAGNOSTIC_FINDING, concept
            else:
                said, value = concept, ANSWERS[kind]
            self._computed(value_type, said, self._coded(value), producer=self._category_in(AcrIn.OBX_15))
        for other in (concept, codes.ANALYSIS_STATUS, *((DIAGNOSTIC_FINDING,) if disease else ())):
            if other != said:
                self._erase(other, value_type)
        for name, group in self._of_several_before():
            if group != "1" or name not in (said, concept, codes.ANALYSIS_STATUS, DIAGNOSTIC_FINDING):
                self._erase(name, value_type, group)

    def _answers(self) -> None:
        """Of several findings each one, also what is negative, in a group of its own. What was said in a group before and is not
        now, is erased there."""
        said: set[tuple[Code, str]] = set()
        for group, part in () if self._alert.retracts else groups_of(self._alert.answer):
            name, value = coded_part(part)
            category = category_of(self._alert.answer, part)
            producer = self._coded_category(category) if self._profile.acr_category is AcrIn.OBX_15 else ""
            self._computed(self._profile.coded, name, self._coded(value), group=group, flag=flag_of(part.kind, category),
                           producer=producer)
            said.add((name, group))
        main = self._alert.manifest.finding.concept.code()
        before = [*((name, "1") for name in names_of(main)), *self._of_several_before(), (codes.ANALYSIS_STATUS, "1")]
        for name, group in dict.fromkeys(before):
            if (name, group) not in said:
                self._erase(name, self._profile.coded, group)

    def _of_several_before(self) -> list[tuple[Code, str]]:
        """What the message before may have said of several findings, by group."""
        before = self._alert.before
        return [] if before is None else [
            (name, group) for group, part in groups_of(before) for name in names_of(part.concept)]

    def values(self) -> None:
        if not self._profile.values:
            return
        numbers = [] if self._alert.retracts else numbers_of(self._alert.answer)
        told = [item for item in numbers if self._alert.lets_out(item[0].concept)]
        for measurement, criterion, group in told:
            self._value(measurement, criterion, group)
        before = self._alert.before
        said = [(item.concept, group) for item, _, group in ([] if before is None else numbers_of(before))]
        stands = {(item.concept, group) for item, _, group in told}
        for concept, group in dict.fromkeys([(self._alert.manifest.finding.measurement.code(), "1"), *said]):
            if (concept, group) not in stands and self._alert.lets_out(concept):
                self._erase(concept, "NM", group)

    def category(self) -> None:
        if self._profile.acr_category is not AcrIn.OBX:
            return
        if self._alert.answer.parts or (self._alert.before is not None and self._alert.before.parts):
            self._categories()
            return
        value = self._category_in(AcrIn.OBX)
        if not value:
            self._erase(codes.ACR_CATEGORY, self._profile.coded)
            return
        self._add(self._profile.coded, codes.ACR_CATEGORY, value, group="1", flag=_flag(self._alert))

    def _categories(self) -> None:
        """Of several findings each in its own group."""
        answer, said = self._alert.answer, set()
        for group, part in () if self._alert.retracts else groups_of(answer):
            category = category_of(answer, part)
            if category is not None:
                self._add(self._profile.coded, codes.ACR_CATEGORY, self._coded_category(category), group=group,
                          flag=flag_of(part.kind, category))
                said.add(group)
        if not answer.parts and (value := self._category_in(AcrIn.OBX)):
            self._add(self._profile.coded, codes.ACR_CATEGORY, value, group="1", flag=_flag(self._alert))
            said.add("1")
        for group in dict.fromkeys(["1", *(group for _, group in self._of_several_before())]):
            if group not in said:
                self._erase(codes.ACR_CATEGORY, self._profile.coded, group)

    def _coded_category(self, category: int | None) -> str:
        return "" if category is None else self._coded(codes.ACR_CATEGORIES[category])

    def _category_in(self, place: AcrIn) -> str:
        """The coded category, where the profile wants it in this place and it stands."""
        category = self._alert.acr_category
        if category is None or self._alert.retracts or self._profile.acr_category is not place:
            return ""
        return self._coded_category(category)

    def severity(self) -> None:
        """Of each finding in its group of OBX-4. A correction replaces it there, and deletes it where none is told any more."""
        if not self._profile.values:
            return
        stands = severities(self._alert)
        for group, severity in stands.items():
            self._computed(self._profile.coded, codes.SEVERITY, self._coded(severity), group=group,
                           flag=flag_in(self._alert.answer, group))
        for group in severities_before(self._alert):
            if group not in stands:
                self._erase(codes.SEVERITY, self._profile.coded, group)

    def text(self) -> None:
        """The words, for the many receivers that show nothing else: a line an OBX, as reports are sent, because many
        receivers do not know ``\\.br\\`` and cut what is long. The notes follow the last line."""
        alert = self._alert
        status = self._profile.result_status if alert.retracts else self._status
        said = narrative(alert, self._subject, self._profile)
        replaces = alert.retracts or alert.kind is AlertKind.CORRECTION
        for slot in Slot:
            lines = wrapped(said.get(slot, ""), TEXT_LIMIT)
            flag = _flag(alert) if slot in (Slot.HEADLINE, Slot.ACTION) else ""
            headline = slot is Slot.HEADLINE and not self._profile.coded_answer
            for position, line in enumerate(lines, 1):
                self._add("TX", FINDINGS_TEXT, escape(line), group=place_of(slot, position), flag=flag, status=status,
                          producer=self._category_in(AcrIn.OBX_15) if headline and position == 1 else "")
            if replaces:  # a receiver that replaces line by line must not keep half of the old text
                for position in range(len(lines) + 1, lines_before(alert, slot) + 1):
                    self._add("TX", FINDINGS_TEXT, "", group=place_of(slot, position), status="D")
        if not self._profile.notes:
            return
        notes = [line for note in remarks(self._alert) for line in wrapped(note, TEXT_LIMIT)]
        self.lines += [segment("NTE", {1: str(position), 3: escape(line)}) for position, line in enumerate(notes, 1)]

    def link(self) -> None:
        template, report = self._profile.link, self._alert.report_uid
        if template is None or self._alert.retracts or ("{report_uid}" in template and report is None):
            return
        address = template.replace("{study_uid}", self._alert.analysis.study_instance_uid)
        pointer = address.replace("{report_uid}", report or "")
        kind, longest = self._profile.link_as, _LONGEST_LINK.get((self._profile.link_as, self._profile.version))
        value = components(pointer, "ORTHANC", "Application", "DICOM") if kind is LinkAs.RP else escape(pointer)
        if longest is not None and len(value) > longest:
            self._warnings.append(f"OBX-5: the link has more than {longest} characters; it was sent whole")
        self._add(kind.value, DOCUMENT, value)

    def _value(self, measurement: Measurement, criterion: Criterion | None, group: str) -> None:
        limit = f"<{number(criterion.threshold)}" if criterion is not None else ""
        value = number(measurement.value, criterion.threshold if criterion is not None else None)
        self._computed("NM", measurement.concept, value, unit=self._coded(measurement.unit), limit=limit, group=group,
                       flag=flag_in(self._alert.answer, group))

    def _computed(
        self, kind: str, concept: Code, value: str, *, unit: str = "", limit: str = "", group: str = "1",
        producer: str = "", flag: str | None = None,
    ) -> None:
        """An OBX that the model itself computed: with method, equipment, and when image and analysis were made."""
        manifest = self._alert.manifest
        method = Code(f"{manifest.id}-{manifest.version}", "99VIGIL", f"{manifest.name} {manifest.version}")
        started = self._subject.started
        self._add(
            kind, concept, value, group=group, unit=unit, limit=limit, flag=_flag(self._alert) if flag is None else flag,
            observed=timestamp(started) if started else "", method=self._coded(method), equipment=self._equipment(),
            analysed=timestamp(self._alert.analysis.created_at), producer=producer,
        )

    def _erase(self, concept: Code, kind: str, group: str = "1") -> None:
        """This observation, if it was sent before, no longer stands. Without a value: a receiver that overlooks the
        status must not show the number again. A first result has nothing to erase."""
        if self._alert.retracts:
            self._add(kind, concept, "", group=group, status=self._status)
        elif self._alert.kind is AlertKind.CORRECTION:
            self._add(kind, concept, "", group=group, status="D")

    def _equipment(self) -> str:
        """OBX-18, since 2.5. What is too long loses the end of its name, not its version."""
        if self._profile.version is not Version.V251:
            return ""
        manifest = self._alert.manifest
        whole = f"{manifest.id}-{manifest.version}"
        with_us = components(whole, "VIGIL")
        if len(with_us) <= _EQUIPMENT_LIMIT:
            return with_us
        shown = f"{manifest.id[: _EQUIPMENT_LIMIT - len(manifest.version) - 1]}-{manifest.version}"
        warning = "OBX-18: the equipment's name was shortened to 22 characters; OBX-17 has it whole"
        if shown != whole and warning not in self._warnings:
            self._warnings.append(warning)
        return components(shown)

    def _add(
        self, kind: str, concept: Code, value: str, *, group: str = "", unit: str = "", limit: str = "",
        flag: str = "", status: str = "", observed: str = "", method: str = "", equipment: str = "", analysed: str = "",
        producer: str = "",
    ) -> None:
        self._count += 1
        modern = self._profile.version is Version.V251
        if not group and self._profile.version is Version.V231:
            group = "1"  # required there
        fields = {
            1: str(self._count), 2: kind, 3: self._coded(concept), 4: group, 5: value, 6: unit, 7: limit, 8: flag,
            11: status or self._status, 14: observed, 15: producer, 17: method, 18: equipment,
            19: analysed if modern else "",
        }
        self.lines.append(segment("OBX", fields))


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
    if alert.retracts or alert.answer.kind is not AnswerKind.POSITIVE:
        return ""
    return flag_of(alert.answer.kind, alert.acr_category)
