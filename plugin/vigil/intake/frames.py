"""The images of an instance: itself, or each frame of a multi-frame image as an image of its own.

From here on nothing else of intake needs to know the difference: a stack of frames is ordered, split and judged as one of slices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import replace

from vigil.domain.answer import InputInstance
from vigil.intake.header import VIDEO, ImageHeader


def images_of(header: ImageHeader, only: Collection[int] = ()) -> tuple[ImageHeader, ...]:
    """``only``: numbers of frames, from 1; all where it is empty. An image of a single frame, or a frame, is its own image."""
    if header.frame is not None or header.transfer_syntax_uid.startswith(VIDEO) or not (header.planes or header.frames > 1):
        return (header,)
    numbers = sorted(only) if only else range(1, header.frames + 1)
    return tuple(_frame(header, number) for number in numbers if 1 <= number <= header.frames)


def all_images(headers: Iterable[ImageHeader]) -> list[ImageHeader]:
    return [image for header in headers for image in images_of(header)]


def input_instances(images: Iterable[ImageHeader], served: str = "") -> tuple[InputInstance, ...]:
    """The instances that these images are of, in the order of their first, each with the frames that were chosen. ``served``: the
    input of the model that they are for, where it has several."""
    chosen: dict[str, tuple[ImageHeader, list[int]]] = {}
    for image in images:
        frames = chosen.setdefault(image.orthanc_id, (image, []))[1]
        if image.frame is not None:
            frames.append(image.frame)
    return tuple(
        InputInstance(
            orthanc_id=first.orthanc_id,
            sop_instance_uid=first.sop_instance_uid,
            sop_class_uid=first.sop_class_uid,
            series_instance_uid=first.series_instance_uid,
            content_sha256=first.content_sha256,
            frames=tuple(sorted(frames)),
            input=served,
        )
        for first, frames in chosen.values()
    )


def _frame(header: ImageHeader, number: int) -> ImageHeader:
    if not header.planes:  # one place for them all is the place of none
        return replace(
            header, frame=number, instance_number=number, position_mm=None, pixel_sha256=_digest(header, number, b"")
        )
    plane = header.planes[number - 1]
    return replace(
        header,
        frame=number,
        instance_number=number,
        planes=(),
        position_mm=plane.position_mm,
        orientation=plane.orientation,
        pixel_spacing_mm=plane.pixel_spacing_mm,
        slice_thickness_mm=plane.slice_thickness_mm,
        image_type=plane.image_type or header.image_type,
        acquisition_number=plane.acquisition_number,
        kernels=plane.kernels or header.kernels,
        echo_time_ms=plane.echo_time_ms,
        b_value=plane.b_value,
        temporal_position=plane.temporal_position,
        trigger_time_ms=plane.trigger_time_ms,
        repetition_time_ms=plane.repetition_time_ms,
        inversion_time_ms=plane.inversion_time_ms,
        stack_id=plane.stack_id,
        dimension_indices=plane.dimension_indices,
        contrast_agent="" if plane.without_contrast else header.contrast_agent,
        pixel_sha256=_digest(header, number, plane.transformation),
    )


def _digest(header: ImageHeader, number: int, transformation: bytes) -> str:
    """The same frame of an image that was sent twice, under two UIDs, is the same picture."""
    if not header.pixel_sha256:
        return ""
    return hashlib.sha256(f"{header.pixel_sha256}|{number}|".encode() + transformation).hexdigest()
