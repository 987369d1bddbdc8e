"""Which findings are segments, and under which number: the segmentation and the report that refers to it agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import SegmentationStorage

from vigil.domain.answer import Finding
from vigil.domain.manifest import PermittedOutput
from vigil.results.document import Series, instance_uid
from vigil.results.request import ResultRequest

_NEEDED_PLACE = ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


@dataclass(frozen=True, eq=False)
class Segment:
    """A finding as a segment. ``number``: counted from 1 without a gap (PS3.3 C.8.20.2); ``finding_number``: that of the
    finding in the answer; ``mask``: bool [slice, row, column], not empty."""

    number: int
    finding_number: int
    finding: Finding
    mask: NDArray[np.bool_]


def segments(request: ResultRequest) -> tuple[Segment, ...]:
    """The findings that have a mask, in the order of the answer, whatever its kind; none where the clearance permits no
    contour, where the model gave no answer, or where the images have no place in a frame of reference."""
    if not request.permits(PermittedOutput.CONTOUR) or not request.answer.kind.analysed or not _placed(request):
        return ()
    made: list[Segment] = []
    for finding_number, finding in enumerate(request.answer.findings, start=1):
        mask = request.mask_of(finding)
        if mask is not None:
            made.append(Segment(len(made) + 1, finding_number, finding, mask))
    return tuple(made)


def segmentation_reference(request: ResultRequest) -> Dataset:
    """SOP class and instance of the segmentation that this request makes."""
    item = Dataset()
    item.ReferencedSOPClassUID = SegmentationStorage
    item.ReferencedSOPInstanceUID = instance_uid(request, Series.SEGMENTATION, 0)
    return item


def _placed(request: ResultRequest) -> bool:
    return bool(request.sources) and all(request.sources[0].get(keyword) for keyword in _NEEDED_PLACE)
