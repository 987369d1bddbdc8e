"""What an enhanced multi-frame image says of each of its frames: functional groups, some for all frames, some for each
(PS3.3 C.7.6.16), as the values that a single-frame image has at its top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vigil.intake.attributes import Attributes

_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_POSITION, _ORIENTATION, _MEASURES, _CONTENT = 0x00209113, 0x00209116, 0x00289110, 0x00209111
_FRAME_TYPES = (0x00189329, 0x00189226, 0x00189751)  # CT, MR, PET
_RECONSTRUCTION, _ECHO, _DIFFUSION, _CARDIAC, _CONTRAST = 0x00189314, 0x00189114, 0x00189117, 0x00189118, 0x00189341
_TIMING, _MODIFIER = 0x00189112, 0x00189115
VALUE_TRANSFORMATION = 0x00289145
# Dimensions along which the slices of one stack lie: they tell no stacks apart. Position, in-stack position, slice location,
# orientation.
_OF_PLACE = frozenset((0x00200032, 0x00209057, 0x00201041, 0x00200037))


@dataclass(frozen=True)
class FrameHeader:
    """One frame; the names are those of :class:`~vigil.intake.header.ImageHeader`. ``transformation``: its rescale as written.
    ``without_contrast``: whether it says that no agent was given."""

    position_mm: tuple[float, float, float] | None = None
    orientation: tuple[float, float, float, float, float, float] | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    slice_thickness_mm: float | None = None
    image_type: tuple[str, ...] = ()
    acquisition_number: int | None = None
    kernels: tuple[str, ...] = ()
    echo_time_ms: float | None = None
    b_value: float | None = None
    temporal_position: int | None = None
    trigger_time_ms: float | None = None
    stack_id: str = ""
    dimension_indices: tuple[int, ...] = ()
    transformation: bytes = b""
    without_contrast: bool = False
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None


class FunctionalGroups:
    """The groups of one image."""

    def __init__(self, attributes: Attributes) -> None:
        self._shared = attributes.items(_SHARED)[:1]
        self._per_frame = attributes.items(_PER_FRAME)

    def __len__(self) -> int:
        """Of how many frames they speak."""
        return len(self._per_frame)

    def of(self, frame: int, group: int) -> Attributes | None:
        """The group of a frame (from 1), or else that of all frames; None where there is neither."""
        for level in (*self._per_frame[frame - 1:frame], *self._shared):
            items = level.items(group)
            if items:
                return items[0]
        return None


def read_frames(attributes: Attributes, frames: int) -> tuple[FrameHeader, ...]:
    """None where the image has no functional groups of its frames, or of another number of frames: then nobody knows which is
    whose."""
    groups = FunctionalGroups(attributes)
    if len(groups) != frames:
        return ()
    kept = _kept_dimensions(attributes)
    return tuple(_frame(groups, frame, kept) for frame in range(1, frames + 1))


def _frame(groups: FunctionalGroups, frame: int, kept: Sequence[int]) -> FrameHeader:
    position = _decimals(groups.of(frame, _POSITION), 0x00200032)
    orientation = _decimals(groups.of(frame, _ORIENTATION), 0x00200037)
    measures, content = groups.of(frame, _MEASURES), groups.of(frame, _CONTENT)
    spacing = _decimals(measures, 0x00280030)
    reconstruction, contrast = groups.of(frame, _RECONSTRUCTION), groups.of(frame, _CONTRAST)
    timing, modifier = groups.of(frame, _TIMING), groups.of(frame, _MODIFIER)
    indices = () if content is None else content.unsigned_longs(0x00209157)
    return FrameHeader(
        position_mm=(position[0], position[1], position[2]) if len(position) == 3 else None,
        orientation=(
            (orientation[0], orientation[1], orientation[2], orientation[3], orientation[4], orientation[5])
            if len(orientation) == 6 else None
        ),
        pixel_spacing_mm=(spacing[0], spacing[1]) if len(spacing) == 2 else None,
        slice_thickness_mm=None if measures is None else measures.decimal(0x00180050),
        image_type=_frame_type(groups, frame),
        acquisition_number=_first(() if content is None else content.unsigned_shorts(0x00209156)),
        kernels=() if reconstruction is None else reconstruction.code_strings(0x00181210),
        echo_time_ms=_double(groups.of(frame, _ECHO), 0x00189082),
        b_value=_double(groups.of(frame, _DIFFUSION), 0x00189087),
        temporal_position=_first(() if content is None else content.unsigned_longs(0x00209128)),
        trigger_time_ms=_double(groups.of(frame, _CARDIAC), 0x00209153),
        stack_id="" if content is None else content.text(0x00209056),
        dimension_indices=tuple(indices[place] for place in kept if place < len(indices)),
        transformation=_transformation(groups, frame),
        without_contrast=contrast is not None and contrast.text(0x00189342) == "NO",
        repetition_time_ms=None if timing is None else timing.decimal(0x00180080),
        inversion_time_ms=_double(modifier, 0x00189079),
    )


def _frame_type(groups: FunctionalGroups, frame: int) -> tuple[str, ...]:
    """Frame Type, and of an MR whether it is magnitude or phase."""
    for group in _FRAME_TYPES:
        item = groups.of(frame, group)
        if item is not None:
            component = item.text(0x00089208).upper()
            return (*item.code_strings(0x00089007), *([component] if component else []))
    return ()


def _kept_dimensions(attributes: Attributes) -> tuple[int, ...]:
    """Which of Dimension Index Values tell stacks apart."""
    kept = []
    for place, item in enumerate(attributes.items(0x00209222)):
        pointer = item.unsigned_shorts(0x00209165)
        if len(pointer) == 2 and (pointer[0] << 16 | pointer[1]) not in _OF_PLACE:
            kept.append(place)
    return tuple(kept)


def _transformation(groups: FunctionalGroups, frame: int) -> bytes:
    item = groups.of(frame, VALUE_TRANSFORMATION)
    return b"" if item is None else b"|".join(item.raw(tag) for tag in (0x00281052, 0x00281053, 0x00281054))


def _decimals(item: Attributes | None, tag: int) -> tuple[float, ...]:
    return () if item is None else item.decimals(tag)


def _double(item: Attributes | None, tag: int) -> float | None:
    return None if item is None else item.double(tag)


def _first(values: Sequence[int]) -> int | None:
    return values[0] if values else None
