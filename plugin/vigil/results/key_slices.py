"""Which slices are shown, and from which source image each comes."""

from __future__ import annotations

from dataclasses import dataclass

from vigil.domain.answer import AnswerKind, Finding
from vigil.domain.manifest import PermittedOutput
from vigil.results.options import Captures
from vigil.results.request import ResultRequest

NEIGHBOURS = 2
"""Slices shown on either side of a finding: where it ends can be seen."""
MOST_SHOWN = 12
MOST_CAPTURED = 60
"""Of a finding in more slices those nearest to its key slices are captured, and the summary says so. A copy of hundreds of
slices would fill an archive; who wants them all asks for them."""


@dataclass(frozen=True)
class LocatedFinding:
    """A finding with its place, if there is one to show. ``number`` counts from 1."""

    number: int
    finding: Finding
    key_slice: int | None


def located(request: ResultRequest) -> tuple[LocatedFinding, ...]:
    """Every finding with its key slice: the middle of its most certain box, else the first of its own that bears its mask,
    otherwise the slice where the mask is largest; None without a mask, without source slices, of an answer that has no place, or
    where the clearance permits no location."""
    return tuple(
        LocatedFinding(number, finding, _key_slice(request, finding))
        for number, finding in enumerate(request.answer.findings, start=1)
    )


def drawn(request: ResultRequest) -> tuple[LocatedFinding, ...]:
    """Those that may be drawn: boxes where a location may leave, an outline where a contour may leave as well."""
    return tuple(
        item for item in located(request)
        if item.key_slice is not None and (request.boxes_of(item.finding) or request.permits(PermittedOutput.CONTOUR))
    )


def shown_slices(request: ResultRequest, most: int = MOST_SHOWN) -> tuple[int, ...]:
    """Indices of the slices that show the findings, ascending: those with one and their neighbours; of more than ``most``
    those nearest to the key slices. Of a measurement the key slices alone: there is nothing to look for beside them."""
    keys, bearing = _keys_and_bearing(request)
    if request.answer.kind is AnswerKind.MEASURED:
        return tuple(sorted(keys)[:most])
    last = len(request.sources) - 1
    wanted = {
        neighbour
        for index in bearing
        for neighbour in range(max(0, index - NEIGHBOURS), min(last, index + NEIGHBOURS) + 1)
    }
    nearest = sorted(wanted, key=lambda index: (min(abs(index - key) for key in keys), index))
    return tuple(sorted(nearest[:most]))


def captured_slices(request: ResultRequest) -> tuple[int, ...]:
    """Indices of the slices that are shown in their own geometry, as the options ask, ascending; none where the clearance
    permits no contour and no box, or the answer has no place."""
    if request.voxels is None:
        return ()
    keys, bearing = _keys_and_bearing(request)
    if request.options.captures is Captures.NONE or not bearing:
        return ()
    if request.options.captures is Captures.KEY:
        return tuple(sorted(keys))
    if request.options.captures is Captures.ALL:
        return tuple(range(len(request.sources)))
    return shown_slices(request, MOST_CAPTURED)


def bearing_slices(request: ResultRequest) -> set[int]:
    """Indices of the slices that bear a finding that is drawn."""
    return _keys_and_bearing(request)[1]


def _keys_and_bearing(request: ResultRequest) -> tuple[set[int], set[int]]:
    keys: set[int] = set()
    bearing: set[int] = set()
    for item in drawn(request):
        boxes = request.boxes_of(item.finding)
        of_finding = {part.index for box in boxes for part in box.rectangles} or set(request.slices_of(item.finding))
        bearing |= of_finding
        most_certain = sorted(boxes, key=lambda box: -box.score.value)[:MOST_SHOWN]
        keys |= {box.middle.index for box in most_certain} or of_finding.intersection(item.finding.key_slices)
        keys |= set() if item.key_slice is None else {item.key_slice}
    return keys, bearing


def pictured_slice(request: ResultRequest) -> int | None:
    """The slice that the summary shows: that of the first finding, otherwise the most telling that the answer names,
    otherwise the middle one."""
    if request.voxels is None or not request.answer.kind.analysed:
        return None
    if request.permits(PermittedOutput.LOCATION):
        for item in located(request):
            if item.key_slice is not None:
                return item.key_slice
        for finding in request.answer.findings:
            for index in finding.key_slices:
                if 0 <= index < len(request.sources):
                    return index
    return len(request.sources) // 2


def _key_slice(request: ResultRequest, finding: Finding) -> int | None:
    mask = request.mask_of(finding)
    located = request.answer.kind_of(finding).shows_place and request.permits(PermittedOutput.LOCATION)
    if mask is None or not request.sources or not located:
        return None
    if boxes := request.boxes_of(finding):
        return max(boxes, key=lambda box: box.score.value).middle.index
    for index in finding.key_slices:
        if 0 <= index < mask.shape[0] and bool(mask[index].any()):
            return index
    return int(mask.sum(axis=(1, 2)).argmax())
