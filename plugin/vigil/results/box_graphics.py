"""The boxes of a detector as graphics of a presentation state (PS3.3 C.10.5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom.pr import GraphicObject, TextObject

from vigil.results.attribution import Tracking
from vigil.results.boxes import ToldBox, label
from vigil.results.key_slices import LocatedFinding
from vigil.results.request import ResultRequest

MOST_RECTANGLES = 40
"""On a slice, of a finding; those that have a number stand first."""


def box_graphics(
    request: ResultRequest, item: LocatedFinding, boxes: Sequence[ToldBox], index: int
) -> tuple[list[GraphicObject], list[TextObject]]:
    """Those of a finding on a slice: the rectangles, and beside each its number and score, where these may leave. ``boxes``: all
    of the request."""
    graphics: list[GraphicObject] = []
    texts: list[TextObject] = []
    for told in boxes:
        part = told.box.on(index) if told.item.number == item.number else None
        if part is None or len(graphics) == MOST_RECTANGLES:
            continue
        tracking = None
        if told.number is not None:
            tracking = Tracking.of_box(request, item.number, told.number, first=told.first)
        identifier, uid = (None, None) if tracking is None else (tracking.identifier, tracking.uid)
        graphics.append(GraphicObject(
            "POLYLINE", np.array(part.corners(), float), units="PIXEL", tracking_id=identifier, tracking_uid=uid))
        if text := label(request, told, boxes):
            texts.append(TextObject(
                text, units="PIXEL", anchor_point=(part.right, part.top), anchor_point_visible=False, tracking_id=identifier,
                tracking_uid=uid))
    return graphics, texts
