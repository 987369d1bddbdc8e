"""What every SR document of an analysis carries around its content: SR Document Series and General (PS3.3 C.17.1, C.17.2)."""

from __future__ import annotations

from pydicom import Dataset

from vigil.results.document import Place, instance_references, new_object, own_codes
from vigil.results.patient_study import copy_attributes, encodable
from vigil.results.request import PredecessorReport, ResultRequest

_OF_REQUEST = (
    "RequestedProcedureID", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
    "ReasonForTheRequestedProcedure", "ReasonForRequestedProcedureCodeSequence",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
)  # fmt: skip
_OF_REQUEST_EMPTY = (
    "RequestedProcedureID", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest", "AccessionNumber",
)  # fmt: skip


def new_document(request: ResultRequest, place: Place, sop_class_uid: str) -> Dataset:
    """A document without its content: complete, preliminary, verified by nobody, and written by a device."""
    ds = new_object(request, place, sop_class_uid, "SR")
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    ds.PreliminaryFlag = "PRELIMINARY"
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    ds.AuthorObserverSequence = [_author(request, ds)]
    requests = referenced_requests(request.reference)
    if requests:
        ds.ReferencedRequestSequence = requests
    if request.predecessor is not None:
        ds.PredecessorDocumentsSequence = [_predecessor(request.predecessor)]
    ds.CodingSchemeIdentificationSequence = [own_codes()]
    return ds


def evidence(request: ResultRequest) -> dict[str, list[Dataset]]:
    """All that was analysed, not only what a document points to; the one image that is known where nothing was."""
    further = [source for series in request.further_sources for source in series]
    return instance_references([*request.sources, *further] or [request.reference])


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


def _author(request: ResultRequest, ds: Dataset) -> Dataset:
    """Identified Person or Device (PS3.3 C.17.2.5): a device, so that nobody takes it for a person's word."""
    item = Dataset()
    item.ObserverType = "DEV"
    item.Manufacturer = encodable(request.manifest.vendor, ds)
    item.ManufacturerModelName = encodable(request.manifest.name, ds)
    item.StationName = None
    item.DeviceUID = request.device.device_uid
    item.InstitutionName = None
    item.InstitutionCodeSequence = []
    return item


def _predecessor(report: PredecessorReport) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = report.sop_class_uid
    item.ReferencedSOPInstanceUID = report.sop_instance_uid
    return study_item(report.study_instance_uid, {report.series_instance_uid: [item]})


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
