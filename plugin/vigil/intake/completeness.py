"""Whether a stack is all that a model needs, so that a negative may leave (law 2). Decided from content.

Complete is: at least the model's number of slices, at least its coverage, no hole, and then either as many images as the
acquisition declared (or all parts of a multi-frame image that was cut into several), or quiet. A declared count that does not
fit (as a step-and-shoot scanner's "1" on every image) proves nothing, and quiet decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import SeriesInput
from vigil.intake.header import ImageHeader
from vigil.intake.stack import SliceStack

NAMED_NUMBERS = 5


class Proof(Enum):
    """What is known of a stack's end."""

    DECLARED = "declared"
    """As many images as declared are here: nothing more will come."""
    QUIET = "quiet"
    """Enough for the model, but only quiet can tell that nothing more will come."""
    NONE = "none"
    """Something is missing."""


@dataclass(frozen=True)
class Completeness:
    """``reason`` says what is missing where ``proof`` is NONE. ``declared``: images that the acquisition declared, None
    where it did not or contradicts itself; ``arrived``: different images of it that are here."""

    proof: Proof
    reason: Reason | None
    declared: int | None
    arrived: int
    enough: bool
    """Whether slices and coverage suffice for the model, whatever else is missing."""


def judge(
    stack: SliceStack, usable: Sequence[ImageHeader], series: Sequence[ImageHeader], wanted: SeriesInput
) -> Completeness:
    """``series``: every image of the stack's series; ``usable``: those of them that could be in a stack (no
    localizer)."""
    declared, arrived = _declared(stack), _arrived(stack, usable)
    reason = _too_little(stack, wanted)
    enough = reason is None
    if reason is None and declared is not None and arrived < declared:
        reason = Reason(
            Category.INCOMPLETE, f"{arrived} of the {declared} images that the scanner declared have arrived"
        )
    reason = reason or _parts_missing(stack, series) or _numbers_missing(stack, series)
    if reason is not None:
        return Completeness(Proof.NONE, reason, declared, arrived, enough)
    # Where a part of the count lies outside the stack, the scanner may have declared each stack's own: a part of one and a
    # part of another add up to it.
    whole = arrived == declared == len(stack.headers) or _is_whole_concatenation(stack)
    return Completeness(Proof.DECLARED if whole else Proof.QUIET, None, declared, arrived, enough)


def _too_little(stack: SliceStack, wanted: SeriesInput) -> Reason | None:
    slices = len(stack.headers)
    if slices < wanted.minimum_slices:
        return Reason(
            Category.INCOMPLETE, f"{slices} slices have arrived; this model needs at least {wanted.minimum_slices}"
        )
    if stack.coverage_mm < wanted.minimum_coverage_mm:
        return Reason(
            Category.INCOMPLETE,
            f"the slices cover {stack.coverage_mm:.0f} mm; this model needs at least {wanted.minimum_coverage_mm:.0f} mm",
        )
    return None


def _declared(stack: SliceStack) -> int | None:
    """Images in Acquisition (0020,1002), where every slice of one acquisition gives the same number."""
    counts = {header.images_in_acquisition for header in stack.headers}
    acquisitions = {header.acquisition_number for header in stack.headers}
    if len(counts) != 1 or len(acquisitions) != 1:
        return None
    count = counts.pop()
    return count if count is not None and count > 0 else None


def _arrived(stack: SliceStack, usable: Sequence[ImageHeader]) -> int:
    """Different images of the stack's acquisition. One image under two UIDs counts once, or it would hide one that is
    missing."""
    first = stack.headers[0]
    return len({
        (header.pixel_sha256 or header.sop_instance_uid, header.position_mm, header.orientation)
        for header in usable
        if (header.acquisition_number, header.images_in_acquisition)
        == (first.acquisition_number, first.images_in_acquisition)
    })


def _parts_missing(stack: SliceStack, series: Sequence[ImageHeader]) -> Reason | None:
    """Of a multi-frame image that was cut into several instances, the parts that have not arrived."""
    for part in {header.concatenation for header in stack.headers}:
        if part is None or part.total is None:
            continue
        here = {header.concatenation.number for header in series
                if header.concatenation is not None and header.concatenation.uid == part.uid}
        if len(here) < part.total:
            return Reason(
                Category.INCOMPLETE, f"{len(here)} of the {part.total} parts of a multi-frame image have arrived"
            )
    return None


def _is_whole_concatenation(stack: SliceStack) -> bool:
    """Whether the stack's frames are one image that declared its parts, none of which is missing. (An image that says nothing of
    parts may be one of several blocks: quiet decides.)"""
    parts = {header.concatenation for header in stack.headers}
    known = [part for part in parts if part is not None and part.total is not None]
    return len(known) == len(parts) and len({part.uid for part in known}) == 1


def _numbers_missing(stack: SliceStack, series: Sequence[ImageHeader]) -> Reason | None:
    """Whether image numbers between neighbouring slices are nowhere in the series.

    Shows what the positions cannot: that of an evenly spaced series every second slice has not arrived. Only where the
    numbers run along the stack, as scanners number them; elsewhere they mean nothing.
    """
    numbers = [header.instance_number for header in stack.headers]
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        return None
    steps = [after - before for before, after in pairwise(known)]
    if not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        return None
    here = {header.instance_number for header in series}
    missing, named = 0, list[str]()
    for before, after in pairwise(sorted(known)):
        if after - before == 1:
            continue
        # Counted, not listed: a header may claim any number.
        absent = after - before - 1 - sum(1 for number in here if number is not None and before < number < after)
        if absent > 0:
            missing += absent
            named.append(f"{before} and {after}")
    if not missing:
        return None
    places = ", ".join(named[:NAMED_NUMBERS]) + (" and elsewhere" if len(named) > NAMED_NUMBERS else "")
    counted = "1 image is" if missing == 1 else f"{missing} images are"
    return Reason(Category.SLICE_MISSING, f"{counted} missing between the images numbered {places}")
