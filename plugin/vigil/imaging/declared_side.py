"""Which side of the patient images say that they show: Image Laterality, Laterality, Frame Laterality (PS3.3 C.7.3.1, C.8.11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum, auto

from pydicom import Dataset


class DeclaredSide(Enum):
    LEFT = auto()
    RIGHT = auto()
    NONE = auto()
    """Nothing is said, or "both", or "unpaired": the images show more than one side."""
    CONTRADICTORY = auto()
    """One attribute or image says left, and another right."""


def declared_side(sources: Iterable[Dataset]) -> DeclaredSide:
    """Of all images together."""
    said = {value.strip().upper() for source in {id(source): source for source in sources}.values() for value in _said(source)}
    sides = said & {"L", "R", "B"}
    if not sides or sides == {"B"}:
        return DeclaredSide.NONE
    if len(sides) > 1:
        return DeclaredSide.CONTRADICTORY
    return DeclaredSide.LEFT if "L" in sides else DeclaredSide.RIGHT


def _said(source: Dataset) -> Iterator[str]:
    for keyword in ("ImageLaterality", "Laterality"):
        yield str(source.get(keyword) or "")
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in source.get(groups) or ():
            for anatomy in group.get("FrameAnatomySequence") or ():
                yield str(anatomy.get("FrameLaterality") or "")
