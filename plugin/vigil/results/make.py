"""The result objects of one analysis, ready to be stored and sent."""

from __future__ import annotations

from vigil.results.key_objects import key_objects
from vigil.results.multiframe_capture import multiframe_capture
from vigil.results.objects import ResultObject
from vigil.results.presentation_state import presentation_state
from vigil.results.request import ResultRequest
from vigil.results.secondary_capture import key_slices, summary
from vigil.results.segmentation import full_segmentation, segmentation
from vigil.results.structured_report import structured_report
from vigil.results.text_report import text_report


def make_results(request: ResultRequest) -> tuple[ResultObject, ...]:
    """Summary image and report for every kind of answer; where there is something to show, and it may be shown, captures
    of slices, segmentations, a presentation state and a selection of key images, as the options ask. The report comes last:
    what it refers to is there before it.

    The same request makes the same bytes, in whichever process (law 4).

    Raises:
        ReferenceUnusable: the reference is not of the analysed study.
        RequestContradicts: slices, voxels and masks do not fit each other.
    """
    request.check()
    further = (
        multiframe_capture(request), segmentation(request), full_segmentation(request), presentation_state(request),
        key_objects(request), text_report(request) if request.options.text_report else None,
    )  # fmt: skip
    return (
        summary(request), *key_slices(request), *(made for made in further if made is not None), structured_report(request),
    )  # fmt: skip
