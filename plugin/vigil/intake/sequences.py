"""Whether a stack is of the sequence that one input of a model asks for: contrast, scanning sequence, echo, repetition and
inversion time. Which series is the T1 and which the FLAIR is told by words of a site where they are, and by these where not.

Unlike the scope these rule out no patient: another series of the study may serve.
"""

from __future__ import annotations

from collections.abc import Sequence

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import Contrast, Range, SeriesInput, WhenUnknown
from vigil.intake.equipment import contrast_given
from vigil.intake.header import ImageHeader
from vigil.intake.scope import lies_within, span


def sequence_reason(images: Sequence[ImageHeader], wanted: SeriesInput) -> Reason | None:
    """Why these images are not those of this input; None where they may be."""
    text = _contrast(images, wanted) or _scanning_sequence(images, wanted) or next(
        (told for name, values, limits in _times(images, wanted) if limits is not None and (told := _time(name, values, limits))),
        None)
    return None if text is None else Reason(Category.NO_SUITABLE_SERIES, text)


def _contrast(images: Sequence[ImageHeader], wanted: SeriesInput) -> str | None:
    given = contrast_given(images)
    if wanted.contrast is Contrast.NONE and given:
        return "a contrast agent was given; this model needs it without"
    if wanted.contrast is Contrast.GIVEN and not given:
        return "the header names no contrast agent; this model needs it with one"
    return None


def _scanning_sequence(images: Sequence[ImageHeader], wanted: SeriesInput) -> str | None:
    rule = wanted.scanning_sequences
    if rule is None:
        return None
    accepted = {value.upper() for value in rule.any_of}
    needed = f"this model needs {' or '.join(rule.any_of)}"
    for image in images:
        if not image.scanning_sequence:
            if rule.unknown is WhenUnknown.REFUSE:
                return f"the header does not give the scanning sequence; {needed}"
        elif accepted.isdisjoint(image.scanning_sequence):
            return f"the scanning sequence is another one; {needed}"
    return None


def _times(
    images: Sequence[ImageHeader], wanted: SeriesInput
) -> tuple[tuple[str, list[float | None], Range | None], ...]:
    return (
        ("echo time", [image.echo_time_ms for image in images], wanted.echo_time_ms),
        ("repetition time", [image.repetition_time_ms for image in images], wanted.repetition_time_ms),
        ("inversion time", [image.inversion_time_ms for image in images], wanted.inversion_time_ms),
    )


def _time(name: str, values: Sequence[float | None], limits: Range) -> str | None:
    needed = f"this model needs {span(limits, ' ms')}"
    for value in values:
        if value is None:
            if limits.unknown is WhenUnknown.REFUSE:
                return f"the header does not give the {name}; {needed}"
        elif not lies_within(value, limits):
            return f"the {name} is {value:g} ms; {needed}"
    return None
