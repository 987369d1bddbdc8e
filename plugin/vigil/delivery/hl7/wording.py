"""What the person on call reads: plain sentences, the gravest first, each true on its own."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

from vigil.delivery.hl7.alert import Alert, AlertKind, gravest_first
from vigil.delivery.hl7.escape import wrapped
from vigil.delivery.hl7.profile import Hl7Profile
from vigil.delivery.hl7.segment import TEXT_LIMIT
from vigil.delivery.hl7.several import category_of
from vigil.delivery.hl7.subject import Subject
from vigil.domain.answer import Answer, AnswerKind, Finding, Part, gravest_parts_first
from vigil.domain.qualities import followed_by, qualities, qualities_of, qualities_sentence

DISCLAIMER = "Automated result, unread by a physician. Not for primary diagnosis."
NOTICE = "Automated message, unread by a physician. Not for primary diagnosis."
TEST = "TEST MESSAGE, not a result: "
RESEARCH = "Research model: not cleared for clinical use."

_HEADS = {
    AnswerKind.POSITIVE: "AI ALERT, unread: ",
    AnswerKind.NEGATIVE: "AI result, unread: ",
    AnswerKind.INDETERMINATE: "AI INDETERMINATE, unread: ",
    AnswerKind.MEASURED: "AI measurement, unread: ",
    AnswerKind.NOT_ANALYSED: "NOT ANALYSED by AI: ",
    AnswerKind.FAILED: "AI ANALYSIS FAILED: ",
}
_WITHOUT_NUMBERS = {
    AnswerKind.POSITIVE: "{what} suspected.",
    AnswerKind.NEGATIVE: "{what} not detected. This does not exclude it.",
    AnswerKind.INDETERMINATE: "{what}: the model could not decide. This does not exclude it.",
    AnswerKind.MEASURED: "{what} measured.",
}
_PART_WORDS = {
    AnswerKind.POSITIVE: "suspected",
    AnswerKind.NEGATIVE: "not detected",
    AnswerKind.INDETERMINATE: "the model could not decide",
    AnswerKind.NOT_ANALYSED: "not analysed, which is not a negative",
}
_ACTIONS = {
    1: "Please look at the images now: ACR category 1 (to be communicated within minutes).",
    2: "Please look at the images soon: ACR category 2 (to be communicated within hours).",
}


class Slot(IntEnum):
    """What a line of the text is about, in the order in which they are read. A correction's line takes the place of the
    line of the same number in the message before."""

    HEADLINE = 1
    CAUSE = 2
    ACTION = 3
    FINDINGS = 7
    STUDY = 4
    MODEL = 5
    DISCLAIMER = 6


def place_of(slot: Slot, position: int) -> str:
    """OBX-4 of a line of text. Observations of one identifier differ in it, or each would replace the one before."""
    place = "1" if slot is Slot.HEADLINE else f"1.{slot.value}"
    return place if position == 1 else f"{place}.{position}" if slot is not Slot.HEADLINE else f"1.1.{position}"


def narrative(alert: Alert, subject: Subject, profile: Hl7Profile) -> dict[Slot, str]:
    """The text of the message, one thought a line; the headline alone says what happened."""
    lines = {Slot.HEADLINE: (TEST if profile.test else "") + _headline(alert)}
    if alert.kind in (AlertKind.CORRECTION, AlertKind.WITHDRAWAL, AlertKind.WRONG_PATIENT) and alert.cause:
        lines[Slot.CAUSE] = f"Why: {_sentence(alert.cause)}"
    action = _ACTIONS.get(alert.acr_category or 0)
    if not alert.retracts and not alert.answer.kind.analysed:
        lines[Slot.ACTION] = "This says nothing about the images: read the study as if there were no AI."
    elif not alert.retracts and action is not None and (not alert.research or alert.override):
        lines[Slot.ACTION] = action
    if not alert.retracts and alert.answer.parts:
        lines[Slot.FINDINGS] = _parts(alert, alert.answer)
    elif not alert.retracts and len(alert.answer.findings) > 1:
        ordered = enumerate(gravest_first(alert.answer.findings), 1)
        lines[Slot.FINDINGS] = "\n".join(_finding(number, finding, alert) for number, finding in ordered)
    lines[Slot.STUDY] = _study(subject, profile)
    lines[Slot.MODEL] = _model(alert, profile)
    lines[Slot.DISCLAIMER] = _disclaimer(alert)
    return lines


def remarks(alert: Alert) -> list[str]:
    """The notes of the message: that nobody has read it, research, and what limits this answer."""
    notes = [_disclaimer(alert)]
    if alert.research:
        name = f" Alerting at this site was allowed by {_sentence(alert.override)}" if alert.override else ""
        notes.append(RESEARCH + name)
    if not alert.retracts and alert.tells_numbers:
        notes += alert.answer.notes
    return notes


def _disclaimer(alert: Alert) -> str:
    return NOTICE if alert.retracts or not alert.answer.kind.analysed else DISCLAIMER


def _headline(alert: Alert) -> str:
    if alert.kind is AlertKind.WITHDRAWAL:
        return "AI RESULT WITHDRAWN: do not act on the AI result that was sent before for this study."
    if alert.kind is AlertKind.WRONG_PATIENT:
        return "WRONG PATIENT: the AI result that was sent before is not of this patient. Disregard it."
    said = _said(alert)
    if alert.kind is AlertKind.CORRECTION:
        return f"CORRECTED AI RESULT (revision {alert.revision}, replaces the one sent before), {_lower(_head(alert))}{said}"
    return _head(alert) + said


def _head(alert: Alert) -> str:
    return _HEADS[alert.answer.kind]


def _lower(head: str) -> str:
    return head.removeprefix("AI ").replace("ALERT, unread", "still unread").replace("result, unread", "unread")


def _said(alert: Alert) -> str:
    if len(alert.answer.findings) > 1 or alert.answer.parts:  # each has a line of its own
        return _sentence_of(alert)
    return followed_by(_sentence_of(alert), alert.answer)


def _sentence_of(alert: Alert) -> str:
    answer = alert.answer
    if answer.parts:
        return _grave(alert, answer)
    if answer.kind.analysed and not alert.tells_numbers:
        return _WITHOUT_NUMBERS[answer.kind].format(what=alert.manifest.finding.concept.meaning)
    sentence = _sentence(answer.sentence)
    if answer.reason is not None and not answer.kind.analysed and answer.reason.text.rstrip(".") not in sentence:
        sentence += f" Reason: {_sentence(answer.reason.text)}"
    return sentence


def lines_before(alert: Alert, slot: Slot) -> int:
    """How many lines of this kind the message before may have had."""
    before = alert.before
    if before is not None and before.parts and slot in (Slot.HEADLINE, Slot.FINDINGS):
        head = TEST + f"CORRECTED AI RESULT (revision {alert.revision}, replaces the one sent before), {_HEADS[before.kind]}"
        said = head + _grave(alert, before) if slot is Slot.HEADLINE else _parts(alert, before)
        return len(wrapped(said, TEXT_LIMIT))
    if slot is Slot.FINDINGS:
        return 0 if before is None or len(before.findings) < 2 else len(before.findings)
    if slot is Slot.HEADLINE:
        return 3 if before is not None and qualities_sentence(before) else 2
    return 1 if slot is Slot.ACTION else 0


def _grave(alert: Alert, answer: Answer) -> str:
    """Of several findings those that make the answer what it is; the lines of findings tell each."""
    grave = [part for part in answer.parts if part.kind is answer.kind]
    return " ".join(
        _sentence(part.sentence) if part.measured is None or alert.lets_out(part.measured.concept)
        else _WITHOUT_NUMBERS[part.kind].format(what=part.concept.meaning) for part in grave)


def _parts(alert: Alert, answer: Answer) -> str:
    return "\n".join(
        _part(alert, answer, number, part) for number, part in enumerate(gravest_parts_first(answer.parts), 1))


def _part(alert: Alert, answer: Answer, number: int, part: Part) -> str:
    """One of a model's several findings, with what was measured of it: also of one that is negative."""
    told = [_PART_WORDS[part.kind]]
    if part.measured is not None and alert.lets_out(part.measured.concept):
        threshold = "" if part.criterion is None else f" (threshold {part.criterion.text()})"
        told.append(part.measured.text() + threshold)
    told += [item.text() for finding in answer.findings if finding.concept == part.concept for item in finding.measurements[1:]
             if alert.lets_out(item.concept)]
    told += qualities_of(part.concept, answer)
    if (category := category_of(answer, part)) is not None:
        told.append(f"ACR category {category}")
    closing = " This does not exclude it." if part.kind in (AnswerKind.NEGATIVE, AnswerKind.INDETERMINATE) else ""
    return f"Finding {number}: {part.concept.meaning}, {part.site.meaning}: {', '.join(told)}.{closing}"


def _finding(number: int, finding: Finding, alert: Alert) -> str:
    """One of several findings."""
    values = [item.text() for item in finding.measurements if alert.lets_out(item.concept)]
    grade = [] if finding.acr_category is None else [f"ACR category {finding.acr_category}"]
    told = [finding.concept.meaning, finding.site.meaning, *values, *qualities(finding), *grade]
    return f"Finding {number}: {', '.join(told)}."


def _study(subject: Subject, profile: Hl7Profile) -> str:
    parts = [subject.description or "description not given"]
    if subject.started is not None:
        parts.append(moment_text(subject.started, profile))
    if subject.accession:
        parts.append(f"accession {subject.accession}")
    return f"Study: {', '.join(parts)}."


def _model(alert: Alert, profile: Hl7Profile) -> str:
    name = f"{alert.manifest.name} {alert.manifest.version}"
    if alert.research:
        name += " (research use only)"
    if not alert.answer.kind.analysed or alert.retracts:
        return f"Model: {name}, {moment_text(alert.created_at, profile)}."
    images = sum(item.images for item in alert.analysis.inputs)
    when = moment_text(alert.analysis.created_at, profile)
    return f"Model: {name}, analysed {images} image{'' if images == 1 else 's'}, {when}."


def moment_text(moment: datetime, profile: Hl7Profile) -> str:
    """For people: in the site's zone, the month as a word, the offset where it is known."""
    if moment.tzinfo is not None and profile.zone is not None:
        moment = moment.astimezone(profile.zone)
    offset = moment.strftime("%z")
    zone = f" UTC{offset[:3]}:{offset[3:5]}" if offset else ""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment:%Y %H:%M}{zone.replace(' UTC+00:00', ' UTC')}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Not strftime's %b, which follows the locale of the process."""


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else text + "."
