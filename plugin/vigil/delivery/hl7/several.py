"""The several findings of a model in one message: a group of OBX-4 for each, in the order of its manifest."""

from __future__ import annotations

from collections.abc import Iterator

from vigil.domain import codes
from vigil.domain.answer import Answer, AnswerKind, Part
from vigil.domain.concepts import Code

DIAGNOSTIC_FINDING = Code("18782-3", "LN", "Radiology Study observation")
ANSWERS = {
    AnswerKind.POSITIVE: codes.PRESENT,
    AnswerKind.NEGATIVE: codes.ABSENT,
    AnswerKind.INDETERMINATE: codes.INDETERMINATE,
    AnswerKind.MEASURED: codes.MEASURED,
    AnswerKind.NOT_ANALYSED: codes.NOT_ANALYSED,
    AnswerKind.FAILED: codes.FAILED,
}


def groups_of(answer: Answer) -> Iterator[tuple[str, Part]]:
    """The same finding of a model has the same group in every message, whatever is found beside it. None of a single one."""
    return ((str(number), part) for number, part in enumerate(answer.parts, 1))


def category_of(answer: Answer, part: Part) -> int | None:
    """The ACR category of one of several findings."""
    return next((item.acr_category for item in answer.findings if item.concept == part.concept), None)


def coded_part(part: Part) -> tuple[Code, Code]:
    """Name and value of one of several findings."""
    if part.kind is AnswerKind.POSITIVE and DIAGNOSTIC_FINDING in names_of(part.concept):
        return DIAGNOSTIC_FINDING, part.concept
    return part.concept, ANSWERS[part.kind]


def names_of(concept: Code) -> tuple[Code, ...]:
    """Under which a finding may have been told."""
    return (concept,) if concept.scheme.startswith("99") else (concept, DIAGNOSTIC_FINDING)


def flag_of(kind: AnswerKind, category: int | None) -> str:
    """OBX-8 of one of them, as of a single finding."""
    return "" if kind is not AnswerKind.POSITIVE else "AA" if category == 1 else "A"


def flag_in(answer: Answer, group: str) -> str | None:
    """OBX-8 in a group of one of several findings; None of any other, which is as the answer is."""
    return next((flag_of(part.kind, category_of(answer, part)) for own, part in groups_of(answer) if own == group), None)
