"""Which findings are segments, and under which number: the segmentation and the report that refers to it agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import UID, SegmentationStorage

from vigil.domain.answer import Finding
from vigil.domain.manifest import PermittedOutput
from vigil.results.document import Series, instance_uid
from vigil.results.functional_groups import is_placed
from vigil.results.options import SegmentationKind
from vigil.results.request import ResultRequest

LABEL_MAP_SEGMENTATION_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
SOP_CLASSES = {
    SegmentationKind.BINARY: SegmentationStorage,
    SegmentationKind.FRACTIONAL: SegmentationStorage,
    SegmentationKind.LABELMAP: LABEL_MAP_SEGMENTATION_STORAGE,
}
MOST_LABELS = 255


@dataclass(frozen=True, eq=False)
class Segment:
    """A finding as a segment. ``number``: counted from 1 without a gap (PS3.3 C.8.20.2); ``finding_number``: that of the
    finding in the answer; ``mask``: bool [slice, row, column], not empty."""

    number: int
    finding_number: int
    finding: Finding
    mask: NDArray[np.bool_]


def segments(request: ResultRequest) -> tuple[Segment, ...]:
    """The findings that have a mask, in the order of the answer, whatever its kind; none where the clearance permits no contour
    or no location, where the model gave no answer, where the images have no place in a frame of reference, or where the
    options ask for no segmentation."""
    outputs = (PermittedOutput.CONTOUR, PermittedOutput.LOCATION)
    permitted = all(map(request.permits, outputs)) and request.answer.kind.analysed
    if not permitted or request.options.segmentation is SegmentationKind.NONE or not is_placed(request):
        return ()
    made: list[Segment] = []
    for finding_number, finding in enumerate(request.answer.findings, start=1):
        mask = request.mask_of(finding)
        if mask is not None:
            made.append(Segment(len(made) + 1, finding_number, finding, mask))
    return tuple(made)


def kind_of(request: ResultRequest, shown: tuple[Segment, ...]) -> SegmentationKind:
    """As the options ask; binary in place of a label map that could not hold the segments."""
    kind = request.options.segmentation
    if kind is not SegmentationKind.LABELMAP:
        return kind
    return SegmentationKind.BINARY if len(shown) > MOST_LABELS or _overlap(shown) else kind


def segmentation_reference(request: ResultRequest) -> Dataset:
    """SOP class and instance of the segmentation that this request makes."""
    item = Dataset()
    item.ReferencedSOPClassUID = SOP_CLASSES[kind_of(request, segments(request))]
    item.ReferencedSOPInstanceUID = instance_uid(request, Series.SEGMENTATION, 0)
    return item


def _overlap(shown: tuple[Segment, ...]) -> bool:
    taken = shown[0].mask
    for segment in shown[1:]:
        if bool((taken & segment.mask).any()):
            return True
        taken = taken | segment.mask
    return False
