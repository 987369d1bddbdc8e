"""A projection image by itself (CR, DX, MG), for a model of two dimensions.

A projection has no place in the patient, so its stack has none: one plane, in its own rows and columns. Where several images suit
and the model looks at one, nobody knows which is meant, and a negative on one breast would be read as one on both: none is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydicom.uid import (
    DigitalIntraOralXRayImageStorageForProcessing,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForProcessing,
)

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.intake.header import ImageHeader
from vigil.intake.stack import SliceStack

_FOR_PROCESSING = frozenset(map(str, (
    DigitalXRayImageStorageForProcessing, DigitalMammographyXRayImageStorageForProcessing,
    DigitalIntraOralXRayImageStorageForProcessing,
)))


def flat_stack(image: ImageHeader) -> SliceStack:
    """Spacing: of the detector where the image is not calibrated; 1 where it says neither."""
    row_mm, column_mm = image.pixel_spacing_mm or image.imager_pixel_spacing_mm or (1.0, 1.0)
    header = replace(image, position_mm=None, orientation=None)
    return SliceStack((header,), (0.0, 0.0, 1.0), (1.0, row_mm, column_mm), (), 0.0)


def flat_reason(image: ImageHeader) -> Reason | None:
    """Why an image is none that a model of two dimensions looks at; None where it is one."""
    if image.frame is not None:
        return Reason(Category.NO_SUITABLE_SERIES, "holds multi-frame images; this model looks at one image by itself")
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
