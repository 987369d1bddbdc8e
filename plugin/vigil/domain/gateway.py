"""What Vigil asks of Orthanc, whichever way it is reached: inside its process (SDK) or from another machine (HTTP).

Implemented twice in :mod:`vigil.host`; ``tests/contract`` holds both to the same behaviour. Every call is short:
nothing here waits for another machine (law 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from vigil.domain.errors import Category, VigilError


class GatewayError(VigilError):
    """Orthanc answered with an error, or not at all."""

    category = Category.STORAGE_FAILED


class StoreFiltered(GatewayError):
    """The site's own filter of incoming instances keeps an object out. To ask again is of no use."""


class StoreStatus(StrEnum):
    STORED = "stored"
    ALREADY_STORED = "already-stored"


@dataclass(frozen=True)
class OrthancSystem:
    name: str
    version: str
    dicom_aet: str


@dataclass(frozen=True)
class Change:
    """One line of Orthanc's change log. ``kind`` is Orthanc's word: NewInstance, StableStudy, …"""

    sequence: int
    kind: str
    resource_id: str


@dataclass(frozen=True)
class ChangesPage:
    changes: Sequence[Change]
    last_sequence: int
    done: bool


@dataclass(frozen=True)
class StudyRecord:
    """A study as Orthanc lists it. ``last_update`` is UTC."""

    orthanc_id: str
    study_instance_uid: str
    patient_orthanc_id: str
    last_update: datetime
    is_stable: bool


@dataclass(frozen=True)
class InstanceRecord:
    """``file_uuid``: Orthanc's name for the stored file. Where other bytes come to stand under an Orthanc id (overwritten, or
    deleted and sent again), the name is another; empty where Orthanc does not tell it."""

    orthanc_id: str
    sop_instance_uid: str
    series_orthanc_id: str
    file_uuid: str = ""


@dataclass(frozen=True)
class StoreOutcome:
    orthanc_id: str
    orthanc_study_id: str
    status: StoreStatus


class Gateway(Protocol):
    """Orthanc, as Vigil sees it. Every method raises :class:`GatewayError` when Orthanc fails."""

    def system(self) -> OrthancSystem: ...

    def changes(self, since: int, limit: int) -> ChangesPage: ...

    def last_change(self) -> int:
        """The sequence number of the newest change, 0 in a new Orthanc."""
        ...

    def study_of(self, instance_orthanc_id: str) -> str | None:
        """The Orthanc study id of an instance; None where it is gone."""
        ...

    def instance(self, instance_orthanc_id: str) -> InstanceRecord | None:
        """None where the instance is gone."""
        ...

    def study_of_series(self, series_orthanc_id: str) -> str | None:
        """The Orthanc study id of a series; None where it is gone."""
        ...

    def series_updated_at(self, series_orthanc_id: str) -> datetime | None:
        """When an image of the series came last (UTC, whole seconds); None where it is gone."""
        ...

    def study(self, orthanc_study_id: str) -> StudyRecord | None:
        """None where the study is gone."""
        ...

    def studies_with_uid(self, study_instance_uid: str) -> list[str]:
        """Orthanc ids of every study that bears this StudyInstanceUID (two, where two patients share it)."""
        ...

    def instances(self, orthanc_study_id: str) -> list[InstanceRecord]:
        """Every instance of a study, in no order; empty where the study is gone."""
        ...

    def dicom(self, instance_orthanc_id: str) -> bytes | None:
        """The DICOM file (PS3.10) of an instance; None where it is gone."""
        ...

    def sender(self, instance_orthanc_id: str) -> str:
        """The application entity title that sent an instance by C-STORE; empty where it came another way, or is gone."""
        ...

    def store(self, dicom: bytes) -> StoreOutcome: ...

    def label(self, orthanc_study_id: str, label: str) -> bool:
        """Puts a label on a study, also on one that has it. False where the study is gone, or where this Orthanc knows no labels
        (before 1.12.0)."""
        ...
