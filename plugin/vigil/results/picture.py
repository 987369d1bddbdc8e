"""Slices as pictures: grey values through the source's window, and the square picture of the summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom import Dataset

from vigil.domain.boxes import Rectangle
from vigil.results.contour import Mask, largest_part, outlines
from vigil.results.heat_map import HeatMap, blend

CONTOUR_COLOURS = ((255, 222, 50), (90, 220, 255), (255, 130, 230))
"""By number of the finding: yellow, cyan, magenta. Never red against green."""
OUTLINE_COLOUR = (10, 10, 10)

HEAD_WINDOW = (40.0, 80.0)
OVERSAMPLING = 3
LEAST_SHOWN = 0.6
"""Of the image's shorter side."""


@dataclass(frozen=True)
class Window:
    """Centre and width, in the unit of the voxels. ``sigmoid``: the curve of PS3.3 C.11.2.1.3.1 in place of a straight line;
    ``inverted``: low values are bright, as in an image that is stored as MONOCHROME1."""

    centre: float
    width: float
    sigmoid: bool = False
    inverted: bool = False

    def words(self) -> str:
        return f"window {self.centre:g}/{self.width:g}"


def window_of(source: Dataset, plane: NDArray[np.float32]) -> Window:
    """The source's first window; without one a head window for CT, and the middle 98 % of the values otherwise."""
    inverted = source.get("PhotometricInterpretation") == "MONOCHROME1" or source.get("PresentationLUTShape") == "INVERSE"
    centre, width = _first(source.get("WindowCenter")), _first(source.get("WindowWidth"))
    if centre is not None and width is not None and width >= 1:
        return Window(centre, width, source.get("VOILUTFunction") == "SIGMOID", inverted)
    if source.get("Modality") == "CT":
        return Window(*HEAD_WINDOW)
    low, high = (float(value) for value in np.percentile(plane, (1, 99)))
    return Window((low + high) / 2, max(high - low, 1.0), inverted=inverted)


def grey(plane: NDArray[np.float32], window: Window) -> NDArray[np.uint8]:
    """8-bit grey values (PS3.3 C.11.2.1.2.1, within half a grey value)."""
    if window.sigmoid:
        scaled = 255 / (1 + np.exp(-4 * (plane - window.centre) / window.width))
    else:
        scaled = plane * np.float32(255 / window.width)
        scaled += np.float32(127.5 - window.centre * 255 / window.width)
    np.clip(scaled, 0, 255, out=scaled)
    scaled += np.float32(0.5)
    values: NDArray[np.uint8] = scaled.astype(np.uint8)
    return 255 - values if window.inverted else values


def spacing_mm_of(source: Dataset) -> tuple[float, float]:
    """Distance of rows and of columns; of a radiograph at its detector; 1 where the source does not say."""
    spacing = source.get("PixelSpacing") or source.get("ImagerPixelSpacing") or (1, 1)
    return float(spacing[0]), float(spacing[1])


def square_picture(
    plane: NDArray[np.float32], window: Window, spacing_mm: tuple[float, float], side: int,
    masks: Sequence[tuple[int, Mask]], heat: tuple[HeatMap, NDArray[np.float32]] | None = None,
    boxes: Sequence[tuple[int, Rectangle]] = (),
) -> Image.Image:  # fmt: skip
    """A plane as a square RGB picture of ``side`` pixels, its proportions those of the patient, air cut away.

    ``spacing_mm``: row and column spacing. ``masks``: finding number and plane mask, drawn as contours. ``heat``: a heat
    map and its values in this plane. ``boxes``: finding number and rectangle.
    """
    held = np.zeros(plane.shape, bool)
    for _, part in boxes:
        held[round(part.top):round(part.bottom), round(part.left):round(part.right)] = True
    top, bottom, left, right = _field(grey(plane, window), spacing_mm, [held, *(mask for _, mask in masks)])
    height_mm, width_mm = (bottom - top) * spacing_mm[0], (right - left) * spacing_mm[1]
    scale = side / max(height_mm, width_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))

    def resized(values: NDArray[np.float32]) -> NDArray[np.float32]:
        image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=(left, top, right, bottom)))

    rgb = np.repeat(grey(resized(plane), window)[:, :, None], 3, axis=2)
    if heat is not None:
        blend(rgb, heat[0], resized(heat[1]))
    picture = Image.new("RGB", (side, side))
    corner = ((side - size[0]) // 2, (side - size[1]) // 2)
    picture.paste(Image.fromarray(rgb), corner)
    shapes = [(number, outline.tolist()) for number, mask in masks for outline in outlines(mask)]
    shapes += [(number, part.corners()) for number, part in boxes]
    if not shapes:
        return picture
    large = picture.resize((side * OVERSAMPLING, side * OVERSAMPLING), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(large)
    column_scale, row_scale = size[0] / (right - left), size[1] / (bottom - top)
    for width, dark in ((5, True), (2.2, False)):
        for number, shape in shapes:
            points = [
                (((x - left) * column_scale + corner[0]) * OVERSAMPLING, ((y - top) * row_scale + corner[1]) * OVERSAMPLING)
                for x, y in shape
            ]
            colour = OUTLINE_COLOUR if dark else colour_of(number)
            draw.line(points, fill=colour, width=round(width * OVERSAMPLING), joint="curve")
    return large.resize((side, side), Image.Resampling.LANCZOS)


def colour_of(number: int) -> tuple[int, int, int]:
    return CONTOUR_COLOURS[(number - 1) % len(CONTOUR_COLOURS)]


def edge_letters(source: Dataset) -> tuple[str, str, str, str]:
    """Patient directions at the left, right, top and bottom edge of an image (PS3.3 C.7.6.1.1.1), of at most two letters
    where they are computed; as the source names them where it has no place; empty where neither is known."""
    orientation = [float(value) for value in source.get("ImageOrientationPatient") or ()]
    if len(orientation) == 6:
        row, column = orientation[:3], orientation[3:]
        return (
            _letters([-value for value in row]), _letters(row), _letters([-value for value in column]), _letters(column),
        )  # fmt: skip
    named = [str(value) for value in source.get("PatientOrientation") or ()]
    if len(named) != 2:
        return ("", "", "", "")
    return _opposite(named[0]), named[0], _opposite(named[1]), named[1]


def _opposite(direction: str) -> str:
    return direction.translate(str.maketrans("LRAPHF", "RLPAFH"))


def _letters(direction: Sequence[float]) -> str:
    named = sorted(zip(direction, ("LR", "PA", "HF"), strict=True), key=lambda pair: -abs(pair[0]))
    return "".join(pair[0] if value > 0 else pair[1] for value, pair in named if abs(value) > 0.4)[:2]


def _field(values: NDArray[np.uint8], spacing_mm: tuple[float, float], masks: Sequence[Mask]) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of a field around the patient (the largest thing that is not black: a head rest is
    not) and all masks, as square in the patient as the image allows. Under a window that leaves most of the patient black, so
    much of the image stays that a reader sees where it is."""
    seen = largest_part(values > 40)
    for mask in masks:
        seen = seen | mask
    rows, columns = np.flatnonzero(seen.sum(axis=1) > 3), np.flatnonzero(seen.sum(axis=0) > 3)
    height, width = values.shape
    if rows.size == 0 or columns.size == 0:
        return 0, height, 0, width
    side_mm = max(
        1.18 * (rows[-1] - rows[0] + 1) * spacing_mm[0], 1.18 * (columns[-1] - columns[0] + 1) * spacing_mm[1],
        LEAST_SHOWN * min(height * spacing_mm[0], width * spacing_mm[1]))
    top, bottom = _span((int(rows[0]) + int(rows[-1]) + 1) / 2, side_mm / spacing_mm[0], height)
    left, right = _span((int(columns[0]) + int(columns[-1]) + 1) / 2, side_mm / spacing_mm[1], width)
    return top, bottom, left, right


def _span(middle: float, length: float, limit: int) -> tuple[int, int]:
    if length >= limit:
        return 0, limit
    start = min(max(0, round(middle - length / 2)), limit - round(length))
    return start, start + round(length)


def _first(value: object) -> float | None:
    if isinstance(value, str) or not isinstance(value, Sequence):
        values: Sequence[object] = [value]
    else:
        values = value
    try:
        return float(str(values[0])) if values and values[0] not in (None, "") else None
    except ValueError:
        return None
