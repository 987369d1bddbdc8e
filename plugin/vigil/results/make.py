"""The result objects of one analysis, ready to be stored and sent."""

from __future__ import annotations

from vigil.results.objects import ResultObject
from vigil.results.request import ResultRequest
from vigil.results.secondary_capture import key_slices, summary
from vigil.results.segmentation import segmentation
from vigil.results.structured_report import structured_report


def make_results(request: ResultRequest) -> tuple[ResultObject, ...]:
    """Summary image and report for every kind of answer; key slices and a segmentation where there is something to show.
    The report comes last: what it refers to is there before it.

    The same request makes the same bytes, in whichever process (law 4).

    Raises:
        ReferenceUnusable: the reference is not of the analysed study.
        RequestContradicts: slices, voxels and masks do not fit each other.
    """
    request.check()
    made = [summary(request), *key_slices(request)]
    outlined = segmentation(request)
    if outlined is not None:
        made.append(outlined)
    return (*made, structured_report(request))
