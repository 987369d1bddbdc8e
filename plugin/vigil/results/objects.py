"""A finished result object, as bytes: what is frozen in the ledger, stored in Orthanc and sent on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    SUMMARY = "summary"
    KEY_SLICE = "key-slice"
    REPORT = "report"
    SEGMENTATION = "segmentation"
    PRESENTATION_STATE = "presentation-state"
    KEY_OBJECTS = "key-objects"
    MULTIFRAME = "multi-frame"
    FULL_SEGMENTATION = "full-segmentation"
    TEXT_REPORT = "text-report"


@dataclass(frozen=True)
class ResultObject:
    """One DICOM file (PS3.10) of an analysis. Its UIDs come from the analysis id, the role and the index (law 4)."""

    role: Role
    index: int
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    dicom: bytes
