"""The content tree of the report: TID 1500 Measurement Report (PS3.16), filled by highdicom's templates."""

from __future__ import annotations

from highdicom import sr
from highdicom.sr.coding import CodedConcept
from highdicom.sr.enum import RelationshipTypeValues
from highdicom.sr.value_types import (
    CodeContentItem,
    ContainerContentItem,
    ContentSequence,
    ImageContentItem,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.sr.coding import Code as SrCode

from vigil.domain import codes
from vigil.domain.answer import AnswerKind
from vigil.domain.concepts import Code
from vigil.results import boxes, wording
from vigil.results.document import sr_code
from vigil.results.key_slices import located, shown_slices
from vigil.results.patient_study import encodable
from vigil.results.report_groups import PRESENCE, Ungrouped, measurement_groups
from vigil.results.request import ResultRequest

CONTAINS = RelationshipTypeValues.CONTAINS
MOST_LIBRARY_IMAGES = 8
STATUS = {
    AnswerKind.MEASURED: codes.MEASURED, AnswerKind.NOT_ANALYSED: codes.NOT_ANALYSED, AnswerKind.FAILED: codes.FAILED,
}  # fmt: skip


def report_content(request: ResultRequest, document: Dataset) -> ContainerContentItem:
    """The root container. ``document``: the object that will hold it; its character set bounds the text."""
    groups, ungrouped = measurement_groups(request, document)
    drawn = _every_group_is_drawn(groups)
    title = codes.MEASUREMENT_REPORT if drawn else codes.AI_RESULT
    root = ContainerContentItem(name=CodedConcept.from_code(sr_code(title)), template_id="1500")
    content = ContentSequence()
    content.extend(sr.LanguageOfContentItemAndDescendants(CodedConcept.from_code(sr_code(codes.ENGLISH))))
    content.extend(observer(request, document))
    content.append(
        CodeContentItem(
            name=dicom_codes.DCM.ProcedureReported, value=sr_code(_procedure(request.reference)),
            relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
    )
    if drawn:
        content.append(_image_library(request))
    if groups:
        measurements = _container(dicom_codes.DCM.ImagingMeasurements)
        for group in groups:
            measurements.ContentSequence.extend(group)
        content.append(measurements)
    content.append(_evaluations(request, document, ungrouped))
    root.ContentSequence = content
    _separate(root)
    return root


def _separate(container: Dataset) -> None:
    """Makes each item of a container, and of those within it, stand for itself (PS3.3 C.17.3.2.4). Of running text, which
    highdicom declares, a viewer shows the values without their names."""
    container.ContinuityOfContent = "SEPARATE"
    for item in container.ContentSequence:
        if item.ValueType == "CONTAINER":
            _separate(item)


def _every_group_is_drawn(groups: list[ContentSequence]) -> bool:
    """Whether this is an Imaging Measurement Report with an image library, or a text under a title of our own.

    OHIF 3.12 (its issue 3390) opens a report of that title as measurements drawn over images and stops at a group that
    neither has a region nor shares the tracking UID of one that has; one of any other title it shows as text, and stops
    there at what has no name: the library's images.
    """
    containers = [container for group in groups for container in group]
    drawn = {_tracking_uid(item) for item in containers if any(part.ValueType == "SCOORD" for part in item.ContentSequence)}
    return bool(containers) and all(_tracking_uid(item) in drawn for item in containers)


def _tracking_uid(group: Dataset) -> str:
    """What joins the groups of one finding, for OHIF as well."""
    return next(str(item.UID) for item in group.ContentSequence if item.ValueType == "UIDREF")


def _procedure(reference: Dataset) -> Code:
    """From CID 100, which PixelMed's checker holds to the letter."""
    return codes.PROCEDURES.get(str(reference.get("Modality")), codes.IMAGING_PROCEDURE)


def observer(request: ResultRequest, document: Dataset) -> sr.ObservationContext:
    manifest, device = request.manifest, request.device
    identity = sr.DeviceObserverIdentifyingAttributes(
        uid=device.device_uid,
        name=encodable(manifest.name, document),
        manufacturer_name=encodable(manifest.vendor, document),
        model_name=f"{manifest.id} {manifest.version}",
        serial_number=encodable(device.installation_name, document),
    )
    return sr.ObservationContext(observer_device_context=sr.ObserverContext(dicom_codes.DCM.Device, identity))


def _evaluations(request: ResultRequest, document: Dataset, ungrouped: dict[Code, Ungrouped]) -> ContainerContentItem:
    """Qualitative Evaluations (TID 1500): the answer for the study, coded, and as a sentence that needs nothing else."""
    container = _container(sr_code(codes.QUALITATIVE_EVALUATIONS))
    for concept, value in _coded_answers(request):
        evaluation = CodeContentItem(name=sr_code(concept), value=sr_code(value), relationship_type=CONTAINS)
        if concept in ungrouped:
            evaluation.ContentSequence = _of_no_group(ungrouped[concept])
        container.ContentSequence.append(evaluation)
    for name, text in _texts(request):
        container.ContentSequence.append(
            TextContentItem(name=sr_code(name), value=encodable(text, document), relationship_type=CONTAINS)
        )
    return container


def _of_no_group(told: Ungrouped) -> ContentSequence:
    """Where it was looked for, and the numbers from which it was inferred: TID 1500 is extensible, and foresees no more of an
    evaluation than its value."""
    content = ContentSequence()
    content.append(sr.FindingSite(
        anatomic_location=sr_code(told.site), laterality=None if told.laterality is None else sr_code(told.laterality)))
    if told.severity is not None:
        content.append(CodeContentItem(
            name=sr_code(codes.SEVERITY), value=sr_code(told.severity), relationship_type=RelationshipTypeValues.HAS_PROPERTIES))
    for measurement in told.measurements:
        measurement[0].RelationshipType = RelationshipTypeValues.INFERRED_FROM.value
        content.extend(measurement)
    return content


def _coded_answers(request: ResultRequest) -> list[tuple[Code, Code]]:
    """Concept and value: one, or one for each of several findings."""
    answer, kind = request.answer, request.answer.kind
    if answer.parts:
        return [(part.concept, PRESENCE.get(part.kind, codes.NOT_ANALYSED)) for part in answer.parts]
    if kind in PRESENCE:
        return [(request.manifest.finding.concept.code(), PRESENCE[kind])]
    return [(codes.ANALYSIS_STATUS, STATUS[kind])]


def _texts(request: ResultRequest) -> list[tuple[Code, str]]:
    answer, manifest = request.answer, request.manifest
    texts = [(codes.COMMENT, wording.NOT_PRIMARY)]
    if request.is_research:
        texts.append((codes.COMMENT, wording.RESEARCH))
    model = f"{manifest.name} {manifest.version}"
    if answer.kind.analysed:
        texts.append((codes.CONCLUSION, f"{model}: {wording.KIND_WORDS[answer.kind]}. {wording.sentence(request)}"))
        texts.append((codes.COMMENT, wording.criterion_words(request)))
        texts.extend((codes.COMMENT, wording.part_words(request, part)) for part in answer.parts)
        texts.extend((codes.COMMENT, line) for line in boxes.lines(request))
    else:
        category = answer.reason.category if answer.reason is not None else "internal"
        texts.append((codes.CONCLUSION, f"{model}: {wording.KIND_WORDS[answer.kind]}. {wording.reason_words(request)}"))
        texts.append((codes.COMMENT, f"{wording.NO_ANSWER} {wording.NOT_NEGATIVE} Reason: {category}."))
    texts.append((codes.COMMENT, wording.inputs_words(request)))
    if request.predecessor is not None:
        texts.append((codes.COMMENT, wording.supersedes_words(request)))
    texts.extend((codes.COMMENT, note) for note in answer.notes)
    texts.extend((codes.COMMENT, f"Limitation: {limitation}") for limitation in manifest.limitations)
    return texts


def _library_slices(request: ResultRequest) -> list[int]:
    """Those that the findings point to first, then their neighbours. Few: a library of the whole series costs seconds and
    says nothing more."""
    keys = [item.key_slice for item in located(request) if item.key_slice is not None]
    return list(dict.fromkeys([*keys, *shown_slices(request)]))[:MOST_LIBRARY_IMAGES]


def _image_library(request: ResultRequest) -> ContainerContentItem:
    """TID 1600, with what the images have in common at the group (TID 1602). Written here because highdicom's own reads
    its tables anew for every image."""
    context = RelationshipTypeValues.HAS_ACQ_CONTEXT
    library = _container(dicom_codes.DCM.ImageLibrary)
    group = _container(dicom_codes.DCM.ImageLibraryGroup)
    slices = _library_slices(request)
    first = request.sources[slices[0]]
    modality = codes.MODALITIES.get(str(first.get("Modality")))
    if modality is not None:
        group.ContentSequence.append(
            CodeContentItem(name=dicom_codes.DCM.Modality, value=sr_code(modality), relationship_type=context)
        )
    if first.get("FrameOfReferenceUID"):
        group.ContentSequence.append(
            UIDRefContentItem(
                name=dicom_codes.DCM.FrameOfReferenceUID, value=str(first.FrameOfReferenceUID), relationship_type=context
            )
        )
    for index in slices:
        image, frame = request.sources[index], request.frame(index)
        entry = ImageContentItem(
            name=sr_code(codes.FINDING),
            referenced_sop_class_uid=str(image.SOPClassUID),
            referenced_sop_instance_uid=str(image.SOPInstanceUID),
            referenced_frame_numbers=None if frame is None else [frame],
            relationship_type=CONTAINS,
        )
        group.ContentSequence.append(entry)
        del entry.ConceptNameCodeSequence  # highdicom asks for a name; the template gives these images none
    library.ContentSequence.append(group)
    return library


def _container(name: SrCode) -> ContainerContentItem:
    container = ContainerContentItem(name=name, relationship_type=CONTAINS)
    container.ContentSequence = ContentSequence()
    return container
