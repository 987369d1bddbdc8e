"""From what is judged of each finding of a model to one answer: of the kind of the gravest, with the others in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vigil.domain.answer import Answer, AnswerKind, Finding, Part, gravest, joined, noted, unanswered
from vigil.domain.manifest import Decided
from vigil.inference.decide import Judgement
from vigil.inference.errors import NothingToSee


@dataclass(frozen=True)
class Told:
    """What the model says of one finding. ``judged``: or why it says nothing."""

    decided: Decided
    judged: Judgement | NothingToSee
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def answer_of(told: Sequence[Told]) -> Answer:
    """
    Raises: NothingToSee where a finding could not be judged, unless another one is positive: a positive may leave a study of
    which not all could be seen, and nothing else may (law 2).
    """
    positive = any(isinstance(one.judged, Judgement) and one.judged.kind is AnswerKind.POSITIVE for one in told)
    for one in told:
        if isinstance(one.judged, NothingToSee) and not positive:
            raise one.judged
    if len(told) == 1 and isinstance(told[0].judged, Judgement):
        return told[0].judged.answer(told[0].findings, told[0].notes)
    parts = tuple(_part(one) for one in told)
    grave = gravest(parts)
    findings = tuple(replace(item, kind=part.kind) for one, part in zip(told, parts, strict=True) for item in one.findings)
    notes = tuple(noted(part.concept, note) for one, part in zip(told, parts, strict=True) for note in one.notes)
    return Answer(grave.kind, joined(parts), grave.criterion, grave.measured, findings, notes=notes, parts=parts)


def _part(one: Told) -> Part:
    entry, judged = one.decided.entry, one.judged
    said = Part(entry.concept.code(), entry.category.code(), entry.site.code(), AnswerKind.NOT_ANALYSED, "")
    if isinstance(judged, NothingToSee):
        return unanswered(said, judged.message)
    named = entry.concept.meaning.lower() in judged.sentence.lower()  # a sentence of one finding need not say of which
    sentence = judged.sentence if named else f"{entry.concept.meaning}: {judged.sentence}"
    return replace(said, kind=judged.kind, sentence=sentence, measured=judged.measured, criterion=judged.criterion)
