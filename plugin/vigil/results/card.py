"""The summary image: one picture that tells a reader the whole story, in any viewer, without another click.

Everything stands eight per cent inside the edges, for viewers write into all four corners. Nothing on it names the
patient: who it is stands in the header.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vigil.results import wording
from vigil.results.boxes import marks, told_boxes
from vigil.results.heat_map import HeatMap, scale_picture
from vigil.results.key_slices import drawn, pictured_slice
from vigil.results.legend import legend
from vigil.results.lettering import Colour, Hand
from vigil.results.marks import (
    BACKGROUND,
    KIND_COLOURS,
    LINE,
    MUTED,
    PANEL,
    TEXT,
    YELLOW,
    gauge,
    panel,
    sign,
)
from vigil.results.moment import Moment
from vigil.results.parts import draw_parts
from vigil.results.picture import edge_letters, spacing_mm_of, square_picture, window_of
from vigil.results.request import ResultRequest

SIDE = 1024
LEFT = round(SIDE * 0.08)
WIDTH = SIDE - 2 * LEFT
BOTTOM = SIDE - LEFT
PICTURE = 424
GAP = 28
COLUMN = LEFT + PICTURE + GAP
COLUMN_WIDTH = WIDTH - PICTURE - GAP
LABEL_WIDTH = 132
LEGEND_ROW = 28
SWATCH = 36


def draw_card(request: ResultRequest) -> NDArray[np.uint8]:
    """The summary as RGB [1024, 1024, 3]."""
    image = Image.new("RGB", (SIDE, SIDE), BACKGROUND)
    draw = ImageDraw.Draw(image)
    y = _banner(request, image, draw)
    y = _heading(request, image, draw, y)
    footer = _footer_rows(request)
    footer_top = BOTTOM - sum(row.height for row in footer)
    if request.answer.kind.analysed:
        _answer(request, image, draw, y, _legend(request, image, draw, footer_top - 34))
    else:
        _no_answer(request, image, draw, y, footer_top - 34)
    draw.line((LEFT, footer_top - 18, LEFT + WIDTH, footer_top - 18), fill=LINE, width=2)
    for row in footer:
        row.write(draw, footer_top)
        footer_top += row.height
    return np.asarray(image)


def _banner(request: ResultRequest, image: Image.Image, draw: ImageDraw.ImageDraw) -> int:
    lines = [wording.NOT_PRIMARY, *([wording.RESEARCH] if request.is_research else [])]
    top, height = round(SIDE * 0.065), 26 + 36 * len(lines)
    panel(image, (LEFT, top, LEFT + WIDTH, top + height), BACKGROUND, YELLOW, 3)
    for number, line in enumerate(lines):
        hand = Hand(30 if number == 0 else 26, YELLOW, bold=0.6 if number == 0 else 0)
        hand.write(draw, (SIDE / 2, top + 32 + 36 * number), line, anchor="mm")
    return top + height + 24


def _heading(request: ResultRequest, image: Image.Image, draw: ImageDraw.ImageDraw, y: int) -> int:
    kind, manifest = request.answer.kind, request.manifest
    name = Hand(28, MUTED)
    name.write_block(draw, (LEFT, y), f"{manifest.name} {manifest.version}", WIDTH, most_lines=1)
    y += 46
    sign(image, LEFT, y, 70, kind)
    word = wording.KIND_WORDS[kind]
    big = next(hand for size in (68, 60, 52, 44) if (hand := Hand(size, KIND_COLOURS[kind], 1.4)).width(word) < WIDTH - 98)
    big.write(draw, (LEFT + 96, y + 36), word, anchor="lm")
    return y + 70 + 26


def _answer(request: ResultRequest, image: Image.Image, draw: ImageDraw.ImageDraw, y: int, bottom: int) -> None:
    """Left the picture, right what was measured and what it means."""
    left, width = LEFT, WIDTH
    side = min(PICTURE, bottom - y - 34)
    if _picture(request, image, draw, (LEFT, y), side):
        left, width = LEFT + side + GAP, WIDTH - side - GAP
    if request.answer.parts:
        draw_parts(request, image, draw, (left, y), (width, bottom - y))
        return
    told, plain = wording.score(request), wording.plain_value(request)
    score_height = 190 if told is not None else 116 if plain is not None else 0
    text = wording.sentence(request)
    room = bottom - y - score_height - 44
    hand = _largest(text, width, room, (28, 26, 24, 22, 20, 18))
    below = hand.write_block(draw, (left, y - 4), text, width, most_lines=max(1, room // hand.line_height()))
    if told is not None:
        below = max(below + 22, y + 150 if width < WIDTH else 0)
        below = _score(image, draw, told, (left, below), width, KIND_COLOURS[request.answer.kind])
    if plain is not None:
        below = Hand(20, MUTED).write_block(draw, (left, below + 22), plain[0], width, most_lines=2)
        Hand(58, TEXT, 1.0).write(draw, (left, below), plain[1])
        below += 74
    rule = wording.criterion_words(request)
    if told is not None:
        rule = f"Positive at or above it. Operating point '{told.operating_point}'"
    Hand(20, MUTED).write_block(draw, (left, below + 12), rule, width, most_lines=3)


def _score(
    image: Image.Image, draw: ImageDraw.ImageDraw, told: wording.Score, at: tuple[int, int], width: int, colour: Colour
) -> int:
    left, y = at
    y = Hand(20, MUTED).write_block(draw, (left, y), told.label, width, most_lines=2)
    value = Hand(58, TEXT, 1.0)
    value.write(draw, (left, y), told.value_text)
    y += 74
    threshold_x = gauge(image, left + 12, y, width - 24, told.value, told.threshold, colour)
    caption = f"threshold {told.threshold_text}"
    small = Hand(21, TEXT)
    half = small.width(caption) / 2
    small.write(draw, (min(max(threshold_x, left + half), left + width - half), y + 60), caption, anchor="mm")
    return y + 74


def _legend(request: ResultRequest, image: Image.Image, draw: ImageDraw.ImageDraw, bottom: int) -> int:
    """What the colours mean, standing on ``bottom``; returns the y above it."""
    entries, heat = legend(request), _heat_of(request)
    top = bottom - LEGEND_ROW * (len(entries) + (heat is not None)) + 8
    hand, y = Hand(20, TEXT), top
    for entry in entries:
        left = LEFT
        if entry.colour is not None:
            draw.rounded_rectangle((left, y + 9, left + SWATCH, y + 14), radius=2, fill=entry.colour)
            left += SWATCH + 14
        hand.write_block(draw, (left, y), entry.text, LEFT + WIDTH - left, most_lines=1)
        y += LEGEND_ROW
    if heat is not None:
        hand.write(draw, (LEFT, y), low := heat.words(heat.low))
        left = LEFT + round(hand.width(low)) + 12
        image.paste(Image.fromarray(scale_picture(180, 12)).rotate(-90, expand=True), (left, y + 6))
        hand.write(draw, (left + 192, y), f"{heat.words(heat.high)}   {heat.label}")
    return top - 8 if entries or heat is not None else bottom


def _heat_of(request: ResultRequest) -> HeatMap | None:
    return request.heat_map if request.shows_contours else None


def _picture(
    request: ResultRequest, image: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int], side: int
) -> bool:
    index = pictured_slice(request)
    if index is None or request.voxels is None:
        return False
    source, plane, heat = request.plane(index), request.voxels[index], _heat_of(request)
    boxes = [(told.item.number, part) for told in told_boxes(request) if (part := told.box.on(index)) is not None]
    masks = []
    for item in drawn(request):
        mask = None if request.boxes_of(item.finding) else request.mask_of(item.finding)
        if mask is not None and bool(mask[index].any()):
            masks.append((item.number, mask[index]))
    window = window_of(source, plane)
    left, top = at
    warm = (heat, heat.values[index]) if heat is not None else None
    image.paste(square_picture(plane, window, spacing_mm_of(source), side, masks, warm, boxes), at)
    draw.rectangle((left, top, left + side - 1, top + side - 1), outline=LINE, width=2)
    letters = edge_letters(source)
    hand = Hand(24, TEXT)
    places = (
        ((left + 18, top + side / 2), letters[0]), ((left + side - 18, top + side / 2), letters[1]),
        ((left + side / 2, top + 20), letters[2]), ((left + side / 2, top + side - 20), letters[3]),
    )  # fmt: skip
    for place, letter in places:
        draw.text(place, letter, font=hand.font, fill=TEXT, anchor="mm", stroke_width=2, stroke_fill=(0, 0, 0))
    caption = f"{wording.image_words(request, index).capitalize()}, {window.words()}"
    caption += f", {marks(request)} by AI" if masks or boxes else ", nothing marked"
    # Who drew them stands last, and must be legible: MR windows are long.
    small = next((hand for size in (20, 18, 16) if (hand := Hand(size, MUTED)).width(caption) <= side), Hand(14, MUTED))
    small.write_block(draw, (left, top + side + 8), caption, side, most_lines=1)
    return True


def _no_answer(request: ResultRequest, image: Image.Image, draw: ImageDraw.ImageDraw, y: int, bottom: int) -> None:
    """Why there is no answer, and that its absence means nothing."""
    box_height = 138
    text = wording.reason_words(request)
    room = bottom - y - box_height - 30
    hand = _largest(text, WIDTH, room, (38, 34, 30, 26, 22))
    below = hand.write_block(draw, (LEFT, y), text, WIDTH, most_lines=max(1, room // hand.line_height()))
    top = max(below + 30, y + 120)
    panel(image, (LEFT, top, LEFT + WIDTH, top + box_height), PANEL, KIND_COLOURS[request.answer.kind], 3)
    Hand(36, TEXT, 0.7).write(draw, (LEFT + 30, top + 46), wording.NO_ANSWER, anchor="lm")
    Hand(28, TEXT).write(draw, (LEFT + 30, top + 96), wording.NOT_NEGATIVE, anchor="lm")


@dataclass(frozen=True)
class _Row:
    """A line of the foot: a label and its text."""

    label: str
    text: str
    most_lines: int
    hand: Hand

    @property
    def height(self) -> int:
        lines = min(self.hand.lines(self.text, WIDTH - LABEL_WIDTH), self.most_lines)
        return lines * self.hand.line_height() + 5

    def write(self, draw: ImageDraw.ImageDraw, y: int) -> None:
        Hand(20, MUTED).write(draw, (LEFT, y), self.label)
        self.hand.write_block(draw, (LEFT + LABEL_WIDTH, y), self.text, WIDTH - LABEL_WIDTH, self.most_lines)


def _footer_rows(request: ResultRequest) -> list[_Row]:
    analysis, device, answer = request.analysis, request.device, request.answer
    moment = Moment.of(analysis.created_at, request.reference)
    hand = Hand(20, TEXT)
    rows = [
        _Row("Input", wording.inputs_words(request), 2 + len(request.further_sources), hand),
        _Row("Analysed" if answer.kind.analysed else "Decided", f"{moment.words()} at {device.installation_name}", 2, hand),
        _Row("Made by", f"Vigil {device.bundle_version}, {device.runtime}, weights {analysis.weights_sha256[:12]}", 2, hand),
    ]
    if request.predecessor is not None:
        rows.append(_Row(f"Revision {analysis.revision}", wording.supersedes_words(request), 2, Hand(20, YELLOW)))
    if answer.notes:
        rows.append(_Row("Notes", " ".join(answer.notes), 2, hand))
    rows.append(_Row("Limits", " ".join(request.manifest.limitations), 3, hand))
    return rows


def _largest(text: str, width: int, room: int, sizes: tuple[int, ...]) -> Hand:
    """The largest hand in which ``text`` fits."""
    for size in sizes:
        hand = Hand(size, TEXT)
        if hand.lines(text, width) * hand.line_height() <= room:
            return hand
    return Hand(sizes[-1], TEXT)
