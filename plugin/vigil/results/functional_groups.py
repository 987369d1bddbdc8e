"""Functional groups of multi-frame objects (PS3.3 C.7.6.16): where a frame lies and from which image it was derived."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from vigil.domain.codes import SEGMENTATION
from vigil.results.derivation import source_image
from vigil.results.document import code_item
from vigil.results.patient_study import copy_attributes
from vigil.results.request import ResultRequest

_PLACE = ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


def is_placed(request: ResultRequest) -> bool:
    """Whether the slices lie somewhere in a frame of reference: a radiograph does not."""
    return bool(request.sources) and all(request.plane(0).get(keyword) for keyword in _PLACE)


def set_frame_of_reference(request: ResultRequest, ds: Dataset) -> None:
    copy_attributes(request.sources[0], ds, ("FrameOfReferenceUID", "PositionReferenceIndicator"))
    if "PositionReferenceIndicator" not in ds:
        ds.PositionReferenceIndicator = None


def set_dimensions(ds: Dataset, organisation_uid: str, dimensions: Sequence[tuple[str, str, str]]) -> None:
    """Multi-frame Dimension: ``dimensions`` are the attribute that is indexed, its functional group, and a label."""
    organisation = Dataset()
    organisation.DimensionOrganizationUID = organisation_uid
    ds.DimensionOrganizationSequence = [organisation]
    items = []
    for pointer, group, label in dimensions:
        item = Dataset()
        item.DimensionIndexPointer = tag_for_keyword(pointer)
        item.FunctionalGroupPointer = tag_for_keyword(group)
        item.DimensionOrganizationUID = organisation_uid
        item.DimensionDescriptionLabel = label
        items.append(item)
    ds.DimensionIndexSequence = items


def shared_place(request: ResultRequest) -> Dataset:
    """Plane Orientation and Pixel Measures of all frames. The distance of the slices is what the positions say."""
    first = request.plane(0)
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    copy_attributes(first, orientation, ("ImageOrientationPatient",))
    copy_attributes(first, measures, ("PixelSpacing", "SliceThickness"))
    spacing_mm = _slice_spacing_mm(request)
    if spacing_mm is not None:
        measures.SpacingBetweenSlices = f"{spacing_mm:.10g}"
    if not measures.get("SliceThickness"):
        measures.SliceThickness = measures.get("SpacingBetweenSlices", "1")
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelMeasuresSequence = [measures]
    return shared


def position(request: ResultRequest, index: int) -> Dataset:
    """An item of Plane Position Sequence."""
    item = Dataset()
    copy_attributes(request.plane(index), item, ("ImagePositionPatient",))
    return item


def derivation(request: ResultRequest, index: int) -> Dataset:
    """An item of Derivation Image Sequence: from slice ``index``, each pixel where it lay."""
    item = Dataset()
    item.DerivationCodeSequence = [code_item(SEGMENTATION)]
    item.SourceImageSequence = [source_image(request.sources[index], in_place=True, frame=request.frame(index))]
    return item


def lossiest(request: ResultRequest, indices: Sequence[int]) -> Dataset:
    """A source that lost something on its way, if any did."""
    sources = [request.sources[index] for index in indices]
    return next((source for source in sources if str(source.get("LossyImageCompression") or "") == "01"), sources[0])


def _slice_spacing_mm(request: ResultRequest) -> float | None:
    """Mean distance of neighbouring slices along the normal; None of a single slice."""
    count = len(request.sources)
    if count < 2:
        return None
    cosines = np.array([float(value) for value in request.plane(0).ImageOrientationPatient])
    first, last = (
        np.array([float(value) for value in request.plane(index).ImagePositionPatient]) for index in (0, count - 1)
    )
    return abs(float((last - first) @ np.cross(cosines[:3], cosines[3:]))) / (count - 1)
