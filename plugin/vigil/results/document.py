"""What every object of an analysis carries: patient, study, series, equipment, identity, and how it becomes a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from io import BytesIO

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.sr.coding import Code as SrCode
from pydicom.uid import UID, ExplicitVRLittleEndian

from vigil.domain.codes import PROCESSING_EQUIPMENT
from vigil.domain.concepts import Code
from vigil.domain.identity import PRODUCT, digest, object_uid
from vigil.results.moment import Moment
from vigil.results.objects import ResultObject, Role
from vigil.results.patient_study import copy_patient_and_study, encodable, mark_encoded
from vigil.results.request import ResultRequest

IMPLEMENTATION_CLASS_UID = object_uid("vigil for orthanc", "implementation class")


class Series(Enum):
    """The series of an analysis: offset of its number, and the end of its description."""

    SUMMARY = (0, "summary", Role.SUMMARY)
    KEY_SLICES = (1, "key slices", Role.KEY_SLICE)
    REPORT = (2, "report", Role.REPORT)
    SEGMENTATION = (3, "segmentation", Role.SEGMENTATION)
    PRESENTATION_STATE = (4, "contours", Role.PRESENTATION_STATE)
    KEY_OBJECTS = (5, "key images", Role.KEY_OBJECTS)
    MULTIFRAME = (6, "multi-frame", Role.MULTIFRAME)
    FULL_SEGMENTATION = (7, "segmentation, all slices", Role.FULL_SEGMENTATION)
    TEXT_REPORT = (8, "text report", Role.TEXT_REPORT)

    def __init__(self, offset: int, label: str, role: Role) -> None:
        self.offset = offset
        self.label = label
        self.role = role


@dataclass(frozen=True)
class Place:
    """Where an object stands: its series, and its index and instance number in it."""

    series: Series
    index: int
    instance_number: int


def series_uid(request: ResultRequest, series: Series) -> str:
    return object_uid(request.analysis.analysis_id, f"{series.role} series")


def instance_uid(request: ResultRequest, series: Series, index: int) -> str:
    return object_uid(request.analysis.analysis_id, series.role, index)


def series_number(model_id: str, series: Series) -> int:
    """9000 and above, ten numbers a model, the same at every site: hanging protocols can name them."""
    return 9000 + 10 * (int(digest("series", model_id)[:8], 16) % 99) + series.offset


def new_object(request: ResultRequest, place: Place, sop_class_uid: str, modality: str) -> Dataset:
    """A data set with everything but the content: the modules Patient, Study, Series, Equipment and SOP Common."""
    manifest, device = request.manifest, request.device
    moment = Moment.of(request.analysis.created_at, request.reference)
    ds = Dataset()
    copy_patient_and_study(request.reference, ds)
    ds.SOPClassUID = sop_class_uid
    ds.SOPInstanceUID = instance_uid(request, place.series, place.index)
    ds.InstanceCreatorUID = device.device_uid
    ds.InstanceNumber = place.instance_number
    ds.SeriesInstanceUID = series_uid(request, place.series)
    ds.SeriesNumber = series_number(manifest.id, place.series)
    ds.SeriesDescription = encodable(series_description(manifest.name, manifest.version, place.series), ds)
    ds.Modality = modality
    # One moment for the whole analysis: an attribute of the series may not differ between its instances
    ds.InstanceCreationDate = ds.SeriesDate = ds.ContentDate = moment.date
    ds.InstanceCreationTime = ds.SeriesTime = ds.ContentTime = moment.time
    ds.Manufacturer = encodable(manifest.vendor, ds)
    ds.ManufacturerModelName = encodable(manifest.name, ds)
    ds.SoftwareVersions = manifest.version
    ds.DeviceSerialNumber = encodable(device.installation_name[:64], ds)
    ds.ContributingEquipmentSequence = [_orchestrator(request, moment, ds)]
    return ds


def instance_references(instances: Iterable[Dataset]) -> dict[str, list[Dataset]]:
    """SOP class and instance of each, once, by the UID of its series."""
    by_series: dict[str, list[Dataset]] = {}
    for instance in {str(instance.SOPInstanceUID): instance for instance in instances}.values():
        item = Dataset()
        item.ReferencedSOPClassUID = str(instance.SOPClassUID)
        item.ReferencedSOPInstanceUID = str(instance.SOPInstanceUID)
        by_series.setdefault(str(instance.SeriesInstanceUID), []).append(item)
    return by_series


def own_codes() -> Dataset:
    """An item of Coding Scheme Identification Sequence: whose the codes of scheme 99VIGIL are."""
    item = Dataset()
    item.CodingSchemeDesignator = "99VIGIL"
    item.CodingSchemeName = "Vigil for Orthanc"
    item.CodingSchemeResponsibleOrganization = "Vigil for Orthanc"
    return item


def series_description(name: str, version: str, series: Series) -> str:
    """At most 64 characters, and "AI " first, so that a hanging protocol can match it."""
    tail = f" {version} {series.label}"
    return f"AI {name}"[: 64 - len(tail)] + tail


def code_item(code: Code) -> Dataset:
    """An item of a Code Sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item


def sr_code(code: Code) -> SrCode:
    return SrCode(code.value, code.scheme, code.meaning)


def prepared(ds: Dataset) -> Dataset:
    """``ds`` with its elements encoded, for :func:`alike`: what the objects of a series have in common is encoded once."""
    mark_encoded(ds)
    buffer = BytesIO()
    dcmwrite(buffer, ds, implicit_vr=False, little_endian=True)
    buffer.seek(0)
    return dcmread(buffer, force=True)


def alike(request: ResultRequest, place: Place, pattern: Dataset) -> Dataset:
    """A data set that begins as ``pattern`` and stands at another place of the same series."""
    ds = Dataset()
    ds.update(pattern)
    ds.SOPInstanceUID = instance_uid(request, place.series, place.index)
    ds.InstanceNumber = place.instance_number
    return ds


def finished(
    request: ResultRequest, place: Place, ds: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian
) -> ResultObject:
    """The data set as a file (PS3.10), as a rule Explicit VR Little Endian: what every receiver takes."""
    mark_encoded(ds)
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(str(ds.SOPClassUID))
    meta.MediaStorageSOPInstanceUID = UID(str(ds.SOPInstanceUID))
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = f"VIGIL_{request.device.bundle_version}"[:16]
    ds.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return ResultObject(
        place.series.role, place.index, str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(ds.SeriesInstanceUID),
        buffer.getvalue(),
    )  # fmt: skip


def _orchestrator(request: ResultRequest, moment: Moment, ds: Dataset) -> Dataset:
    """The bundle itself, the runtime and the weights: what produced this, for whoever asks later (law 8)."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    item.Manufacturer = item.ManufacturerModelName = PRODUCT
    item.SoftwareVersions = [request.device.bundle_version, encodable(request.device.runtime[:64], ds)]
    item.DeviceSerialNumber = encodable(request.device.installation_name[:64], ds)
    item.ContributionDateTime = moment.date_time
    item.ContributionDescription = (
        f"Model {request.manifest.id} {request.analysis.model_version}, weights SHA-256 "
        f"{request.analysis.weights_sha256}, operating point {request.analysis.operating_point}, "
        f"analysis {request.analysis.analysis_id}"
    )
    return item
