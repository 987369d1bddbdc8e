"""Whether images were made as a model's intended use asks (law 5): whose body, which scanner, kernel, field, contrast, view,
whether they were compressed with loss, and whether text stands in their pixels.

As in :mod:`vigil.intake.scope`, what a header does not say is refused unless the manifest accepts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRColorImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import AnyOf, Contrast, Scope, WhenUnknown
from vigil.intake.header import ImageHeader
from vigil.intake.scope import lies_within, span
from vigil.intake.words import has_word

_MODALITY_OF_CLASS = {
    **dict.fromkeys(map(str, (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)), "CT"),
    **dict.fromkeys(map(str, (
        MRImageStorage, EnhancedMRImageStorage, EnhancedMRColorImageStorage, LegacyConvertedEnhancedMRImageStorage)), "MR"),
}
_NO_AGENT = frozenset((
    "", "none", "no", "nil", "0", "-", "n/a", "not given", "without", "native", "nativ", "ohne", "keine", "kein",
))
"""What scanners write as a contrast agent where none was given."""
_SEXES = {"M": "male", "F": "female", "O": "of other sex"}
_LONGEST_TOLD = 40


def sex_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    """Why the patient's sex rules the model out; None where it does not."""
    if scope.sex is None:
        return None
    wanted = _either(_SEXES.get(sex.upper(), sex) for sex in scope.sex.any_of)
    said = sorted({image.sex for image in images if image.sex})
    return _reason("the patient's sex", said, scope.sex, _equal, lambda sex: f"patient is {_SEXES.get(sex, _told(sex))}", wanted)


def equipment_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    """Why the way in which the images of one stack were made rules them out; None where it does not."""
    return (
        _class_reason(images)
        or _loss_reason(images, scope)
        or _burned_in_reason(images, scope)
        or _scanner_reason(images, scope)
        or _kernel_reason(images, scope)
        or _field_reason(images, scope)
        or _contrast_reason(images, scope)
        or _view_reason(images, scope)
    )


def _class_reason(images: Sequence[ImageHeader]) -> Reason | None:
    """A modality that the kind of object contradicts: nobody knows what was scanned."""
    for image in images:
        by_class = _MODALITY_OF_CLASS.get(image.sop_class_uid)
        if by_class is not None and by_class != image.modality:
            return Reason(
                Category.OUT_OF_SCOPE,
                f"images say that they are {image.modality}, but were stored as {by_class}: find out what was scanned",
            )
    return None


def _loss_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    if scope.lossy == "accept" or not any(image.lossy for image in images):
        return None
    return Reason(
        Category.OUT_OF_SCOPE, "images were compressed with loss; this model is for images without loss: send the originals"
    )


def _burned_in_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    if scope.burned_in == "accept" or not any(image.burned_in for image in images):
        return None
    return Reason(
        Category.OUT_OF_SCOPE,
        "text or marks are burned into the images; this model is for images without: send the scanner's own images"
    )


def _scanner_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    if scope.manufacturers is None:
        return None
    said = sorted({image.manufacturer for image in images if image.manufacturer})
    return _reason("the scanner's manufacturer", said, scope.manufacturers, has_word,
                   lambda maker: f"the scanner was made by '{_told(maker)}'", _either(scope.manufacturers.any_of))


def _kernel_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    if scope.kernels is None:
        return None
    said = sorted({kernel for image in images for kernel in image.kernels if kernel})
    return _reason("the reconstruction kernel", said, scope.kernels, _equal,
                   lambda kernel: f"the reconstruction kernel is '{_told(kernel)}'", _either(scope.kernels.any_of))


def _view_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    if scope.views is None:
        return None
    said = sorted({image.view_position for image in images if image.view_position})
    return _reason("the view", said, scope.views, _equal, lambda view: f"the view is {_told(view)}", _either(scope.views.any_of))


def _field_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    limits = scope.field_strength_t
    if limits is None:
        return None
    wanted = span(limits, " T")
    known = sorted({image.field_strength_t for image in images if image.field_strength_t is not None})
    if not known and limits.unknown is WhenUnknown.REFUSE:
        return Reason(Category.OUT_OF_SCOPE, f"the header does not give the field strength; this model is for {wanted}")
    outside = next((strength for strength in known if not lies_within(strength, limits)), None)
    if outside is None:
        return None
    return Reason(Category.OUT_OF_SCOPE, f"the field strength is {outside:g} T; this model is for {wanted}")


def contrast_given(images: Sequence[ImageHeader]) -> bool:
    return any(image.contrast_agent.casefold() not in _NO_AGENT for image in images)


def _contrast_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    """By Contrast/Bolus Agent. A header without it says that none was given (PS3.3 C.7.6.4: required where one was). Which one is
    not told: people type it, and what else they type nobody knows (law 9)."""
    given = contrast_given(images)
    if scope.contrast is Contrast.NONE and given:
        return Reason(Category.OUT_OF_SCOPE, "a contrast agent was given; this model is for images without contrast")
    if scope.contrast is Contrast.GIVEN and not given:
        return Reason(Category.OUT_OF_SCOPE, "the header names no contrast agent; this model is for images with contrast")
    return None


def _reason(
    what: str, said: Sequence[str], accepted: AnyOf, agrees: Callable[[str, str], bool], sentence: Callable[[str], str],
    wanted: str,
) -> Reason | None:
    """``said``: every value of the images; each must agree with one that is accepted."""
    if not said:
        if accepted.unknown is WhenUnknown.ACCEPT:
            return None
        return Reason(Category.OUT_OF_SCOPE, f"the header does not give {what}; this model is for {wanted}")
    other = next((value for value in said if not any(agrees(value, one) for one in accepted.any_of)), None)
    return None if other is None else Reason(Category.OUT_OF_SCOPE, f"{sentence(other)}; this model is for {wanted}")


def _equal(value: str, accepted: str) -> bool:
    return value.casefold() == accepted.casefold()


def _either(values: Iterable[str]) -> str:
    return " or ".join(values)


def _told(value: str) -> str:
    """A free text of the header, fit to be printed: no control characters, not endless."""
    return "".join(character for character in value if character.isprintable())[:_LONGEST_TOLD]
