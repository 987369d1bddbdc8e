"""From a measured value to an answer: the operating point's thresholds, the abstain band, the manifest's own sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vigil.domain.answer import Answer, AnswerKind, Criterion, Finding, Measurement, Reason, number, unit_text
from vigil.domain.codes import UNITS
from vigil.domain.manifest import Decided, FindingEntry
from vigil.inference.errors import NothingToSee

_BEFORE_A_STOP = re.compile(r" +([.,;:]| )")
"""What a sentence holds where its unit is none."""


@dataclass(frozen=True)
class Judgement:
    """``criterion``: None where a measurement decides nothing."""

    kind: AnswerKind
    measured: Measurement
    criterion: Criterion | None
    sentence: str

    def answer(self, findings: tuple[Finding, ...], notes: tuple[str, ...] = ()) -> Answer:
        return Answer(self.kind, self.sentence, self.criterion, self.measured, findings, notes=notes)


def judge(value: float, decided: Decided, operating_point: str) -> Judgement:
    """The value, in the finding's unit, against the operating point.

    Decided on the value as it is said, so that no sentence reads "5.0 mL, below 5.0 mL".
    """
    entry = decided.entry
    measured = Measurement(entry.measurement.code(), round(value, 1), UNITS[entry.unit])
    if entry.measured:
        return Judgement(AnswerKind.MEASURED, measured, None, _said(entry.measured, measured))
    point = decided.operating_points[operating_point]
    criterion = Criterion(operating_point, measured.concept, point.positive, measured.unit)
    if measured.value >= point.positive:
        kind, sentence = AnswerKind.POSITIVE, entry.positive
    elif point.indeterminate is not None and measured.value >= point.indeterminate:
        kind, sentence = AnswerKind.INDETERMINATE, entry.indeterminate
    else:
        kind, sentence = AnswerKind.NEGATIVE, entry.negative
    return Judgement(kind, measured, criterion, _said(sentence, measured, criterion))


def finding_of(
    judgement: Judgement, entry: FindingEntry, region: str | None, slices: tuple[int, ...],
    further: tuple[Measurement, ...] = (),
) -> Finding:
    return Finding(
        concept=entry.concept.code(), category=entry.category.code(), site=entry.site.code(),
        measurements=(judgement.measured, *further), region=region, key_slices=slices,
        acr_category=entry.acr_category if judgement.kind is AnswerKind.POSITIVE else None,
    )


def not_analysed(reason: Reason) -> Answer:
    return Answer(
        AnswerKind.NOT_ANALYSED, f"Not analysed: {reason.text}. This is not a negative result.", reason=reason
    )


def not_measured(why: NothingToSee) -> Answer:
    """Of a model that decides nothing."""
    return Answer(
        AnswerKind.NOT_ANALYSED, f"Not analysed: {why.message}. Nothing was measured.", reason=Reason(why.category, why.message)
    )


def _said(sentence: str, measured: Measurement, criterion: Criterion | None = None) -> str:
    threshold = "" if criterion is None else number(criterion.threshold, criterion.unit)
    unit = unit_text(measured.unit)
    return _BEFORE_A_STOP.sub(r"\1", sentence.format(value=number(measured.value, measured.unit), unit=unit, threshold=threshold))
