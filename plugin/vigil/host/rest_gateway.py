"""Orthanc through its REST API, over either transport: the SDK inside its process, or HTTP from another machine.

One place knows Orthanc's addresses and JSON; a transport knows only how a request travels.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Protocol

from vigil.domain.gateway import (
    Change,
    ChangesPage,
    InstanceRecord,
    OrthancSystem,
    StoreFiltered,
    StoreOutcome,
    StoreStatus,
    StudyRecord,
)
from vigil.host.errors import OrthancRefused

FILTERED_OUT = "FilteredOut"
STORED_AS = {"Success": StoreStatus.STORED, "AlreadyStored": StoreStatus.ALREADY_STORED}


class Transport(Protocol):
    """One request to Orthanc. Raises :class:`vigil.domain.gateway.GatewayError`."""

    def get(self, path: str) -> bytes | None:
        """The body, or None where Orthanc does not know the resource."""
        ...

    def post(self, path: str, body: bytes) -> bytes: ...

    def put(self, path: str, body: bytes) -> bytes | None:
        """The answer's body, or None where Orthanc does not know the resource."""
        ...

    def dicom(self, instance_orthanc_id: str) -> bytes | None:
        """The file of an instance, or None where it is gone."""
        ...


class RestGateway:
    """Satisfies :class:`vigil.domain.gateway.Gateway`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def system(self) -> OrthancSystem:
        found = self._json("/system") or {}
        return OrthancSystem(name=str(found.get("Name", "")), version=str(found.get("Version", "")),
                             dicom_aet=str(found.get("DicomAet", "")))

    def changes(self, since: int, limit: int) -> ChangesPage:
        page = self._json(f"/changes?since={since}&limit={limit}") or {}
        return ChangesPage(
            changes=tuple(Change(sequence=int(item["Seq"]), kind=str(item["ChangeType"]), resource_id=str(item["ID"]))
                          for item in page.get("Changes", [])),
            last_sequence=int(page.get("Last", since)), done=bool(page.get("Done", True)))

    def last_change(self) -> int:
        return int((self._json("/changes?last") or {}).get("Last", 0))

    def study_of(self, instance_orthanc_id: str) -> str | None:
        found = self._json(f"/instances/{instance_orthanc_id}/study")
        return None if found is None else str(found["ID"])

    def instance(self, instance_orthanc_id: str) -> InstanceRecord | None:
        found = self._json(f"/instances/{instance_orthanc_id}")
        return None if found is None else _instance(found)

    def study_of_series(self, series_orthanc_id: str) -> str | None:
        found = self._json(f"/series/{series_orthanc_id}")
        return None if found is None else str(found["ParentStudy"])

    def series_updated_at(self, series_orthanc_id: str) -> datetime | None:
        found = self._json(f"/series/{series_orthanc_id}")
        return None if found is None else _moment(found["LastUpdate"])

    def study(self, orthanc_study_id: str) -> StudyRecord | None:
        found = self._json(f"/studies/{orthanc_study_id}")
        if found is None:
            return None
        return StudyRecord(
            orthanc_id=str(found["ID"]), study_instance_uid=str(found["MainDicomTags"].get("StudyInstanceUID", "")),
            patient_orthanc_id=str(found["ParentPatient"]), is_stable=bool(found["IsStable"]),
            last_update=_moment(found["LastUpdate"]))

    def studies_with_uid(self, study_instance_uid: str) -> list[str]:
        found = json.loads(self._transport.post("/tools/lookup", study_instance_uid.encode()))
        return sorted(str(item["ID"]) for item in found if item["Type"] == "Study")

    def instances(self, orthanc_study_id: str) -> list[InstanceRecord]:
        found = self._json(f"/studies/{orthanc_study_id}/instances") or []
        return [_instance(item) for item in found]

    def dicom(self, instance_orthanc_id: str) -> bytes | None:
        return self._transport.dicom(instance_orthanc_id)

    def sender(self, instance_orthanc_id: str) -> str:
        title = self._transport.get(f"/instances/{instance_orthanc_id}/metadata/RemoteAET")
        return "" if title is None else title.decode("latin-1").strip()

    def store(self, dicom: bytes) -> StoreOutcome:
        answer = json.loads(self._transport.post("/instances", dicom))
        if answer["Status"] == FILTERED_OUT:
            raise StoreFiltered("Orthanc's filter of incoming instances (ReceivedInstanceFilter, or a plugin's) keeps objects of "
                                "ours out; let it take what comes from plugins (docs/coexistence.md)")
        if answer["Status"] not in STORED_AS:
            raise OrthancRefused(f"Orthanc did not store an object of ours: {answer['Status']}; its log should say why")
        status = STORED_AS[answer["Status"]]
        return StoreOutcome(orthanc_id=str(answer["ID"]), orthanc_study_id=str(answer["ParentStudy"]), status=status)

    def label(self, orthanc_study_id: str, label: str) -> bool:
        return self._transport.put(f"/studies/{orthanc_study_id}/labels/{label}", b"") is not None

    def _json(self, path: str) -> Any:
        body = self._transport.get(path)
        return None if body is None else json.loads(body)


def _moment(written: str) -> datetime:
    return datetime.strptime(written, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _instance(item: Any) -> InstanceRecord:
    return InstanceRecord(orthanc_id=str(item["ID"]), series_orthanc_id=str(item["ParentSeries"]),
                          sop_instance_uid=str(item["MainDicomTags"].get("SOPInstanceUID", "")),
                          file_uuid=str(item.get("FileUuid", "")))
