"""The drawn signs of the summary: a shape for each kind of answer, and the value against its threshold.

No kind is told by colour alone. Colours are of Okabe and Ito's set (https://jfly.uni-koeln.de/color/), lightened where
they would fall under a contrast of 7:1 on the background.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw

from vigil.domain.answer import AnswerKind
from vigil.results.lettering import Colour, Hand

BACKGROUND: Colour = (13, 16, 21)
PANEL: Colour = (25, 30, 38)
TEXT: Colour = (238, 241, 245)
MUTED: Colour = (166, 176, 189)
LINE: Colour = (62, 71, 84)
YELLOW: Colour = (255, 222, 50)

KIND_COLOURS: dict[AnswerKind, Colour] = {
    AnswerKind.POSITIVE: (255, 176, 0),
    AnswerKind.NEGATIVE: (120, 200, 245),
    AnswerKind.INDETERMINATE: (232, 164, 208),
    AnswerKind.MEASURED: (120, 214, 182),
    AnswerKind.NOT_ANALYSED: (222, 226, 232),
    AnswerKind.FAILED: (222, 226, 232),
}

SMOOTHING = 4

Paint = Callable[[ImageDraw.ImageDraw, "Scaled"], None]


class Scaled:
    """Coordinates of a patch, in the pixels of the card, as those of the enlarged patch."""

    def __init__(self, left: float, top: float) -> None:
        self.left, self.top = left, top

    def __call__(self, *values: float) -> list[float]:
        origin = (self.left, self.top)
        return [(value - origin[place % 2]) * SMOOTHING for place, value in enumerate(values)]


def smooth(image: Image.Image, box: tuple[int, int, int, int], paint: Paint) -> None:
    """Paints into ``box`` (left, top, right, bottom) of ``image`` with smooth edges."""
    left, top, right, bottom = box
    patch = image.crop(box).resize(((right - left) * SMOOTHING, (bottom - top) * SMOOTHING), Image.Resampling.NEAREST)
    paint(ImageDraw.Draw(patch), Scaled(left, top))
    image.paste(patch.resize((right - left, bottom - top), Image.Resampling.BOX), (left, top))


def panel(
    image: Image.Image, box: tuple[int, int, int, int], fill: Colour, outline: Colour | None = None, line: float = 2
) -> None:
    """A rounded rectangle."""

    def paint(draw: ImageDraw.ImageDraw, at: Scaled) -> None:
        draw.rounded_rectangle(
            at(box[0], box[1], box[2] - 0.5, box[3] - 0.5), radius=10 * SMOOTHING, fill=fill, outline=outline,
            width=round(line * SMOOTHING),
        )  # fmt: skip

    smooth(image, box, paint)


def sign(image: Image.Image, left: int, top: int, side: int, kind: AnswerKind) -> None:
    """The shape of a kind: filled triangle, ring, diamond, ruler, struck square, crossed octagon."""
    colour = KIND_COLOURS[kind]
    right, bottom = left + side, top + side
    middle_x, middle_y = left + side / 2, top + side / 2
    line = round(side * 0.09 * SMOOTHING)

    def paint(draw: ImageDraw.ImageDraw, at: Scaled) -> None:
        if kind is AnswerKind.POSITIVE:
            draw.polygon(at(middle_x, top + side * 0.04, right, bottom - side * 0.06, left, bottom - side * 0.06), fill=colour)
            draw.rounded_rectangle(
                at(middle_x - side * 0.05, top + side * 0.38, middle_x + side * 0.05, top + side * 0.68),
                radius=side * 0.05 * SMOOTHING, fill=BACKGROUND,
            )  # fmt: skip
            draw.ellipse(
                at(middle_x - side * 0.06, top + side * 0.74, middle_x + side * 0.06, top + side * 0.86), fill=BACKGROUND
            )
        elif kind is AnswerKind.NEGATIVE:
            draw.ellipse(at(left, top, right, bottom), outline=colour, width=line)
            draw.line(at(left + side * 0.28, middle_y, right - side * 0.28, middle_y), fill=colour, width=line)
        elif kind is AnswerKind.INDETERMINATE:
            for inset, fill in ((0.0, colour), (side * 0.125, BACKGROUND)):
                diamond = (
                    middle_x, top + inset, right - inset, middle_y, middle_x, bottom - inset, left + inset, middle_y,
                )  # fmt: skip
                draw.polygon(at(*diamond), fill=fill)
            hand = Hand(side * 0.5 * SMOOTHING, colour, bold=1.5 * SMOOTHING)
            centre = at(middle_x, middle_y)
            hand.write(draw, (centre[0], centre[1]), "?", anchor="mm")
        elif kind is AnswerKind.MEASURED:
            upper, lower = top + side * 0.26, bottom - side * 0.26
            draw.rounded_rectangle(at(left, upper, right, lower), radius=6 * SMOOTHING, outline=colour, width=line)
            for place, length in ((0.24, 0.2), (0.42, 0.3), (0.6, 0.2), (0.78, 0.3)):
                tick = left + side * place
                draw.line(at(tick, upper, tick, upper + side * length), fill=colour, width=round(line * 0.7))
        elif kind is AnswerKind.NOT_ANALYSED:
            draw.rounded_rectangle(
                at(left + 2, top + 2, right - 2, bottom - 2), radius=8 * SMOOTHING, outline=colour, width=line
            )
            draw.line(at(left + side * 0.2, bottom - side * 0.2, right - side * 0.2, top + side * 0.2), fill=colour, width=line)
        else:
            cut = side * 0.3
            octagon = at(
                left + cut, top, right - cut, top, right, top + cut, right, bottom - cut,
                right - cut, bottom, left + cut, bottom, left, bottom - cut, left, top + cut,
            )  # fmt: skip
            draw.polygon(octagon, fill=colour)
            inner = side * 0.31
            draw.line(at(left + inner, top + inner, right - inner, bottom - inner), fill=BACKGROUND, width=line)
            draw.line(at(left + inner, bottom - inner, right - inner, top + inner), fill=BACKGROUND, width=line)

    smooth(image, (left, top, right + 1, bottom + 1), paint)


def gauge(
    image: Image.Image, left: int, top: int, width: int, value: float, threshold: float, colour: Colour
) -> int:
    """The value on a line from zero, with the threshold as a mark, whose x is returned. 48 pixels high."""
    full = max(2 * threshold, 1.25 * value, 1e-9)
    value_x, threshold_x = (left + round(width * min(max(number / full, 0), 1)) for number in (value, threshold))

    def paint(draw: ImageDraw.ImageDraw, at: Scaled) -> None:
        middle = top + 24
        radius = 5 * SMOOTHING
        draw.rounded_rectangle(at(left, middle - 5, left + width, middle + 5), radius=radius, fill=LINE)
        draw.rounded_rectangle(at(left, middle - 5, max(value_x, left + 10), middle + 5), radius=radius, fill=colour)
        draw.rectangle(at(threshold_x - 1.5, middle - 17, threshold_x + 1.5, middle + 17), fill=TEXT)
        knob = at(value_x - 11, middle - 11, value_x + 11, middle + 11)
        draw.ellipse(knob, fill=colour, outline=BACKGROUND, width=3 * SMOOTHING)

    smooth(image, (left - 14, top, left + width + 14, top + 48), paint)
    return threshold_x
