"""The boxes of a detector as they are told: which, under which number, in which words; alike in picture, graphics and
report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vigil.domain.answer import Finding
from vigil.domain.boxes import PatientBox
from vigil.results import wording
from vigil.results.key_slices import LocatedFinding, drawn
from vigil.results.request import ResultRequest

MOST_TOLD = 20
"""One by one, the most certain first; the others are drawn without a word, and counted."""


@dataclass(frozen=True)
class ToldBox:
    """``number``: counted from 1 through all findings; None of a box that is only drawn. ``first``: of its finding's."""

    number: int | None
    item: LocatedFinding
    box: PatientBox
    first: bool = False


def told_boxes(request: ResultRequest) -> tuple[ToldBox, ...]:
    """Every box that may be shown. Those with a number stand first: the most certain one of each finding among them, then the
    most certain of all. They are numbered in that order; where the clearance lets no score out, in the order of their places,
    for a rank would tell of it."""
    found = [
        ToldBox(None, item, box, first=rank == 0)
        for item in drawn(request)
        for rank, box in enumerate(sorted(request.boxes_of(item.finding), key=lambda box: -box.score.value))
    ]
    found.sort(key=lambda told: (not told.first, -told.box.score.value))
    numbered, others = found[:MOST_TOLD], found[MOST_TOLD:]
    scored = all(request.lets_out(told.box.score) for told in found)
    numbered.sort(key=(lambda told: -told.box.score.value) if scored else _place)
    tracked: set[int] = set()
    made = []
    for number, told in enumerate(numbered, start=1):
        made.append(ToldBox(number, told.item, told.box, first=told.item.number not in tracked))
        tracked.add(told.item.number)
    if not scored:
        others.sort(key=_place)
    return *made, *(ToldBox(None, told.item, told.box) for told in others)


def label(request: ResultRequest, told: ToldBox, among: Sequence[ToldBox]) -> str:
    """What stands beside its rectangle: its number, where there are several, and its score. Nothing where no score may leave."""
    if told.number is None or not request.lets_out(told.box.score):
        return ""
    return f"{told.number}  {told.box.score.text()}" if len(among) > 1 else told.box.score.text()


def lines(request: ResultRequest) -> list[str]:
    """Each box in words, and how many more there are."""
    boxes = told_boxes(request)
    told = [_words(request, box) for box in boxes if box.number is not None]
    more = len(boxes) - len(told)
    return [*told, *([f"and {more} more box{'es' if more > 1 else ''}, drawn without a number"] if more else [])]


def count_words(request: ResultRequest, finding: Finding) -> str:
    """ "3 boxes, up to 88.0 %"; nothing of a finding that has none."""
    boxes = request.boxes_of(finding)
    if not boxes:
        return ""
    count = f"{len(boxes)} boxes" if len(boxes) > 1 else "1 box"
    best = max((box.score for box in boxes), key=lambda score: score.value)
    return f"{count}, up to {best.text()}" if request.lets_out(best) else count


def marks(request: ResultRequest) -> str:
    """What is drawn: "contour", "boxes" or both."""
    with_boxes = [bool(request.boxes_of(item.finding)) for item in drawn(request)]
    if all(with_boxes) and with_boxes:
        return "boxes"
    return "contour and boxes" if any(with_boxes) else "contour"


def _words(request: ResultRequest, told: ToldBox) -> str:
    """ "Box 2: Nodule, Certainty of Finding 87.0 %, image 15 (from image 12 to image 17)"."""
    parts, score = told.box.rectangles, told.box.score
    said = [f"Box {told.number}: {told.item.finding.concept.meaning}"]
    if request.lets_out(score):
        said.append(f"{score.concept.meaning} {score.text()}")
    said.append(wording.image_words(request, told.box.middle.index))
    if len(parts) > 1:
        ends = (wording.image_words(request, part.index) for part in (parts[0], parts[-1]))
        said[-1] += f" (from {' to '.join(ends)})"
    return ", ".join(said)


def _place(told: ToldBox) -> tuple[float, ...]:
    middle = told.box.middle
    return middle.index, middle.top, middle.left
