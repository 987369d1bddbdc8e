"""An image without a place (CR, DX, MG, XA, US, photographs), for a model of two dimensions: by itself, or each frame of a loop.

A projection has no place in the patient, so its stack has none: one plane, in its own rows and columns. Where several images suit
and the model looks at one, nobody knows which is meant, and a negative on one breast would be read as one on both: none is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydicom.uid import (
    DigitalIntraOralXRayImageStorageForProcessing,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForProcessing,
)

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import SeriesInput
from vigil.intake.header import ImageHeader
from vigil.intake.stack import SliceStack

_FOR_PROCESSING = frozenset(map(str, (
    DigitalXRayImageStorageForProcessing, DigitalMammographyXRayImageStorageForProcessing,
    DigitalIntraOralXRayImageStorageForProcessing,
)))


def flat_stack(images: Sequence[ImageHeader]) -> SliceStack:
    """Of one image, or of the frames of one in their order. Spacing: of the detector where the image is not calibrated; 1 where
    it says neither."""
    row_mm, column_mm = images[0].pixel_spacing_mm or images[0].imager_pixel_spacing_mm or (1.0, 1.0)
    headers = tuple(replace(image, position_mm=None, orientation=None) for image in images)
    return SliceStack(headers, (0.0, 0.0, 1.0), (1.0, row_mm, column_mm), (), 0.0)


def instances(images: Iterable[ImageHeader]) -> list[list[ImageHeader]]:
    """The frames of each image together, in their order."""
    found: dict[str, list[ImageHeader]] = {}
    for image in images:
        found.setdefault(image.orthanc_id, []).append(image)
    return [sorted(frames, key=lambda image: image.frame or 0) for frames in found.values()]


def flat_reason(frames: Sequence[ImageHeader], wanted: SeriesInput) -> Reason | None:
    """Why an image (or its frames) is none that a model of two dimensions looks at; None where it is one."""
    image = frames[0]
    if image.frame is not None and wanted.frames == "refuse":
        return Reason(Category.NO_SUITABLE_SERIES, "holds multi-frame images; this model looks at one image by itself")
    if len(frames) > wanted.maximum_slices:
        return Reason(Category.STUDY_TOO_LARGE, f"{len(frames)} frames; this model takes at most {wanted.maximum_slices}")
    if image.sop_class_uid in _FOR_PROCESSING:
        return Reason(
            Category.OUT_OF_SCOPE,
            "the image is the detector's raw one (For Processing); this model looks at images For Presentation: send those",
        )
    if image.rows <= 0 or image.columns <= 0:
        return Reason(Category.IRREGULAR_GEOMETRY, "the image has a matrix of zero")
    return None


def several_reason(images: Sequence[ImageHeader]) -> Reason | None:
    """Why none is taken of several; None where there is one, or the same one several times."""
    different = {image.pixel_sha256 or image.sop_instance_uid: image for image in images}
    if len(different) < 2:
        return None
    views = sorted({f"{image.laterality} {image.view_position}".strip() for image in different.values()} - {""})
    named = f" ({', '.join(views[:4])})" if views else ""
    return Reason(
        Category.NO_SUITABLE_SERIES,
        f"{len(different)} images of the study suit this model{named}, and it looks at one: nobody knows which is meant",
    )
