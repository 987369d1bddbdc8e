"""A source slice with what the model found drawn on it: same matrix, same place, the anatomy left visible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vigil.results import wording
from vigil.results.contour import rings
from vigil.results.key_slices import located
from vigil.results.lettering import Hand
from vigil.results.moment import Moment
from vigil.results.picture import OUTLINE_COLOUR, Window, colour_of, grey
from vigil.results.request import ResultRequest

ROOM_FOR_TEXT = 320
"""From this matrix size on there is room for text beside the contour; below it the summary image carries the words."""
MARGIN = 0.08
"""Of the image's size: the corners belong to the viewer."""
YELLOW = (255, 222, 50)
WHITE = (240, 240, 240)

SHORT_BANNERS = (wording.NOT_PRIMARY, "AI - NOT FOR PRIMARY DIAGNOSIS", "AI - NOT FOR DIAGNOSIS", "AI RESULT", "AI")


def overlay(request: ResultRequest, index: int, window: Window) -> NDArray[np.uint8]:
    """The slice ``index`` as RGB [row, column, 3], with contours and, where there is room, words.

    Raises:
        ValueError: the request has no voxels.
    """
    if request.voxels is None:
        raise ValueError("an overlay needs voxels")
    values = grey(request.voxels[index], window)
    rgb = np.repeat(values[:, :, None], 3, axis=2)
    rows, columns = values.shape
    width = 1 if min(rows, columns) < ROOM_FOR_TEXT else 2
    drawn = []
    for item in located(request):
        mask = request.mask_of(item.finding)
        if mask is None or not bool(mask[index].any()):
            continue
        ring, border = rings(mask[index], width)
        drawn.append((item, ring, border))
    for _, _, border in drawn:
        rgb[border] = OUTLINE_COLOUR
    for item, ring, _ in drawn:
        rgb[ring] = colour_of(item.number)
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    if min(rows, columns) < ROOM_FOR_TEXT:
        _short_banner(request, draw, rows, columns)
    else:
        _words(request, draw, rows, columns, index, bool(drawn))
    return np.asarray(image)


def _short_banner(request: ResultRequest, draw: ImageDraw.ImageDraw, rows: int, columns: int) -> None:
    hand = Hand(max(9, round(min(rows, columns) / 23)), YELLOW)
    left, top, room = round(columns * MARGIN), round(rows * MARGIN), columns * (1 - 2 * MARGIN)
    lines = [*SHORT_BANNERS]
    banner = next((line for line in lines if hand.width(line) <= room), lines[-1])
    hand.write_outlined(draw, (left, top), banner, outline=1)
    if request.is_research and rows >= 192:
        hand.write_outlined(draw, (left, top + hand.line_height()), "RESEARCH", outline=1)


def _words(
    request: ResultRequest, draw: ImageDraw.ImageDraw, rows: int, columns: int, index: int, with_finding: bool
) -> None:
    """Top left: what this is. Bottom left, only where the finding is: what was found and how much."""
    hand = Hand(max(14, round(min(rows, columns) / 32)), YELLOW)
    plain = Hand(hand.size * 0.9, WHITE)
    left, top = round(columns * MARGIN), round(rows * MARGIN)
    manifest = request.manifest
    lines = [(hand, wording.NOT_PRIMARY)]
    if request.is_research:
        lines.append((hand, wording.RESEARCH))
    lines.append((plain, f"{manifest.name} {manifest.version}"))
    lines.append((plain, Moment.of(request.analysis.created_at, request.reference).words()))
    for writer, line in lines:
        writer.write_outlined(draw, (left, top), line, outline=2)
        top += writer.line_height()
    below = []
    if with_finding:
        findings = located(request)
        shown = ", ".join(item.finding.concept.meaning for item in findings[:2])
        below.append((hand, f"{shown} ({len(findings)} found)" if len(findings) > 1 else shown))
        told = wording.score(request)
        if told is not None:
            below.append((hand, f"{told.value_text} in all (threshold {told.threshold_text})"))
    number = request.sources[index].get("InstanceNumber") or index + 1
    below.append((plain, f"Image {number}, slice {index + 1} of {len(request.sources)}"))
    bottom = round(rows * (1 - MARGIN)) - sum(writer.line_height() for writer, _ in below)
    for writer, line in below:
        writer.write_outlined(draw, (left, bottom), line, outline=2)
        bottom += writer.line_height()
