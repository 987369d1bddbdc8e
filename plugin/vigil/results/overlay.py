"""A source slice with what the model found drawn on it: same matrix, same place, the anatomy left visible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vigil.results import wording
from vigil.results.box_frames import BoxFrames
from vigil.results.contour import Mask, grown, rings, surroundings
from vigil.results.heat_map import HeatMap, blend, scale_picture
from vigil.results.inscription import Line, Scribe, free_place
from vigil.results.key_slices import LocatedFinding, drawn, located
from vigil.results.lettering import Hand
from vigil.results.moment import Moment
from vigil.results.picture import OUTLINE_COLOUR, Window, colour_of, grey
from vigil.results.request import ResultRequest

ROOM_FOR_TEXT = 320
"""From this matrix size on there is room for text beside the contour; below it the summary image carries the words."""
MARGIN = 0.08
"""Of the image's size: the corners belong to the viewer."""
MOST_NAMED = 3
YELLOW = (255, 222, 50)
WHITE = (240, 240, 240)

SHORT_BANNERS = (wording.NOT_PRIMARY, "AI - NOT FOR PRIMARY DIAGNOSIS", "AI - NOT FOR DIAGNOSIS", "AI RESULT", "AI")


class Overlays:
    """The slices of one series, drawn alike: the same words in the same places, wherever one scrolls.

    ``shown``: indices of the slices that will be drawn; no word stands where one of them has a finding.

    Raises:
        ValueError: the request has no voxels.
    """

    def __init__(self, request: ResultRequest, shown: Sequence[int]) -> None:
        if request.voxels is None:
            raise ValueError("an overlay needs voxels")
        self._request, self._voxels = request, request.voxels
        self._shape = (int(request.voxels.shape[1]), int(request.voxels.shape[2]))
        self._side = min(self._shape)
        self._scribe = Scribe()
        findings = located(request)
        masks = ((item, request.mask_of(item.finding)) for item in drawn(request) if not request.boxes_of(item.finding))
        self._masks = [(item, mask) for item, mask in masks if mask is not None]
        self._several = len(findings) > 1
        self._line_width = 1 if self._side < ROOM_FOR_TEXT else max(2, round(self._side / 420))
        self._boxes = BoxFrames(request, self._shape, self._line_width, self._scribe)
        self._heat = request.heat_map if request.shows_contours else None
        self._hand, self._plain = self._hands()
        self._names = {item.number: self._name(item) for item in findings}
        self._values = {item.number: self._value_lines(item) for item in findings} if request.answer.parts else {}
        self._score = self._score_lines()
        self._notice, self._origin = self._notice_lines(), self._origin_lines()
        self._captions = {index: self._caption(index) for index in shown}
        widest = sorted((line for lines in self._captions.values() for line in lines), key=lambda line: -line.width)
        widest = widest[: max(map(len, self._captions.values()), default=0)]
        busy = self._busy(shown)
        self._notice_place = free_place(self._notice, MARGIN, busy, at_top=True)
        busy[self._notice_place.area] = True
        self._caption_place = free_place(widest, MARGIN, busy, at_top=False)
        for place in (self._notice_place, self._caption_place):
            self._boxes.keep_off(place.area)

    def draw(self, index: int, window: Window) -> NDArray[np.uint8]:
        """The slice ``index`` as RGB [row, column, 3], with contours, boxes and, where there is room, words."""
        values = grey(self._voxels[index], window)
        rgb = np.empty((*values.shape, 3), np.uint8)
        for channel in range(3):
            rgb[:, :, channel] = values
        if self._heat is not None:
            blend(rgb, self._heat, self._heat.values[index])
        self._contours(rgb, index)
        self._boxes.draw(rgb, index)
        self._scribe.write_block(rgb, self._notice_place, self._notice)
        self._scribe.write_block(rgb, self._caption_place, self._captions[index])
        if self._heat is not None and self._side >= ROOM_FOR_TEXT:
            self._scale(rgb, self._heat)
        return rgb

    def _busy(self, shown: Sequence[int]) -> Mask:
        """Where a finding is in any of the slices, and a little around it."""
        busy: Mask = np.zeros(self._shape, bool)
        for _, mask in self._masks:
            for index in shown:
                busy |= mask[index]
        busy = grown(busy, self._line_width + 2)
        for index in shown:
            self._boxes.occupy(busy, index)
        return busy

    def _contours(self, rgb: NDArray[np.uint8], index: int) -> None:
        drawn = []
        for item, mask in self._masks:
            field = surroundings(mask[index], self._line_width + 1)
            if field is not None:
                drawn.append((item, field, *rings(mask[index][field], self._line_width)))
        for _, field, _, border in drawn:
            rgb[field][border] = OUTLINE_COLOUR
        for item, field, ring, _ in drawn:
            rgb[field][ring] = colour_of(item.number)
        if self._several:
            for item, field, _, _ in drawn:
                line = Line(str(item.number), Hand(max(11, self._side / 30), colour_of(item.number)))
                beside = field[1].stop + self._line_width
                left = beside if beside + line.width < self._shape[1] else field[1].start - line.width - self._line_width
                self._scribe.write(rgb, left, field[0].start, line)

    def _notice_lines(self) -> list[Line]:
        """What this is, on every slice."""
        request, (rows, columns) = self._request, self._shape
        room = columns * (1 - 2 * MARGIN)
        if self._side < ROOM_FOR_TEXT:
            hand = Hand(max(9, round(self._side / 23)), YELLOW)
            banner = next((text for text in SHORT_BANNERS if hand.width(text) <= room), SHORT_BANNERS[-1])
            marked = request.is_research and rows >= 192
            return [Line(banner, hand), *([Line("RESEARCH", hand)] if marked else [])]
        return [Line(text, self._hand) for text in (wording.NOT_PRIMARY, *([wording.RESEARCH] if request.is_research else []))]

    def _caption(self, index: int) -> list[Line]:
        """Which image this is, by which model and when; and only where a finding is, what was found and how much."""
        if self._side < ROOM_FOR_TEXT:
            return []
        here = sorted({item.number for item, mask in self._masks if mask[index].any()} | self._boxes.findings_on(index))
        lines = [line for number in here[:MOST_NAMED] for line in (self._names[number], *self._values.get(number, ()))]
        if len(here) > MOST_NAMED:
            lines.append(Line(f"and {len(here) - MOST_NAMED} more", self._hand))
        if here:
            lines.extend(self._score)
        return [*lines, Line(wording.slice_words(self._request, index), self._plain), *self._origin]

    def _name(self, item: LocatedFinding) -> Line:
        number = f"{item.number}  " if self._several else ""
        return Line(number + item.finding.concept.meaning, Hand(self._hand.size, colour_of(item.number)))

    def _value_lines(self, item: LocatedFinding) -> list[Line]:
        """Of one of several findings: what it was decided on."""
        said = (wording.part_value(self._request, part) for part in self._request.answer.parts
                if part.concept == item.finding.concept)
        return [Line(text, self._hand) for text in said if text]

    def _score_lines(self) -> list[Line]:
        told = wording.score(self._request)
        if told is None:
            return []
        in_all = " in all" if len(self._request.sources) > 1 else ""
        return [Line(f"{told.value_text}{in_all} (threshold {told.threshold_text})", self._hand)]

    def _origin_lines(self) -> list[Line]:
        """By which model, and when."""
        if self._side < ROOM_FOR_TEXT:
            return []
        request, plain = self._request, self._plain
        model = f"{request.manifest.name} {request.manifest.version}"
        moment = Moment.of(request.analysis.created_at, request.reference).words()
        both = Line(f"{model}, {moment}", plain)
        fits = both.width <= self._shape[1] * (1 - 2 * MARGIN)
        return [both] if fits else [Line(model, plain), Line(moment, plain)]

    def _hands(self) -> tuple[Hand, Hand]:
        size = max(14, round(self._side / 32))
        return Hand(size, YELLOW), Hand(size * 0.9, WHITE)

    def _scale(self, rgb: NDArray[np.uint8], heat: HeatMap) -> None:
        """The colours of the heat map with their values, at the right edge."""
        rows, columns = self._shape
        plain = self._plain
        height, width = round(rows * 0.24), max(8, round(columns * 0.022))
        right, top = columns - round(columns * MARGIN), round(rows * 0.4)
        rgb[top - 1 : top + height + 1, right - width - 1 : right + 1] = OUTLINE_COLOUR
        rgb[top : top + height, right - width : right] = scale_picture(height, width)
        label, high, low = (Line(text, plain) for text in (heat.label, heat.words(heat.high), heat.words(heat.low)))
        for line, at in ((label, top - 2 * high.height), (high, top - high.height), (low, top + height)):
            self._scribe.write(rgb, right - line.width, at, line)
