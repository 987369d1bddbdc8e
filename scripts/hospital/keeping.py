"""Keeps what the demo made: every DICOM object and every HL7 message, in files that other software reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hospital.ct_series import dicom_bytes
from hospital.hospital import Hospital
from hospital.orthanc import Orthanc
from hospital.outcome import Outcome
from hospital.watching import Sending, results_of


@dataclass(frozen=True)
class Kept:
    """How many files were written."""

    dicom: int
    hl7: int


def keep(folder: Path, hospital: Hospital, sendings: Iterable[Sending], outcomes: Iterable[Outcome]) -> Kept:
    """Writes, for each study, ``<study>/images/*.dcm`` as they were sent and ``<study>/results/*.dcm`` as the PACS holds
    them, and ``messages/*.hl7`` as the RIS received them."""
    assert isinstance(hospital.pacs, Orthanc)
    dicom = 0
    for sending, outcome in zip(sendings, outcomes, strict=True):
        study = folder / re.sub(r"[^a-z0-9]+", "-", sending.head.label.lower()).strip("-")
        images, results = study / "images", study / "results"
        for place in (images, results):
            place.mkdir(parents=True, exist_ok=True)
        for image in sending.head.images:
            (images / f"{image.InstanceNumber:04d}.dcm").write_bytes(dicom_bytes(image))
            dicom += 1
        roles = {
            item["sop_instance_uid"]: f"{item['role']}-{item['index'] + 1}"
            for item in (outcome.analysis or {}).get("objects", [])
        }
        for item in results_of(hospital.pacs, sending.head):
            uid = item["MainDicomTags"]["SOPInstanceUID"]
            (results / f"{roles.get(uid, uid)}.dcm").write_bytes(
                hospital.pacs.get_bytes(f"/instances/{item['ID']}/file")
            )
            dicom += 1
    messages = folder / "messages"
    messages.mkdir(parents=True, exist_ok=True)
    received = hospital.ris.received()
    for path in received:
        (messages / path.name).write_bytes(path.read_bytes())
    return Kept(dicom, len(received))
