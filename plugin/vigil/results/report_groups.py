"""Measurement groups of the report: those of each finding, or one for the study where nothing was found."""

from __future__ import annotations

from dataclasses import dataclass, replace

from highdicom import sr
from highdicom.sr.value_types import ContentSequence
from pydicom import Dataset

from vigil.domain import codes
from vigil.domain.answer import AnswerKind, Measurement
from vigil.domain.concepts import Code
from vigil.results.attribution import Tracking, algorithm_parameters
from vigil.results.contour import outline_of_largest, thinned
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
    """What a group is about. ``presence``: None of what is only measured."""

    tracking: Tracking
    concept: Code
    category: Code
    site: Code
    measurements: tuple[Measurement, ...]
    presence: Code | None


def measurement_groups(request: ResultRequest, document: Dataset) -> list[ContentSequence]:
    """For a finding TID 1410 with its outline on the key slice and TID 1411 with its segment, as far as there are such;
    TID 1501 where there is neither. Without a finding one TID 1501: what was looked for and how much of it was measured.
    None where nothing was analysed.

    The planar group and its volumetric sibling bear the same tracking UID: viewers join them by it, and OHIF 3.12 (its
    issue 3390) opens a segment's group only so. What was measured stands in the volumetric one alone, lest it be told
    twice.
    """
    if not request.answer.kind.analysed:
        return []
    outlined = {segment.finding_number: segment for segment in segments(request)}
    algorithm = _algorithm(request, document)
    groups = []
    for item in located(request):
        finding, segment = item.finding, outlined.get(item.number)
        subject = _Subject(
            Tracking.of(request, item.number), finding.concept, finding.category, finding.site, finding.measurements,
            PRESENCE.get(request.answer.kind_of(finding)),
        )
        region = _region(request, item)
        if segment is None:
            groups.append(_group(request, subject, region, algorithm))
            continue
        if region is not None:
            groups.append(_group(request, replace(subject, measurements=()), region, algorithm))
        groups.append(_group(request, subject, _referenced_segment(request, segment), algorithm))
    groups += [_group(request, subject, None, algorithm) for subject in _not_found(request)]
    return groups


def _not_found(request: ResultRequest) -> list[_Subject]:
    """What was looked for and is no finding of the answer: of several each that is none."""
    answer = request.answer
    found = {finding.concept for finding in answer.findings}
    if answer.parts:
        return [
            _Subject(
                Tracking.of_part(request, number), part.concept, part.category, part.site,
                (part.measured,) if part.measured is not None else (), PRESENCE.get(part.kind, codes.NOT_ANALYSED),
            )
            for number, part in enumerate(answer.parts, start=1) if part.concept not in found
        ]  # fmt: skip
    if found:
        return []
    entry, measured = request.manifest.finding, answer.measured
    return [_Subject(
        Tracking.of(request, 0), entry.concept.code(), entry.category.code(), entry.site.code(),
        (measured,) if measured is not None else (), PRESENCE.get(answer.kind),
    )]  # fmt: skip


def _group(
    request: ResultRequest, subject: _Subject, region: sr.ImageRegion | sr.ReferencedSegment | None,
    algorithm: sr.AlgorithmIdentification,
) -> ContentSequence:  # fmt: skip
    tracking = sr.TrackingIdentifier(uid=subject.tracking.uid, identifier=subject.tracking.identifier)
    measurements = [_measurement(told, algorithm) for told in subject.measurements if request.lets_out(told)]
    evaluations = [] if subject.presence is None else [
        sr.QualitativeEvaluation(sr_code(subject.concept), sr_code(subject.presence))]
    sites = [sr.FindingSite(anatomic_location=sr_code(subject.site))]
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
    if item.key_slice is None or mask is None or not request.shows_contours:
        return None
    outline = outline_of_largest(mask[item.key_slice])
    if outline is None:
        return None
    source, frame = request.sources[item.key_slice], request.frame(item.key_slice)
    return sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=thinned(outline),
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
