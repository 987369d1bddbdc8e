"""The legend of the summary: which colour is which finding, how much of it was measured, and where it is seen best."""

from __future__ import annotations

from dataclasses import dataclass

from vigil.domain.answer import AnswerKind
from vigil.results import wording
from vigil.results.boxes import MOST_TOLD, count_words, told_boxes
from vigil.results.key_slices import bearing_slices, captured_slices, drawn
from vigil.results.lettering import Colour
from vigil.results.options import Captures
from vigil.results.picture import colour_of
from vigil.results.request import ResultRequest

MOST_ENTRIES = 4


@dataclass(frozen=True)
class Entry:
    """``colour``: of the contour; None of a line that only says something."""

    text: str
    colour: Colour | None = None


def legend(request: ResultRequest) -> tuple[Entry, ...]:
    """A line for each finding that is drawn, and what the captures leave out."""
    findings = drawn(request)
    entries = []
    for item in findings[:MOST_ENTRIES]:
        parts = [f"{item.number}  {item.finding.concept.meaning}" if len(findings) > 1 else item.finding.concept.meaning]
        boxes = count_words(request, item.finding)
        parts.extend([boxes] if boxes else (
            number.text() for number in item.finding.measurements[:1] if request.lets_out(number)))
        if item.key_slice is not None and len(request.sources) > 1:
            parts.append(wording.image_words(request, item.key_slice))
        entries.append(Entry(", ".join(parts), colour_of(item.number)))
    if len(findings) > MOST_ENTRIES:
        entries.append(Entry(f"and {len(findings) - MOST_ENTRIES} more findings, in the report"))
    if len(told_boxes(request)) > MOST_TOLD:
        entries.append(Entry(f"{MOST_TOLD} of the boxes are told one by one, in the report"))
    left_out = bearing_slices(request) - set(captured_slices(request))
    told = request.options.captures is Captures.FINDINGS and request.answer.kind is not AnswerKind.MEASURED
    if left_out and told:
        entries.append(Entry(f"{len(left_out)} more images with a finding are not among the key slices."))
    return tuple(entries)
