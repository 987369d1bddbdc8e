"""The numbers of a message: which of an answer, in which group, and with how many digits."""

from __future__ import annotations

from collections.abc import Iterator

from vigil.delivery.hl7.alert import gravest_first
from vigil.delivery.hl7.several import groups_of
from vigil.domain.answer import Answer, Criterion, Measurement


def numbers_of(answer: Answer) -> Iterator[tuple[Measurement, Criterion | None, str]]:
    """The value that the answer was decided on, then those of the findings, the gravest first, each finding in a group of
    its own where there are several. Of a model of several findings the values of each in its group."""
    if answer.parts:
        for group, part in groups_of(answer):
            if part.measured is not None:
                yield part.measured, part.criterion, group
            for finding in answer.findings:
                if finding.concept == part.concept:
                    yield from ((item, None, group) for item in finding.measurements
                                if part.measured is None or item.concept != part.measured.concept)
        return
    if answer.measured is not None:
        yield answer.measured, answer.criterion, "1"
    several = len(answer.findings) > 1
    for position, finding in enumerate(gravest_first(answer.findings), 1):
        for measurement in finding.measurements:
            if several or answer.measured is None or measurement.concept != answer.measured.concept:
                yield measurement, None, str(position + 1) if several else "1"


def number(value: float, threshold: float | None = None) -> str:
    """A number with one decimal, or as many as it takes to stand on its own side of the threshold: 4.97 is not 5.0."""
    for decimals in range(1, 7):
        shown = f"{value:.{decimals}f}"
        if threshold is None or (float(shown) >= threshold) == (value >= threshold):
            return shown
    return repr(value)
