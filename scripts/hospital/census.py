"""Counts what is where: analyses in the ledger, result objects in Orthanc and in the PACS, messages in the RIS."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydicom import dcmread

from hospital.hospital import Hospital
from hospital.orthanc import Orthanc, OrthancRefused

FINISHED = {"delivered", "parked", "suppressed", "cancelled"}


class NotSettled(AssertionError):
    """What was waited for did not come."""


@dataclass(frozen=True)
class Census:
    """Of one study. ``analyses``: as /vigil/analyses tells them, newest first. ``in_orthanc`` and ``in_pacs``: SOP Instance UIDs
    of objects that were not sent by the modality. ``control_ids``: MSH-10 of every message that came, with repeats."""

    analyses: tuple[dict[str, Any], ...]
    in_orthanc: frozenset[str]
    in_pacs: frozenset[str]
    control_ids: tuple[str, ...]

    @property
    def made(self) -> frozenset[str]:
        """UIDs of the objects that the ledger says were made."""
        return frozenset(item["sop_instance_uid"] for analysis in self.analyses for item in analysis["objects"])

    @property
    def kinds(self) -> Counter[str]:
        return Counter(analysis["answer"]["kind"] for analysis in self.analyses if analysis["answer"])

    def exactly_once(self) -> None:
        """One analysis, one set of objects in Orthanc and in the PACS, one MSH-10."""
        assert len(self.analyses) == 1, [item["state"] for item in self.analyses]
        assert self.made
        assert self.in_orthanc == self.made
        assert self.in_pacs == self.made
        assert len(set(self.control_ids)) == 1, self.control_ids


def analyses(orthanc: Orthanc, study_uid: str) -> list[dict[str, Any]]:
    """Empty while Vigil is not ready."""
    with suppress(OrthancRefused, OSError):
        return [item for item in orthanc.get("/vigil/analyses") if item["study_instance_uid"] == study_uid]
    return []


def take_census(hospital: Hospital, study_uid: str, sent: set[str]) -> Census:
    """``sent``: SOP Instance UIDs of the images that the modality sent."""
    return Census(
        analyses=tuple(analyses(hospital.orthanc, study_uid)),
        in_orthanc=frozenset(_in_orthanc(hospital.orthanc, study_uid) - sent),
        in_pacs=frozenset(_in_pacs(hospital, study_uid) - sent),
        control_ids=tuple(path.stem.split("-", 1)[1] for path in hospital.ris.received()
                          if study_uid.encode() in path.read_bytes()))


def wait_until(what: str, condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """The first true answer of ``condition``. Raises :class:`NotSettled` after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise NotSettled(f"after {timeout_s:g} s not yet: {what}")


def wait_settled(hospital: Hospital, study_uid: str, *, count: int = 1, timeout_s: float = 90.0) -> list[dict[str, Any]]:
    """Waits until ``count`` analyses of a study have ended, with all their deliveries. Returns them, newest first."""
    def settled() -> list[dict[str, Any]]:
        found = analyses(hospital.orthanc, study_uid)
        ended = [item for item in found if item["state"] in ("shadow", "ended-study-deleted", "ended-early")
                 or (item["state"] == "stored" and item["deliveries"]
                     and all(each["state"] in FINISHED for each in item["deliveries"]))]
        return found if len(ended) >= count and len(ended) == len(found) else []

    try:
        return list(wait_until(f"{count} ended analyses", settled, timeout_s))
    except NotSettled as error:
        found = [(item["state"], item["reason"], [(each["destination"], each["state"], each["reason"])
                                                  for each in item["deliveries"]])
                 for item in analyses(hospital.orthanc, study_uid)]
        raise NotSettled(f"{error}; seen: {found}") from None


def _in_orthanc(node: Orthanc, study_uid: str) -> set[str]:
    return {instance["MainDicomTags"]["SOPInstanceUID"]
            for study in node.post("/tools/lookup", study_uid.encode()) if study["Type"] == "Study"
            for instance in node.instances(study["ID"])}


def _in_pacs(hospital: Hospital, study_uid: str) -> set[str]:
    if isinstance(hospital.pacs, Orthanc):
        return _in_orthanc(hospital.pacs, study_uid)
    found = (dcmread(path, specific_tags=["StudyInstanceUID", "SOPInstanceUID"]) for path in hospital.pacs.objects())
    return {str(item.SOPInstanceUID) for item in found if str(item.StudyInstanceUID) == study_uid}
