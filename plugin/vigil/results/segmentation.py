"""Segmentation (PS3.3 A.51): what the model outlined, slice for slice in the geometry of the source.

Binary as a rule, because of fractional and label map segmentations a common viewer refuses the one and miscolours the
other. The segment descriptions are highdicom's; the frames are written here, so that patient and study are copied as their
bytes stand and nothing comes from a clock.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
from pydicom import Dataset

from vigil.domain.codes import ARTIFICIAL_INTELLIGENCE
from vigil.domain.identity import object_uid
from vigil.results import wording
from vigil.results.attribution import Tracking, algorithm_parameters
from vigil.results.derivation import inherit_loss
from vigil.results.document import (
    Place,
    Series,
    finished,
    instance_references,
    new_object,
    own_codes,
    sr_code,
)
from vigil.results.functional_groups import (
    derivation,
    lossiest,
    position,
    set_dimensions,
    set_frame_of_reference,
    shared_place,
)
from vigil.results.objects import ResultObject
from vigil.results.options import SegmentationKind
from vigil.results.patient_study import copy_attributes, encodable
from vigil.results.picture import colour_of
from vigil.results.request import ResultRequest
from vigil.results.segment_pixels import Frame, describe_pixels, pixel_bytes
from vigil.results.segments import SOP_CLASSES, Segment, kind_of, segments

PLACE = Place(Series.SEGMENTATION, index=0, instance_number=1)
FULL_PLACE = Place(Series.FULL_SEGMENTATION, index=0, instance_number=1)

MANY_FRAMES = 400
"""Beyond it some viewers do not load a segmentation. None is left out: a segment that ends early would be another
volume. The segment's description says so instead."""

_SEGMENT_DIMENSION = ("ReferencedSegmentNumber", "SegmentIdentificationSequence", "Segment number")
_POSITION_DIMENSION = ("ImagePositionPatient", "PlanePositionSequence", "Position")


def segmentation(request: ResultRequest) -> ResultObject | None:
    """One object with a segment a finding, and frames only where a finding is; None where there is nothing to show, or it
    may not be shown."""
    shown = segments(request)
    if not shown:
        return None
    kind = kind_of(request, shown)
    bearing = [np.flatnonzero(segment.mask.any(axis=(1, 2))).tolist() for segment in shown]
    if kind is SegmentationKind.LABELMAP:
        frames: list[Frame] = [(None, index) for index in sorted(set().union(*bearing))]
    else:
        frames = [(segment, index) for segment, indices in zip(shown, bearing, strict=True) for index in indices]
    return _object(request, PLACE, shown, kind, frames)


def full_segmentation(request: ResultRequest) -> ResultObject | None:
    """The same, binary, with a frame of each segment for every slice, empty ones among them: for viewers that find the
    frame of a slice by counting. None where nobody asked for it."""
    shown = segments(request)
    if not shown or not request.options.full_frame:
        return None
    frames = [(segment, index) for segment in shown for index in range(len(request.sources))]
    return _object(request, FULL_PLACE, shown, SegmentationKind.BINARY, frames)


def _object(
    request: ResultRequest, place: Place, shown: Sequence[Segment], kind: SegmentationKind, frames: Sequence[Frame]
) -> ResultObject:
    used = sorted({index for _, index in frames})
    ds = new_object(request, place, SOP_CLASSES[kind], "SEG")
    copy_attributes(request.reference, ds, ("BodyPartExamined", "RequestAttributesSequence"))
    set_frame_of_reference(request, ds)
    _describe(request, ds)
    describe_pixels(ds, kind)
    if kind is SegmentationKind.LABELMAP or len(shown) == 1:
        ds.SegmentsOverlap = "NO"
    else:
        ds.SegmentsOverlap = "UNDEFINED"
    ds.SegmentSequence = [_segment(request, segment, len(frames), ds) for segment in shown]
    ds.CodingSchemeIdentificationSequence = [own_codes()]
    numbered = kind is not SegmentationKind.LABELMAP
    set_dimensions(
        ds, object_uid(request.analysis.analysis_id, f"{place.series.role} dimensions"),
        [_SEGMENT_DIMENSION, _POSITION_DIMENSION] if numbered else [_POSITION_DIMENSION],
    )  # fmt: skip
    ds.SharedFunctionalGroupsSequence = [shared_place(request)]
    rank = {index: place for place, index in enumerate(used, start=1)}
    ds.PerFrameFunctionalGroupsSequence = [_frame(request, segment, index, rank[index]) for segment, index in frames]
    ds.NumberOfFrames = len(frames)
    ds.ReferencedSeriesSequence = _referenced([request.sources[index] for index in used])
    inherit_loss(lossiest(request, used), ds)
    ds.add_new(0x7FE00010, "OB", pixel_bytes(shown, kind, frames))
    return finished(request, place, ds)


def _describe(request: ResultRequest, ds: Dataset) -> None:
    """Segmentation Image, but for the segments and the frames."""
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.ContentLabel = "AI RESULT"
    ds.ContentDescription = wording.RESEARCH if request.is_research else wording.NOT_PRIMARY
    ds.ContentCreatorName = None  # a device made it: Contributing Equipment says which
    ds.BurnedInAnnotation = "NO"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    first = request.sources[0]
    ds.Rows, ds.Columns = int(first.Rows), int(first.Columns)


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


def _frame(request: ResultRequest, segment: Segment | None, index: int, rank: int) -> Dataset:
    """``segment``: None where the frame holds them all. ``rank``: of the slice among those that the object shows, from 1."""
    content, frame = Dataset(), Dataset()
    content.DimensionIndexValues = [rank] if segment is None else [segment.number, rank]
    frame.FrameContentSequence = [content]
    frame.PlanePositionSequence = [position(request, index)]
    if segment is not None:
        identification = Dataset()
        identification.ReferencedSegmentNumber = segment.number
        frame.SegmentIdentificationSequence = [identification]
    frame.DerivationImageSequence = [derivation(request, index)]
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
