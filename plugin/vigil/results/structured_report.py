"""The structured report: Comprehensive 3D SR (PS3.3 A.35.13) around the content tree of TID 1500."""

from __future__ import annotations

from pydicom.uid import Comprehensive3DSRStorage

from vigil.results.document import Place, Series, finished, series_uid
from vigil.results.objects import ResultObject
from vigil.results.report_content import report_content
from vigil.results.report_document import evidence, new_document, study_item
from vigil.results.report_encoding import encode_sequences
from vigil.results.request import ResultRequest
from vigil.results.segments import segmentation_reference, segments

PLACE = Place(Series.REPORT, index=0, instance_number=1)


def structured_report(request: ResultRequest) -> ResultObject:
    """The report of an analysis: one, for every kind of answer."""
    ds = new_document(request, PLACE, Comprehensive3DSRStorage)
    references = evidence(request)
    if segments(request):
        references[series_uid(request, Series.SEGMENTATION)] = [segmentation_reference(request)]
    ds.CurrentRequestedProcedureEvidenceSequence = [study_item(request.analysis.study_instance_uid, references)]
    # The root content item stands in the data set itself
    for element in report_content(request, ds):
        ds[element.tag] = element
    encode_sequences(ds)
    return finished(request, PLACE, ds)
