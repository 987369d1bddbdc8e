"""Key Object Selection (PS3.3 A.35.4, TID 2010): the images that a reader should see first."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom import sr
from highdicom.sr.coding import CodedConcept
from highdicom.sr.enum import RelationshipTypeValues
from highdicom.sr.value_types import ContainerContentItem, ContentSequence, ImageContentItem, TextContentItem
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.uid import KeyObjectSelectionDocumentStorage, SecondaryCaptureImageStorage

from vigil.domain import codes
from vigil.domain.answer import AnswerKind
from vigil.results import wording
from vigil.results.document import (
    Place,
    Series,
    finished,
    instance_references,
    instance_uid,
    new_object,
    series_uid,
    sr_code,
)
from vigil.results.key_slices import captured_slices, located
from vigil.results.objects import ResultObject
from vigil.results.patient_study import encodable
from vigil.results.report_content import observer
from vigil.results.report_document import referenced_requests, study_item
from vigil.results.request import ResultRequest

PLACE = Place(Series.KEY_OBJECTS, index=0, instance_number=1)
CONTAINS = RelationshipTypeValues.CONTAINS


def key_objects(request: ResultRequest) -> ResultObject | None:
    """The summary, and of each finding of a positive answer its key slice, as the scanner sent it and as it is shown with
    its contour. None where there is no such slice, or nobody asked."""
    keys = list(dict.fromkeys(item.key_slice for item in located(request) if item.key_slice is not None))
    if not keys or request.answer.kind is not AnswerKind.POSITIVE or not request.options.key_objects:
        return None
    ds = new_object(request, PLACE, KeyObjectSelectionDocumentStorage, "KO")
    ds.ReferencedPerformedProcedureStepSequence = []
    requests = referenced_requests(request.reference)
    if requests:
        ds.ReferencedRequestSequence = requests
    sources = [request.sources[index] for index in keys]
    drawn = _captures(request, keys)
    evidence = instance_references([*sources, *drawn])
    ds.CurrentRequestedProcedureEvidenceSequence = [study_item(request.analysis.study_instance_uid, evidence)]
    for element in _content(request, ds, keys, drawn):
        ds[element.tag] = element
    return finished(request, PLACE, ds)


def _content(request: ResultRequest, ds: Dataset, keys: Sequence[int], drawn: Sequence[Dataset]) -> ContainerContentItem:
    root = ContainerContentItem(
        name=CodedConcept.from_code(dicom_codes.DCM.OfInterest), template_id="2010", is_content_continuous=False
    )
    content = ContentSequence()
    content.extend(sr.LanguageOfContentItemAndDescendants(CodedConcept.from_code(sr_code(codes.ENGLISH))))
    content.extend(observer(request, ds))
    manifest = request.manifest
    told = f"{manifest.name} {manifest.version}: {wording.sentence(request)} {wording.NOT_PRIMARY}."
    if request.is_research:
        told += f" {wording.RESEARCH}."
    content.append(
        TextContentItem(
            name=dicom_codes.DCM.KeyObjectDescription, value=encodable(told, ds), relationship_type=CONTAINS
        )
    )
    content.extend(_image(capture, None) for capture in drawn)
    content.extend(_image(request.sources[index], request.frame(index)) for index in keys)
    root.ContentSequence = content
    for item in root.ContentSequence:
        if item.ValueType == "IMAGE":
            del item.ConceptNameCodeSequence  # highdicom asks for a name; the template gives these images none
    return root


def _image(instance: Dataset, frame: int | None) -> ImageContentItem:
    return ImageContentItem(
        name=dicom_codes.DCM.OfInterest,
        referenced_sop_class_uid=str(instance.SOPClassUID),
        referenced_sop_instance_uid=str(instance.SOPInstanceUID),
        referenced_frame_numbers=frame,
        relationship_type=CONTAINS,
    )


def _captures(request: ResultRequest, keys: Sequence[int]) -> list[Dataset]:
    """The summary and the captured key slices, as far as an object is named by them."""
    shown = captured_slices(request)
    named = [(Series.SUMMARY, 0), *((Series.KEY_SLICES, shown.index(index)) for index in keys if index in shown)]
    made = []
    for series, order in named:
        item = Dataset()
        item.SOPClassUID = SecondaryCaptureImageStorage
        item.SOPInstanceUID = instance_uid(request, series, order)
        item.SeriesInstanceUID = series_uid(request, series)
        made.append(item)
    return made
