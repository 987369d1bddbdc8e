"""The structured report: Comprehensive 3D SR (PS3.3 A.35.13) around the content tree of TID 1500."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from vigil.results.document import Place, Series, finished, instance_references, new_object, own_codes, series_uid
from vigil.results.objects import ResultObject
from vigil.results.patient_study import copy_attributes
from vigil.results.report_content import report_content
from vigil.results.request import PredecessorReport, ResultRequest
from vigil.results.segments import segmentation_reference, segments

PLACE = Place(Series.REPORT, index=0, instance_number=1)

_OF_REQUEST = (
    "RequestedProcedureID", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
    "ReasonForTheRequestedProcedure", "ReasonForRequestedProcedureCodeSequence",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
)  # fmt: skip
_OF_REQUEST_EMPTY = (
    "RequestedProcedureID", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest", "AccessionNumber",
)  # fmt: skip


def structured_report(request: ResultRequest) -> ResultObject:
    """The report of an analysis: one, for every kind of answer."""
    ds = new_object(request, PLACE, Comprehensive3DSRStorage, "SR")
    # SR Document Series and SR Document General
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    ds.PreliminaryFlag = "PRELIMINARY"
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    requests = referenced_requests(request.reference)
    if requests:
        ds.ReferencedRequestSequence = requests
    if request.predecessor is not None:
        ds.PredecessorDocumentsSequence = [_predecessor(request.predecessor)]
    # All that was analysed, not only what the tree points to
    evidence = instance_references(request.sources or [request.reference])
    if segments(request):
        evidence[series_uid(request, Series.SEGMENTATION)] = [segmentation_reference(request)]
    ds.CurrentRequestedProcedureEvidenceSequence = [study_item(request.analysis.study_instance_uid, evidence)]
    ds.CodingSchemeIdentificationSequence = [own_codes()]
    # The root content item stands in the data set itself
    for element in report_content(request, ds):
        ds[element.tag] = element
    return finished(request, PLACE, ds)


def _predecessor(report: PredecessorReport) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = report.sop_class_uid
    item.ReferencedSOPInstanceUID = report.sop_instance_uid
    return study_item(report.study_instance_uid, {report.series_instance_uid: [item]})


def study_item(study_instance_uid: str, by_series: dict[str, list[Dataset]]) -> Dataset:
    """Hierarchical SOP Instance Reference (PS3.3 C.17.2.1)."""
    study = Dataset()
    study.StudyInstanceUID = study_instance_uid
    study.ReferencedSeriesSequence = []
    for uid, instances in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID = uid
        series.ReferencedSOPSequence = instances
        study.ReferencedSeriesSequence.append(series)
    return study


def referenced_requests(reference: Dataset) -> list[Dataset]:
    """Whose order the result answers: from Request Attributes where the scanner wrote them, otherwise from the accession
    number alone; nothing where the study has neither."""
    attributes = list(reference.get("RequestAttributesSequence") or [])
    if not attributes and not reference.get("AccessionNumber"):
        return []
    items = []
    for source in attributes or [reference]:
        item = Dataset()
        copy_attributes(reference, item, ("StudyInstanceUID", "AccessionNumber", "IssuerOfAccessionNumberSequence"))
        copy_attributes(source, item, _OF_REQUEST)
        if source.get("AccessionNumber"):
            copy_attributes(source, item, ("AccessionNumber", "IssuerOfAccessionNumberSequence"))
        item.ReferencedStudySequence = []
        for keyword in _OF_REQUEST_EMPTY:
            if keyword not in item:
                setattr(item, keyword, [] if keyword.endswith("Sequence") else None)
        items.append(item)
    return items
