"""The result objects of one analysis, ready to be stored and sent."""

from __future__ import annotations

from vigil.results.objects import ResultObject
from vigil.results.request import ResultRequest
from vigil.results.secondary_capture import key_slices, summary
from vigil.results.structured_report import structured_report


def make_results(request: ResultRequest) -> tuple[ResultObject, ...]:
    """Summary image, key slices where there is something to point at, and report; for every kind of answer.

    The same request makes the same bytes, in whichever process (law 4).

    Raises:
        ReferenceUnusable: the reference is not of the analysed study.
        RequestContradicts: slices, voxels and masks do not fit each other.
    """
    request.check()
    return (summary(request), *key_slices(request), structured_report(request))
