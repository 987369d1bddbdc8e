"""Measurement groups of the report: those of each finding, or one for the study where nothing was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from highdicom import sr
from highdicom.sr.value_types import ContentSequence
from pydicom import Dataset

from vigil.domain import codes
from vigil.domain.answer import AnswerKind, Finding, Measurement
from vigil.domain.concepts import Code
from vigil.inference.qualify import entry_of
from vigil.results.attribution import Tracking, algorithm_parameters
from vigil.results.boxes import ToldBox, told_boxes
from vigil.results.contour import Polygon, outline_of_largest, thinned
from vigil.results.document import sr_code
from vigil.results.key_slices import LocatedFinding, located
from vigil.results.patient_study import encodable
from vigil.results.request import ResultRequest
from vigil.results.segments import Segment, segmentation_reference, segments

PRESENCE = {
    AnswerKind.POSITIVE: codes.PRESENT,
    AnswerKind.NEGATIVE: codes.ABSENT,
    AnswerKind.INDETERMINATE: codes.INDETERMINATE,
}


@dataclass(frozen=True)
class _Subject:
    """What a group is about. ``presence``: None of what is only measured. ``region``: its outline, ``segment``: its segment,
    where there is one. ``certainty``: of the box that is the region, which stands in its group alone."""

    tracking: Tracking
    concept: Code
    category: Code
    site: Code
    measurements: tuple[Measurement, ...]
    presence: Code | None
    region: sr.ImageRegion | None = None
    segment: Segment | None = None
    certainty: Measurement | None = None
    laterality: Code | None = None
    severity: Code | None = None
    side_of_whole: bool = False
    """The finding's side need not be its region's: one of several boxes, or the outline on one slice of what may reach across."""


@dataclass(frozen=True)
class Ungrouped:
    """One of several findings that is told under Qualitative Evaluations, with what a group would have told of it."""

    site: Code
    measurements: tuple[sr.Measurement, ...]
    laterality: Code | None = None
    severity: Code | None = None


def measurement_groups(request: ResultRequest, document: Dataset) -> tuple[list[ContentSequence], dict[Code, Ungrouped]]:
    """For a finding TID 1410 with its outline on the key slice, or one with each of its boxes, and TID 1411 with its segment, as
    far as there are such; TID 1501 where there is neither. Without a finding one TID 1501: what was looked for and how much of
    it was measured. None where nothing was analysed. Then, by concept, those of several findings that have no group.

    The planar group and its volumetric sibling bear the same tracking UID: viewers join them by it, and OHIF 3.12 (its
    issue 3390) opens a segment's group only so. What was measured, and how severe that is, stands in the volumetric one alone,
    lest it be told twice.
    """
    algorithm = _algorithm(request, document)
    grouped, others = _apart(request)
    groups = []
    for subject in grouped:
        own = () if subject.certainty is None else (subject.certainty,)
        if subject.segment is None:
            # What a finding is certain of may be its most certain box: said once.
            said = {(told.concept, round(told.value, 1)) for told in own}
            further = (told for told in subject.measurements if (told.concept, round(told.value, 1)) not in said)
            alone = replace(
                subject, measurements=(*own, *further), laterality=_side_of_region(subject))
            groups.append(_group(alone, subject.region, algorithm))
            continue
        if subject.region is not None:
            outline = replace(
                subject, measurements=own, severity=None, laterality=_side_of_region(subject))
            groups.append(_group(outline, subject.region, algorithm))
        whole = replace(subject, tracking=Tracking.of(request, subject.segment.finding_number))
        groups.append(_group(whole, _referenced_segment(request, subject.segment), algorithm))
    return groups, {
        other.concept: Ungrouped(
            other.site, tuple(_measurement(told, algorithm) for told in other.measurements), other.laterality, other.severity)
        for other in others
    }


def _apart(request: ResultRequest) -> tuple[list[_Subject], list[_Subject]]:
    """Those that have groups, and those of several findings that have none: beside an outline what has none, and beside a
    segment what has neither.

    So a report of what was found beside what was not is still one that viewers draw. And PixelMed's checker, the only one of
    templates, holds every group of a report that has a region against TID 1410 or 1411, which demand one of each.
    """
    if not request.answer.kind.analysed:
        return [], []
    subjects = [*_found(request), *_not_found(request)]
    if not request.answer.parts:
        return subjects, []
    outlined = [subject for subject in subjects if subject.region is not None]
    grouped = outlined or [subject for subject in subjects if subject.segment is not None] or subjects
    return grouped, [subject for subject in subjects if subject not in grouped]


def _found(request: ResultRequest) -> list[_Subject]:
    outlined = {segment.finding_number: segment for segment in segments(request)}
    subjects = []
    for item in located(request):
        whole = _Subject(
            Tracking.of(request, item.number), item.finding.concept, item.finding.category, item.finding.site,
            _let_out(request, item.finding.measurements), PRESENCE.get(request.answer.kind_of(item.finding)),
            _region(request, item), outlined.get(item.number), laterality=item.finding.laterality, severity=item.finding.severity,
        )  # fmt: skip
        boxes = [told for told in told_boxes(request) if told.item.number == item.number and told.number is not None]
        whole = replace(whole, side_of_whole=len(boxes) > 1 or _may_reach_across(request, item.finding))
        subjects += [_of_box(request, whole, told) for told in boxes] or [whole]
    return subjects


def _may_reach_across(request: ResultRequest, finding: Finding) -> bool:
    """A share of it may lie on the other side than is told, and be what the key slice shows."""
    entry = entry_of(finding, request.manifest)
    return entry is not None and entry.laterality is not None and entry.laterality.bilateral_share is not None


def _side_of_region(subject: _Subject) -> Code | None:
    return None if subject.side_of_whole and subject.region is not None else subject.laterality


def _of_box(request: ResultRequest, whole: _Subject, told: ToldBox) -> _Subject:
    """A group for each box, on its middle slice. The first bears the finding's tracking UID, and what was measured of it."""
    number = told.number or 0
    certainty = told.box.score if request.lets_out(told.box.score) else None
    subject = replace(
        whole, tracking=Tracking.of_box(request, told.item.number, number, first=told.first), certainty=certainty,
        region=_on_slice(request, told.box.middle.index, np.array(told.box.middle.corners(), float)))
    return subject if told.first else replace(subject, measurements=(), segment=None, severity=None)


def _not_found(request: ResultRequest) -> list[_Subject]:
    """What was looked for and is no finding of the answer: of several each that is none."""
    answer = request.answer
    found = {finding.concept for finding in answer.findings}
    if answer.parts:
        return [
            _Subject(
                Tracking.of_part(request, number), part.concept, part.category, part.site,
                _let_out(request, (part.measured,)), PRESENCE.get(part.kind, codes.NOT_ANALYSED),
            )
            for number, part in enumerate(answer.parts, start=1) if part.concept not in found
        ]  # fmt: skip
    if found:
        return []
    entry = request.manifest.finding
    return [_Subject(
        Tracking.of(request, 0), entry.concept.code(), entry.category.code(), entry.site.code(),
        _let_out(request, (answer.measured,)), PRESENCE.get(answer.kind),
    )]  # fmt: skip


def _let_out(request: ResultRequest, measurements: Iterable[Measurement | None]) -> tuple[Measurement, ...]:
    return tuple(told for told in measurements if told is not None and request.lets_out(told))


def _group(
    subject: _Subject, region: sr.ImageRegion | sr.ReferencedSegment | None, algorithm: sr.AlgorithmIdentification,
) -> ContentSequence:  # fmt: skip
    tracking = sr.TrackingIdentifier(uid=subject.tracking.uid, identifier=subject.tracking.identifier)
    measurements = [_measurement(told, algorithm) for told in subject.measurements]
    evaluations = [] if subject.presence is None else [
        sr.QualitativeEvaluation(sr_code(subject.concept), sr_code(subject.presence))]
    if subject.severity is not None:
        evaluations.append(sr.QualitativeEvaluation(sr_code(codes.SEVERITY), sr_code(subject.severity)))
    side = None if subject.laterality is None else sr_code(subject.laterality)
    sites = [sr.FindingSite(anatomic_location=sr_code(subject.site), laterality=side)]
    if isinstance(region, sr.ReferencedSegment):
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking, referenced_segment=region, algorithm_id=algorithm, finding_category=sr_code(subject.category),
            finding_type=sr_code(subject.concept), finding_sites=sites, measurements=measurements,
            qualitative_evaluations=evaluations,
        )  # fmt: skip
    if region is None:
        return sr.MeasurementsAndQualitativeEvaluations(
            tracking, algorithm_id=algorithm, finding_category=sr_code(subject.category),
            finding_type=sr_code(subject.concept), finding_sites=sites, measurements=measurements,
            qualitative_evaluations=evaluations,
        )  # fmt: skip
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking, referenced_region=region, algorithm_id=algorithm, finding_category=sr_code(subject.category),
        finding_type=sr_code(subject.concept), finding_sites=sites, measurements=measurements,
        qualitative_evaluations=evaluations,
    )  # fmt: skip


def _algorithm(request: ResultRequest, document: Dataset) -> sr.AlgorithmIdentification:
    """TID 4019."""
    manifest = request.manifest
    return sr.AlgorithmIdentification(
        name=encodable(manifest.name, document),
        version=manifest.version,
        parameters=[encodable(parameter, document) for parameter in algorithm_parameters(request)],
        family=sr_code(codes.ARTIFICIAL_INTELLIGENCE),
        manufacturer=encodable(manifest.vendor, document),
    )


def _measurement(measurement: Measurement, algorithm: sr.AlgorithmIdentification) -> sr.Measurement:
    return sr.Measurement(
        name=sr_code(measurement.concept),
        value=float(measurement.value),
        unit=sr_code(measurement.unit),
        algorithm_id=algorithm,
    )


def _region(request: ResultRequest, item: LocatedFinding) -> sr.ImageRegion | None:
    """The outline of the finding's largest part on its key slice: what makes a viewer open the report there."""
    mask = request.mask_of(item.finding)
    if item.key_slice is None or mask is None or not request.shows_contours or request.boxes_of(item.finding):
        return None
    outline = outline_of_largest(mask[item.key_slice])
    if outline is None:
        return None
    return _on_slice(request, item.key_slice, thinned(outline))


def _on_slice(request: ResultRequest, index: int, outline: Polygon) -> sr.ImageRegion:
    source, frame = request.sources[index], request.frame(index)
    return sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=outline,
        source_image=sr.SourceImageForRegion(
            referenced_sop_class_uid=str(source.SOPClassUID),
            referenced_sop_instance_uid=str(source.SOPInstanceUID),
            referenced_frame_numbers=None if frame is None else [frame],
        ),
    )


def _referenced_segment(request: ResultRequest, segment: Segment) -> sr.ReferencedSegment:
    reference = segmentation_reference(request)
    return sr.ReferencedSegment(
        sop_class_uid=reference.ReferencedSOPClassUID,
        sop_instance_uid=reference.ReferencedSOPInstanceUID,
        segment_number=segment.number,
        source_series=sr.SourceSeriesForSegmentation(str(request.sources[0].SeriesInstanceUID)),
    )
