"""The several findings of a model in one message: a group of OBX-4 for each, in the order of its manifest."""

from __future__ import annotations

from collections.abc import Iterator

from vigil.domain.answer import Answer, Part


def groups_of(answer: Answer) -> Iterator[tuple[str, Part]]:
    """The same finding of a model has the same group in every message, whatever is found beside it. None of a single one."""
    return ((str(number), part) for number, part in enumerate(answer.parts, 1))


def category_of(answer: Answer, part: Part) -> int | None:
    """The ACR category of one of several findings."""
    return next((item.acr_category for item in answer.findings if item.concept == part.concept), None)
