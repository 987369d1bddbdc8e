"""Which stack of a study serves a model's input, and why each other series does not.

Among stacks that serve, the best is, in this order: the one that covers most (to the nearest centimetre, so that a thick
series does not win by half a slice), then the thinnest spacing, then most slices, then the lowest series number, then the
lowest UID; within one series the shortest echo, the lowest b-value, the first phase. Arrival order plays no part. Where a model
has several inputs, :mod:`vigil.intake.assignment` shares the stacks out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import Scope, SeriesInput
from vigil.intake.acquisitions import Built, split_stacks
from vigil.intake.completeness import Completeness, Proof, judge
from vigil.intake.equipment import equipment_reason
from vigil.intake.errors import TooFewSlices
from vigil.intake.flat import flat_reason, flat_stack, instances, several_reason
from vigil.intake.frames import all_images
from vigil.intake.header import ImageHeader
from vigil.intake.scope import Region, region, region_reason, thickness_reason
from vigil.intake.sequences import sequence_reason
from vigil.intake.stack import SliceStack
from vigil.intake.words import has_word

DECODABLE = frozenset(map(str, (
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
    JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless,
    JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K,
)))
"""Transfer syntaxes that :mod:`vigil.imaging` decodes."""

_CENTIMETRE = 10.0
# Of several reasons why nothing serves: a series that is not meant is told last, otherwise the largest series first, for it
# is the one a reader has in mind.
_NOT_MEANT = frozenset((Category.OUT_OF_SCOPE, Category.NO_SUITABLE_SERIES))


@dataclass(frozen=True)
class Candidate:
    """A stack that the model could be run on, once it is complete."""

    stack: SliceStack
    completeness: Completeness

    @property
    def series_instance_uid(self) -> str:
        return self.stack.headers[0].series_instance_uid

    @property
    def rank(self) -> tuple[int, float, int, int, str, tuple[float, ...], str]:
        """The best is the least."""
        first, stack = self.stack.headers[0], self.stack
        return (
            -round(stack.coverage_mm / _CENTIMETRE), round(stack.spacing_mm[0], 3), -len(stack.headers),
            first.series_number if first.series_number is not None else 1 << 31, first.series_instance_uid,
            (first.echo_time_ms or 0.0, first.b_value or 0.0, first.temporal_position or 0, first.trigger_time_ms or 0.0),
            min(header.sop_instance_uid for header in stack.headers),
        )


@dataclass(frozen=True)
class Selection:
    """``candidates``: best first. ``rejected``: why a series, or the larger part of it, gave no candidate, by Series
    Instance UID. ``sizes``: how many images each rejection concerns."""

    candidates: tuple[Candidate, ...]
    rejected: dict[str, Reason]
    sizes: dict[str, int]

    @property
    def told(self) -> Reason:
        """The one reason to tell where no candidate is complete."""
        reasons = [(reason, self.sizes[uid]) for uid, reason in sorted(self.rejected.items())]
        reasons += [
            (candidate.completeness.reason, len(candidate.stack.headers))
            for candidate in self.candidates if candidate.completeness.reason is not None
        ]
        return min(reasons, key=lambda item: (item[0].category in _NOT_MEANT, -item[1], item[0].text))[0]


def select(
    images: Iterable[ImageHeader], scope: Scope, wanted: SeriesInput, decodable: frozenset[str] = DECODABLE
) -> Selection:
    """``images``: those of the model's modality."""
    candidates: list[Candidate] = []
    rejected: dict[str, Reason] = {}
    sizes: dict[str, int] = {}
    series_of = by_series(images)
    for uid, series in series_of.items():
        found, failed = _of_series(series, scope, wanted, decodable)
        candidates.extend(found)
        if failed is not None:
            rejected[uid], sizes[uid] = failed
    if wanted.dimensions == 2:
        several = several_reason([candidate.stack.headers[0] for candidate in candidates])
        if several is not None:
            for candidate in candidates:
                uid = candidate.series_instance_uid
                rejected[uid], sizes[uid] = several, len(series_of[uid])
            candidates = []
    return Selection(tuple(sorted(candidates, key=lambda candidate: candidate.rank)), rejected, sizes)


def suffices(images: Sequence[ImageHeader], scope: Scope, wanted: SeriesInput) -> bool:
    """Whether exactly these images, or frames, are one stack that the model may be run on, whole or not."""
    return any(
        candidate.completeness.enough and len(candidate.stack.headers) == len(images)
        for candidate in select(images, scope, wanted).candidates
    )


def by_series(images: Iterable[ImageHeader]) -> dict[str, tuple[ImageHeader, ...]]:
    grouped: dict[str, list[ImageHeader]] = {}
    for image in images:
        grouped.setdefault(image.series_instance_uid, []).append(image)
    return {uid: tuple(grouped[uid]) for uid in sorted(grouped)}


def _of_series(
    series: Sequence[ImageHeader], scope: Scope, wanted: SeriesInput, decodable: frozenset[str]
) -> tuple[list[Candidate], tuple[Reason, int] | None]:
    """The candidates of one series, and why (with how many images) the largest part that gave none did not."""
    every = all_images(series)
    images = [image for image in every if _is_of_type(image, wanted)]
    barred = _not_meant(series, images, scope, wanted) or _unusable(images, decodable, placed=wanted.dimensions == 3)
    if barred is not None:
        return [], (barred, len(every))
    if wanted.dimensions == 2:
        return _flat(images, scope, wanted)
    candidates: list[Candidate] = []
    failures: list[tuple[Reason, int]] = []
    for built in split_stacks(images, wanted.spacing_tolerance, wanted.largest_gantry_tilt_degrees):
        result = _usable(built, scope, wanted)
        if isinstance(result, Reason):
            failures.append((result, len(built.images)))
        else:
            candidates.append(Candidate(result, judge(result, images, every, wanted)))
    return candidates, max(failures, key=lambda failure: failure[1], default=None)


def _is_of_type(image: ImageHeader, wanted: SeriesInput) -> bool:
    excluded = {value.upper() for value in wanted.excluded_image_types}
    required = {value.upper() for value in wanted.required_image_types}
    return excluded.isdisjoint(image.image_type) and (not required or not required.isdisjoint(image.image_type))


def _flat(
    images: Sequence[ImageHeader], scope: Scope, wanted: SeriesInput
) -> tuple[list[Candidate], tuple[Reason, int] | None]:
    """Each image that suits is a candidate: what comes after it only quiet can tell."""
    found: list[Candidate] = []
    failed: list[Reason] = []
    for frames in instances(images):
        reason = flat_reason(frames, wanted) or equipment_reason(frames[:1], scope)
        if reason is None:
            found.append(Candidate(flat_stack(frames), Completeness(Proof.QUIET, None, None, len(frames), enough=True)))
        else:
            failed.extend([reason] * len(frames))
    return found, (failed[0], len(failed)) if failed else None


def _not_meant(
    series: Sequence[ImageHeader], images: Sequence[ImageHeader], scope: Scope, wanted: SeriesInput
) -> Reason | None:
    """Why a series is not of the kind that the model takes. ``images``: its images without the excluded types."""
    found = region(series, scope.body_part)
    if found is not Region.ACCEPTED:
        return region_reason(found, series, scope.body_part)
    for word in wanted.excluded_words:
        if any(has_word(image.series_description, word) for image in series):
            return Reason(Category.NO_SUITABLE_SERIES, f"the series description says '{word}', which this model excludes")
    if wanted.required_words and not any(_names(image, wanted.required_words) for image in series):
        return Reason(
            Category.NO_SUITABLE_SERIES,
            f"neither series description nor protocol says {' or '.join(wanted.required_words[:3])}, which this model needs",
        )
    if not images:
        excluded = {value.upper() for value in wanted.excluded_image_types}
        types = sorted({value.lower() for image in series for value in image.image_type if value in excluded})
        if not types:
            needed = " or ".join(wanted.required_image_types)
            return Reason(Category.NO_SUITABLE_SERIES, f"holds no image of the type {needed}, which this model needs")
        return Reason(Category.NO_SUITABLE_SERIES, f"holds only {' and '.join(types)} images")
    return None


def _names(image: ImageHeader, words: Sequence[str]) -> bool:
    return any(has_word(text, word) for text in (image.series_description, image.protocol) for word in words)


def _unusable(images: Sequence[ImageHeader], decodable: frozenset[str], *, placed: bool) -> Reason | None:
    """What no stack of these images can be rid of."""
    without_pixels = sum(1 for image in images if not image.has_pixel_data)
    if without_pixels:
        return Reason(Category.NO_PIXEL_DATA, f"{without_pixels} of {len(images)} images hold no pixel data")
    foreign = sorted({image.transfer_syntax_uid for image in images} - decodable)
    if foreign:
        names = ", ".join(f"{UID(uid).name} ({uid})" if uid else "none named" for uid in foreign)
        return Reason(
            Category.UNSUPPORTED_TRANSFER_SYNTAX,
            f"the transfer syntax of the images cannot be decoded: {names}; send them uncompressed",
        )
    if placed and any(image.frame is not None and image.position_mm is None for image in images):
        return Reason(
            Category.NO_SUITABLE_SERIES, "holds multi-frame images that do not say where each frame lies, which a volume needs"
        )
    return None


def _usable(built: Built, scope: Scope, wanted: SeriesInput) -> SliceStack | Reason:
    stack, error = built.stack, built.error
    if stack is None:
        if error is None or isinstance(error, TooFewSlices):
            return Reason(Category.INCOMPLETE, f"1 slice has arrived; this model needs at least {wanted.minimum_slices}")
        return Reason(error.category, error.message)
    if len(stack.headers) > wanted.maximum_slices:
        return Reason(
            Category.STUDY_TOO_LARGE,
            f"{len(stack.headers)} slices; this model takes at most {wanted.maximum_slices}",
        )
    return (
        sequence_reason(stack.headers, wanted)
        or thickness_reason(stack.headers, scope)
        or equipment_reason(stack.headers, scope)
        or stack
    )

