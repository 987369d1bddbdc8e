"""From which image an image was derived, and what was lost on the way."""

from __future__ import annotations

from pydicom import Dataset

from vigil.domain.codes import SOURCE_IMAGE
from vigil.results.document import code_item
from vigil.results.patient_study import copy_attributes

_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


def source_image(source: Dataset, *, in_place: bool, frame: int | None = None) -> Dataset:
    """An item of Source Image Sequence (PS3.3 C.7.6.16.2.6). ``in_place``: each pixel lies where it lay in the source;
    ``frame``: of a multi-frame source, from 1."""
    item = Dataset()
    item.ReferencedSOPClassUID = str(source.SOPClassUID)
    item.ReferencedSOPInstanceUID = str(source.SOPInstanceUID)
    if frame is not None:
        item.ReferencedFrameNumber = frame
    item.SpatialLocationsPreserved = "YES" if in_place else "NO"
    item.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE)]
    return item


def inherit_loss(source: Dataset, ds: Dataset) -> None:
    """What was lost in the source stays lost, and is said again (PS3.3 C.7.6.1.1.5)."""
    ds.LossyImageCompression = "00"
    if str(source.get("LossyImageCompression") or "") == "01":
        copy_attributes(source, ds, _LOSSY)
