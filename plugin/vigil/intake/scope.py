"""Whether images lie within a model's intended use (law 5): modality, body part, age, slice thickness. (How they were made:
:mod:`vigil.intake.equipment`.)

What a header does not say is refused unless the manifest accepts it. Reasons are in people's words: a radiologist reads
them on the Secondary Capture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, EnhancedMRImageStorage, MRImageStorage

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import BodyPart, Range, Scope, WhenUnknown
from vigil.intake.header import ImageHeader
from vigil.intake.words import has_word

_IMAGE_CLASSES = frozenset(map(str, (CTImageStorage, MRImageStorage, EnhancedCTImageStorage, EnhancedMRImageStorage)))

# Defined terms of Body Part Examined (PS3.16 annex L) that a site may well send. Any other value is in doubt, and a doubt
# is shown, never taken for another body part: silence would read as "nothing found". WHOLEBODY is in doubt for any model.
_BODY_PARTS = frozenset((
    "ABDOMEN", "ABDOMENPELVIS", "ADRENAL", "ANKLE", "AORTA", "ARM", "BACK", "BLADDER", "BRAIN", "BREAST", "BUTTOCK",
    "CALCANEUS", "CALF", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "CLAVICLE", "COCCYX", "COLON", "CSPINE",
    "CTSPINE", "DUODENUM", "EAR", "ELBOW", "ESOPHAGUS", "EXTREMITY", "EYE", "FEMUR", "FINGER", "FOOT",
    "GALLBLADDER", "HAND", "HEAD", "HEADNECK", "HEART", "HIP", "HUMERUS", "ILIUM", "JAW", "KIDNEY", "KNEE",
    "LARYNX", "LEG", "LIVER", "LSPINE", "LSSPINE", "LUNG", "MAXILLA", "MEDIASTINUM", "MOUTH", "NECK", "NECKCHEST",
    "NECKCHESTABDOMEN", "NOSE", "ORBIT", "PANCREAS", "PAROTID", "PELVIS", "PENIS", "PROSTATE", "RECTUM", "RIB",
    "SCAPULA", "SCROTUM", "SELLA", "SHOULDER", "SINUS", "SKULL", "SPINE", "SPLEEN", "SSPINE", "STERNUM", "STOMACH",
    "THIGH", "THORAX", "THUMB", "THYMUS", "THYROID", "TIBIA", "TLSPINE", "TOE", "TRACHEA", "TSPINE", "UTERUS",
    "VAGINA", "WRIST", "ZYGOMA",
))
# Words of a description that plainly name another region, where Body Part Examined is absent.
_REGION_WORDS = (
    "abdomen", "ankle", "cardiac", "chest", "coronary", "cspine", "elbow", "foot", "heart", "hip", "kidney", "knee",
    "liver", "lspine", "lung", "neck", "pelvis", "shoulder", "spine", "thorax", "tspine", "wrist",
)


class Region(Enum):
    """What a series says of its body part, as a model sees it."""

    ACCEPTED = "accepted"
    OTHER = "other"
    UNKNOWN = "unknown"
    DOUBTFUL = "doubtful"
    """It says something that is neither accepted nor plainly another part."""


def is_image(header: ImageHeader) -> bool:
    """Whether an instance is, or claims to be, an image: a CT without pixels is one, raw data and a report are not."""
    return header.has_pixel_data or header.sop_class_uid in _IMAGE_CLASSES or (header.rows > 0 and header.columns > 0)


def images_of_modality(headers: Iterable[ImageHeader], scope: Scope) -> tuple[ImageHeader, ...]:
    """What a Vigil made is never looked at, also where a model takes secondary captures and another Vigil sent it."""
    return tuple(header for header in headers if header.modality in scope.modality and is_image(header) and not header.ours)


def region(images: Sequence[ImageHeader], body_part: BodyPart) -> Region:
    """Of one series. An image that says nothing agrees with one that does; two that contradict each other are in
    doubt."""
    regions = {_region(image, body_part) for image in images}
    if len(regions) > 1:
        regions.discard(Region.UNKNOWN)
    if len(regions) > 1:
        return Region.DOUBTFUL
    found = regions.pop()
    return Region.ACCEPTED if found is Region.UNKNOWN and body_part.unknown is WhenUnknown.ACCEPT else found


def region_reason(found: Region, images: Sequence[ImageHeader], body_part: BodyPart) -> Reason:
    """Why a series whose region was not accepted was left out."""
    wanted = " or ".join(part.lower() for part in body_part.any_of)
    if found is Region.UNKNOWN:
        return Reason(
            Category.OUT_OF_SCOPE, f"neither body part nor descriptions say what was scanned; this model is for {wanted}"
        )
    said = ", ".join(sorted({image.body_part.lower() for image in images if image.body_part}))
    return Reason(
        Category.OUT_OF_SCOPE,
        f"body part is {said or 'another one, by its description'}; this model is for {wanted}",
    )


def age_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    """Why the patient's age rules the model out; None where it does not.

    Patient's Age and the age by birth date must both lie within, where they differ by more than a birthday.
    """
    limits = scope.age_years
    if limits is None:
        return None
    ages: set[float] = set()
    for image in images:
        if image.patient_age_years is not None:
            ages.add(image.patient_age_years)
        by_birth_date = image.age_by_birth_date_years
        if by_birth_date is not None and (
            image.patient_age_years is None or abs(by_birth_date - image.patient_age_years) > 1
        ):
            ages.add(by_birth_date)
    if not ages and limits.unknown is WhenUnknown.REFUSE:
        return Reason(Category.OUT_OF_SCOPE, f"the header gives no age; this model is for {_ages(limits)}")
    outside = sorted(age for age in ages if not _is_of_age(age, limits))
    if not outside:
        return None
    return Reason(Category.OUT_OF_SCOPE, f"patient is {_age(outside[0])} old; this model is for {_ages(limits)}")


def thickness_reason(images: Sequence[ImageHeader], scope: Scope) -> Reason | None:
    """Why the slice thickness rules a series out; None where it does not."""
    limits = scope.slice_thickness_mm
    if limits is None:
        return None
    known = sorted({image.slice_thickness_mm for image in images if image.slice_thickness_mm is not None})
    wanted = span(limits, " mm")
    if not known:
        if limits.unknown is WhenUnknown.ACCEPT:
            return None
        return Reason(Category.OUT_OF_SCOPE, f"the header gives no slice thickness; this model is for {wanted}")
    for thickness in known:
        if not lies_within(thickness, limits):
            return Reason(Category.OUT_OF_SCOPE, f"slices are {thickness:g} mm thick; this model is for {wanted}")
    return None


def lies_within(value: float, limits: Range) -> bool:
    return (limits.minimum is None or value >= limits.minimum) and (limits.maximum is None or value <= limits.maximum)


def _region(image: ImageHeader, body_part: BodyPart) -> Region:
    accepted = {part.upper() for part in body_part.any_of}
    if image.body_part:
        if image.body_part in accepted:
            return Region.ACCEPTED
        plainly_other = image.body_part in _BODY_PARTS and not any(part in image.body_part for part in accepted)
        return Region.OTHER if plainly_other else Region.DOUBTFUL
    other = [word for word in _REGION_WORDS if word not in body_part.words and word.upper() not in accepted]
    # The series first: in a study of head and chest the study's description names both.
    for text in (image.series_description, image.descriptions):
        if any(has_word(text, word) for word in body_part.words):
            return Region.ACCEPTED
        if any(has_word(text, word) for word in other):
            return Region.OTHER
    return Region.UNKNOWN


def _is_of_age(age: float, limits: Range) -> bool:
    if limits.minimum is not None and age < limits.minimum:
        return False
    if limits.maximum is None:
        return True
    # "Up to 17" holds until the eighteenth birthday.
    return age < limits.maximum + 1 if limits.maximum == int(limits.maximum) else age <= limits.maximum


def _age(years: float) -> str:
    if years >= 2:
        return f"{int(years)} years"
    if years * 12 >= 1:
        months = int(years * 12 + 1e-6)
        return f"{months} month{'s' if months != 1 else ''}"
    days = int(years * 365.25 + 1e-6)
    return f"{days} day{'s' if days != 1 else ''}"


def _ages(limits: Range) -> str:
    if limits.minimum is not None and limits.maximum is None:
        return f"{limits.minimum:g} and over"
    return span(limits, "")


def span(limits: Range, unit: str) -> str:
    if limits.minimum is None:
        return "any value" if limits.maximum is None else f"up to {limits.maximum:g}{unit}"
    return f"{limits.minimum:g}{unit} and more" if limits.maximum is None else f"{limits.minimum:g} to {limits.maximum:g}{unit}"
