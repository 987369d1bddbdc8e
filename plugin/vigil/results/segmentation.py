"""Segmentation (PS3.3 A.51), binary: what the model outlined, slice for slice in the geometry of the source.

Binary, because of fractional and label map segmentations a common viewer refuses the one and miscolours the other. The
segment descriptions are highdicom's; the frames are written here, so that patient and study are copied as their bytes
stand and nothing comes from a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.uid import SegmentationStorage

from vigil.domain.identity import object_uid
from vigil.results import wording
from vigil.results.attribution import ARTIFICIAL_INTELLIGENCE, Tracking, algorithm_parameters
from vigil.results.derivation import SEGMENTATION, inherit_loss, source_image
from vigil.results.document import (
    Place,
    Series,
    code_item,
    finished,
    instance_references,
    new_object,
    own_codes,
    sr_code,
)
from vigil.results.objects import ResultObject
from vigil.results.patient_study import copy_attributes, encodable
from vigil.results.picture import colour_of
from vigil.results.request import ResultRequest
from vigil.results.segments import Segment, segments

PLACE = Place(Series.SEGMENTATION, index=0, instance_number=1)

MANY_FRAMES = 400
"""Beyond it some viewers do not load a segmentation. None is left out: a segment that ends early would be another
volume. The segment's description says so instead."""


def segmentation(request: ResultRequest) -> ResultObject | None:
    """One object with a segment a finding; None where there is nothing to show, or it may not be shown."""
    shown = segments(request)
    if not shown:
        return None
    slices = [np.flatnonzero(segment.mask.any(axis=(1, 2))).tolist() for segment in shown]
    used = sorted({index for of_segment in slices for index in of_segment})
    frames = [(segment, index) for segment, indices in zip(shown, slices, strict=True) for index in indices]
    ds = new_object(request, PLACE, SegmentationStorage, "SEG")
    copy_attributes(request.reference, ds, ("BodyPartExamined", "RequestAttributesSequence"))
    copy_attributes(request.sources[0], ds, ("FrameOfReferenceUID", "PositionReferenceIndicator"))
    if "PositionReferenceIndicator" not in ds:
        ds.PositionReferenceIndicator = None
    _describe(request, ds)
    ds.SegmentsOverlap = "NO" if len(shown) == 1 else "UNDEFINED"
    ds.SegmentSequence = [_segment(request, segment, len(frames), ds) for segment in shown]
    ds.CodingSchemeIdentificationSequence = [own_codes()]
    # Multi-frame Dimension and Multi-frame Functional Groups
    dimensions = object_uid(request.analysis.analysis_id, "segmentation dimensions")
    organisation = Dataset()
    organisation.DimensionOrganizationUID = dimensions
    ds.DimensionOrganizationSequence = [organisation]
    ds.DimensionIndexSequence = [
        _dimension(dimensions, "ReferencedSegmentNumber", "SegmentIdentificationSequence", "Segment number"),
        _dimension(dimensions, "ImagePositionPatient", "PlanePositionSequence", "Position"),
    ]
    ds.SharedFunctionalGroupsSequence = [_shared(request.sources)]
    rank = {index: place for place, index in enumerate(used, start=1)}
    ds.PerFrameFunctionalGroupsSequence = [
        _frame(request.sources[index], segment.number, rank[index]) for segment, index in frames
    ]
    ds.NumberOfFrames = len(frames)
    ds.ReferencedSeriesSequence = _referenced([request.sources[index] for index in used])
    inherit_loss(_lossiest([request.sources[index] for index in used]), ds)
    ds.add_new(0x7FE00010, "OB", _packed(frames))
    return finished(request, PLACE, ds)


def _describe(request: ResultRequest, ds: Dataset) -> None:
    """Segmentation Image and Image Pixel, but for the segments and the frames."""
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.ContentLabel = "AI RESULT"
    ds.ContentDescription = wording.RESEARCH if request.is_research else wording.NOT_PRIMARY
    ds.ContentCreatorName = None  # a device made it: Contributing Equipment says which
    ds.SegmentationType = "BINARY"
    ds.BurnedInAnnotation = "NO"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    first = request.sources[0]
    ds.Rows, ds.Columns = int(first.Rows), int(first.Columns)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 1, 1, 0, 0


def _segment(request: ResultRequest, segment: Segment, frames: int, ds: Dataset) -> SegmentDescription:
    """``frames``: those of the whole object."""
    manifest, finding = request.manifest, segment.finding
    tracking = Tracking.of(request, segment.finding_number)
    algorithm = AlgorithmIdentificationSequence(
        name=encodable(manifest.name, ds), family=sr_code(ARTIFICIAL_INTELLIGENCE), version=manifest.version,
        source=encodable(manifest.vendor, ds),
    )  # fmt: skip
    algorithm[0].AlgorithmParameters = encodable("; ".join(algorithm_parameters(request)), ds)
    described = SegmentDescription(
        segment_number=segment.number,
        segment_label=encodable(_label(segment), ds),
        segmented_property_category=sr_code(finding.category),
        segmented_property_type=sr_code(finding.concept),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=tracking.uid,
        tracking_id=tracking.identifier,
        anatomic_regions=[sr_code(finding.site)],
        display_color=CIELabColor.from_rgb(*colour_of(segment.finding_number)),
    )
    told = [wording.NOT_PRIMARY]
    if request.is_research:
        told.append(wording.RESEARCH)
    if frames > MANY_FRAMES:
        told.append(f"{frames} frames: some viewers load no more than {MANY_FRAMES}")
    described.SegmentDescription = f"{'. '.join(told)}."
    return described


def _label(segment: Segment) -> str:
    """At most 64 characters; numbered from the second finding on."""
    tail = f" {segment.finding_number}" if segment.finding_number > 1 else ""
    return segment.finding.concept.meaning[: 64 - len(tail)] + tail


def _dimension(organisation_uid: str, pointer: str, group: str, label: str) -> Dataset:
    item = Dataset()
    item.DimensionIndexPointer = tag_for_keyword(pointer)
    item.FunctionalGroupPointer = tag_for_keyword(group)
    item.DimensionOrganizationUID = organisation_uid
    item.DimensionDescriptionLabel = label
    return item


def _shared(sources: Sequence[Dataset]) -> Dataset:
    """Plane Orientation and Pixel Measures (PS3.3 C.7.6.16.2). The distance of the slices is what the positions say."""
    orientation, measures = Dataset(), Dataset()
    copy_attributes(sources[0], orientation, ("ImageOrientationPatient",))
    copy_attributes(sources[0], measures, ("PixelSpacing", "SliceThickness"))
    spacing_mm = _slice_spacing_mm(sources)
    if spacing_mm is not None:
        measures.SpacingBetweenSlices = f"{spacing_mm:.10g}"
    if not measures.get("SliceThickness"):
        measures.SliceThickness = measures.get("SpacingBetweenSlices", "1")
    shared = Dataset()
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelMeasuresSequence = [measures]
    return shared


def _slice_spacing_mm(sources: Sequence[Dataset]) -> float | None:
    """Mean distance of neighbouring slices along the normal; None of a single slice."""
    if len(sources) < 2:
        return None
    cosines = np.array([float(value) for value in sources[0].ImageOrientationPatient])
    first, last = (np.array([float(value) for value in sources[end].ImagePositionPatient]) for end in (0, -1))
    return abs(float((last - first) @ np.cross(cosines[:3], cosines[3:]))) / (len(sources) - 1)


def _frame(source: Dataset, segment_number: int, rank: int) -> Dataset:
    """``rank``: of the slice among those that the object shows, from 1."""
    content, position, identification, derivation = Dataset(), Dataset(), Dataset(), Dataset()
    content.DimensionIndexValues = [segment_number, rank]
    copy_attributes(source, position, ("ImagePositionPatient",))
    identification.ReferencedSegmentNumber = segment_number
    derivation.DerivationCodeSequence = [code_item(SEGMENTATION)]
    derivation.SourceImageSequence = [source_image(source, in_place=True)]
    frame = Dataset()
    frame.FrameContentSequence = [content]
    frame.PlanePositionSequence = [position]
    frame.SegmentIdentificationSequence = [identification]
    frame.DerivationImageSequence = [derivation]
    return frame


def _referenced(sources: Sequence[Dataset]) -> list[Dataset]:
    """Common Instance Reference (PS3.3 C.12.2): every image that a frame was derived from, by series."""
    made = []
    for uid, instances in instance_references(sources).items():
        series = Dataset()
        series.SeriesInstanceUID = uid
        series.ReferencedInstanceSequence = instances
        made.append(series)
    return made


def _lossiest(sources: Sequence[Dataset]) -> Dataset:
    return next((source for source in sources if str(source.get("LossyImageCompression") or "") == "01"), sources[0])


def _packed(frames: Sequence[tuple[Segment, int]]) -> bytes:
    """The frames as bits, the first pixel in the lowest, one frame right behind the other (PS3.5 8.1.1, annex D).

    Eight at a time, which always fill whole bytes: a copy of the whole mask would cost its size again."""
    planes = iter(frames)
    parts = []
    while eight := list(islice(planes, 8)):
        stacked: NDArray[np.bool_] = np.stack([segment.mask[index] for segment, index in eight])
        parts.append(np.packbits(stacked, bitorder="little").tobytes())
    pixels = b"".join(parts)
    return pixels + b"\0" * (len(pixels) % 2)
