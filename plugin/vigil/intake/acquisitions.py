"""One series can hold several stacks: another orientation, a second pass over the same place, another reconstruction, echo,
diffusion weighting or phase, or any other dimension that a multi-frame image declares.

They are told apart only as far as it takes to get clean stacks: by one thing that differs, else by two or three together.
Acquisition numbers alone mean nothing: a step-and-shoot head has one for every slice.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from vigil.intake.errors import IrregularGeometry, SliceConflict, SliceMissing, StackError
from vigil.intake.header import ImageHeader
from vigil.intake.stack import SliceStack, build_stack, same_grid

Key = Callable[[ImageHeader], Hashable]
_KEYS: tuple[Key, ...] = (
    lambda image: image.acquisition_number,
    lambda image: image.image_type,
    lambda image: image.kernels,
    lambda image: image.echo_time_ms,
    lambda image: image.b_value,
    lambda image: image.temporal_position,
    lambda image: image.trigger_time_ms,
    lambda image: image.stack_id,
    lambda image: None if image.frame is None else image.sop_instance_uid,
)
MOST_KEYS_TOGETHER = 3
MOST_DIMENSIONS = 6


@dataclass(frozen=True)
class Built:
    """Images that belong together, and what became of them: a stack, or why not."""

    images: tuple[ImageHeader, ...]
    stack: SliceStack | None = None
    error: StackError | None = None


def split_stacks(
    images: Sequence[ImageHeader], spacing_tolerance: float, largest_tilt_degrees: float = 0.0
) -> tuple[Built, ...]:
    """The stacks of one series, each with its error where it makes no volume. Every image is in exactly one."""
    def build(part: Sequence[ImageHeader]) -> Built:
        try:
            return Built(tuple(part), stack=build_stack(part, spacing_tolerance, largest_tilt_degrees))
        except StackError as error:
            return Built(tuple(part), error=error)

    return tuple(built for grid in _grids(images) for built in _passes(grid, build))


def _grids(images: Sequence[ImageHeader]) -> list[list[ImageHeader]]:
    grids: list[list[ImageHeader]] = []
    for image in sorted(images, key=lambda item: item.sop_instance_uid):
        for grid in grids:
            if same_grid(grid[0], image):
                grid.append(image)
                break
        else:
            grids.append([image])
    return grids


def _passes(images: list[ImageHeader], build: Callable[[Sequence[ImageHeader]], Built]) -> tuple[Built, ...]:
    """Apart only where images conflict or interleave, and only if that gives stacks without conflict.

    A hole (SliceMissing) is never a reason to split: where odd and even slices are two passes of one scan, the pass that is
    whole would hide the slice that the other lacks.
    """
    whole = build(images)
    if not isinstance(whole.error, SliceConflict | IrregularGeometry) or any(image.position_mm is None for image in images):
        return (whole,)
    differing = [key for key in (*_KEYS, *_dimensions(images)) if len({key(image) for image in images}) > 1]
    for keys in chain.from_iterable(combinations(differing, count) for count in range(1, MOST_KEYS_TOGETHER + 1)):
        groups: dict[Hashable, list[ImageHeader]] = {}
        for image in images:
            groups.setdefault(tuple(key(image) for key in keys), []).append(image)
        parts = tuple(build(group) for group in groups.values())
        clean = [part for part in parts if part.stack is not None or isinstance(part.error, SliceMissing)]
        broken = [part for part in parts if isinstance(part.error, SliceConflict | IrregularGeometry)]
        if clean and not broken and (isinstance(whole.error, SliceConflict) or _interleave(clean)):
            return parts
    return (whole,)


def _dimensions(images: Sequence[ImageHeader]) -> list[Key]:
    """Of frames: each dimension that their image declares beside those of space."""
    def along(place: int) -> Key:
        return lambda image: image.dimension_indices[place] if place < len(image.dimension_indices) else None

    return [along(place) for place in range(min(MOST_DIMENSIONS, max(len(image.dimension_indices) for image in images)))]


def _interleave(parts: Sequence[Built]) -> bool:
    """Whether the parts lie in one another, as two passes do, rather than one after the other, as two blocks of one
    pass do."""
    ranges = [_range(part) for part in parts]
    return len(ranges) > 1 and all(
        one[0] < other[1] and other[0] < one[1]
        for index, one in enumerate(ranges) for other in ranges[index + 1:]
    )


def _range(part: Built) -> tuple[float, float]:
    row_column = part.images[0].orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    (a, b, c), (d, e, f) = row_column[:3], row_column[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    depths = [
        sum(x * y for x, y in zip(image.position_mm, normal, strict=True))
        for image in part.images if image.position_mm is not None
    ]
    return min(depths), max(depths)
