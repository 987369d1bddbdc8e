"""Measurement groups of the report: one a finding, or one for the study where nothing was found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from highdicom import sr
from highdicom.sr.value_types import ContentSequence
from pydicom import Dataset

from vigil.domain import codes
from vigil.domain.answer import AnswerKind, Measurement
from vigil.domain.concepts import Code
from vigil.domain.identity import object_uid
from vigil.domain.manifest import PermittedOutput
from vigil.results.contour import outline_of_largest
from vigil.results.document import sr_code
from vigil.results.key_slices import LocatedFinding, located
from vigil.results.patient_study import encodable
from vigil.results.request import ResultRequest

ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
MOST_POINTS = 4000
"""Graphic Data is one value of at most 65 534 bytes in an explicit transfer syntax."""

PRESENCE = {
    AnswerKind.POSITIVE: codes.PRESENT,
    AnswerKind.NEGATIVE: codes.ABSENT,
    AnswerKind.INDETERMINATE: codes.INDETERMINATE,
}


@dataclass(frozen=True)
class _Subject:
    """What a group is about. ``number``: that of the finding, 0 for the study as a whole."""

    number: int
    concept: Code
    category: Code
    site: Code
    measurements: tuple[Measurement, ...]


def measurement_groups(request: ResultRequest, document: Dataset) -> list[ContentSequence]:
    """One group a finding: TID 1410 with its outline on the key slice, TID 1501 where there is none to draw. Without a
    finding one TID 1501: what was looked for and how much of it was measured. None where nothing was analysed.

    A volumetric group (TID 1411, of a segment) joins its planar sibling by the same tracking UID.
    """
    if not request.answer.kind.analysed:
        return []
    groups = []
    for item in located(request):
        finding = item.finding
        subject = _Subject(item.number, finding.concept, finding.category, finding.site, finding.measurements)
        groups.append(_group(request, subject, _region(request, item), document))
    if not groups:
        entry, measured = request.manifest.finding, request.answer.measured
        subject = _Subject(
            0, entry.concept.code(), entry.category.code(), entry.site.code(), (measured,) if measured is not None else ()
        )
        groups.append(_group(request, subject, None, document))
    return groups


def _group(
    request: ResultRequest, subject: _Subject, region: sr.ImageRegion | None, document: Dataset
) -> ContentSequence:
    name = f"finding {subject.number}" if subject.number else "study"
    tracking = sr.TrackingIdentifier(
        uid=object_uid(request.analysis.analysis_id, "tracking", subject.number),
        identifier=f"AI {request.manifest.id} {name}",
    )
    algorithm = _algorithm(request, document)
    measurements = []
    if request.permits(PermittedOutput.MEASUREMENT):
        measurements = [_measurement(measurement, algorithm) for measurement in subject.measurements]
    evaluations = [sr.QualitativeEvaluation(sr_code(subject.concept), sr_code(PRESENCE[request.answer.kind]))]
    sites = [sr.FindingSite(anatomic_location=sr_code(subject.site))]
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
    """TID 4019. The rule that made the answer stands in the parameters, for a person and for a program."""
    manifest, analysis = request.manifest, request.analysis
    parameters = [f"operating point: {analysis.operating_point}"]
    criterion = request.answer.criterion
    if criterion is not None:
        limit = f"{criterion.threshold:g} {criterion.unit.value}"
        parameters.append(f"threshold: {criterion.concept.meaning} {limit}, positive at or above")
    parameters.append(f"weights SHA-256: {analysis.weights_sha256}")
    return sr.AlgorithmIdentification(
        name=encodable(manifest.name, document),
        version=manifest.version,
        parameters=[encodable(parameter, document) for parameter in parameters],
        family=sr_code(ARTIFICIAL_INTELLIGENCE),
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
    kept = outline[:-1][:: 1 + len(outline) // MOST_POINTS]
    source = request.sources[item.key_slice]
    return sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=np.vstack([kept, kept[:1]]),
        source_image=sr.SourceImageForRegion(
            referenced_sop_class_uid=str(source.SOPClassUID), referenced_sop_instance_uid=str(source.SOPInstanceUID)
        ),
    )
