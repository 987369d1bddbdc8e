"""Sends a study to a hospital and watches what becomes of it, by the same doors that anybody has: REST and the RIS's folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from hospital import modality
from hospital.ct_head import ct_head, with_insert
from hospital.ct_series import Acquisition, Patient, ct_series
from hospital.hospital import Hospital
from hospital.mr_head import mr_head, mr_series
from hospital.orthanc import Orthanc, OrthancRefused
from hospital.outcome import Expectation, Outcome


@dataclass(frozen=True)
class Head:
    """A study to send."""

    label: str
    images: tuple[Dataset, ...]
    expectation: Expectation

    @property
    def study_uid(self) -> str:
        return str(self.images[0].StudyInstanceUID)


@dataclass(frozen=True)
class Sending:
    head: Head
    sent: modality.Sent


class NotAccepted(Exception):
    """Orthanc did not take every image."""


def heads() -> tuple[Head, Head, Head]:
    """The real CT head with a hyperdense insert of known volume, the same head as it came from the scanner, and a real T1 MR
    head. Three patients who are plainly tests."""
    plain, spacing_mm = ct_head()
    changed, insert_ml = with_insert(plain, spacing_mm)

    def images(hu: NDArray[np.int16], number: int) -> tuple[Dataset, ...]:
        patient = Patient(name=f"Vigil^Demo{number}", patient_id=f"VIGIL-DEMO-{number}")
        acquisition = Acquisition(f"demo {number}", spacing_mm, accession=f"DEMO-{number}", declare_images=True)
        return tuple(ct_series(hu, acquisition, patient))

    return (
        Head(f"Head with a {insert_ml:.1f} mL insert", images(changed, 1), Expectation(positive=True)),
        Head("The same head without it", images(plain, 2), Expectation(positive=False)),
        t1_head(),
    )


def t1_head() -> Head:
    """The real T1 MR head, of which the brain's volume is measured."""
    patient = Patient(name="Vigil^Demo3", patient_id="VIGIL-DEMO-3")
    images = tuple(mr_series(mr_head(), "demo 3", patient, accession="DEMO-3", declare_images=True))
    return Head("T1 MR of a healthy head", images, Expectation(positive=False, measured=True))


def send(head: Head, hospital: Hospital) -> Sending:
    """From the modality to Orthanc, by C-STORE."""
    sent = modality.send(head.images, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet, associations=3)
    if not sent.all_stored:
        raise NotAccepted(f"Orthanc did not take every image of: {head.label}.")
    return Sending(head, sent)


def outcomes(hospital: Hospital, sendings: Iterable[Sending]) -> list[Outcome]:
    analyses: Sequence[dict[str, Any]] = ()
    with suppress(OrthancRefused):
        analyses = hospital.orthanc.get("/vigil/analyses")
    messages = [path.read_bytes() for path in hospital.ris.received()]
    return [_outcome(hospital, sending, analyses, messages) for sending in sendings]


def _outcome(
    hospital: Hospital, sending: Sending, analyses: Sequence[dict[str, Any]], messages: Sequence[bytes]
) -> Outcome:
    uid = sending.head.study_uid
    assert isinstance(hospital.pacs, Orthanc)
    return Outcome(
        label=sending.head.label,
        expectation=sending.head.expectation,
        last_image_at=sending.sent.last_at,
        analysis=next((item for item in analyses if item["study_instance_uid"] == uid), None),
        in_orthanc=results_in(hospital.orthanc, sending.head),
        in_pacs=results_in(hospital.pacs, sending.head),
        messages=sum(uid.encode() in message for message in messages),
    )


def results_in(node: Orthanc, head: Head) -> dict[str, str]:
    """SOP class by SOP Instance UID of what a node holds of this study beside the images that were sent."""
    return {
        item["MainDicomTags"]["SOPInstanceUID"]: node.get_bytes(
            f"/instances/{item['ID']}/metadata/SopClassUid"
        ).decode()
        for item in results_of(node, head)
    }


def results_of(node: Orthanc, head: Head) -> list[dict[str, Any]]:
    """The instances that a node holds of this study beside the images that were sent, as Orthanc describes them."""
    own = {str(image.SOPInstanceUID) for image in head.images}
    found = node.post("/tools/lookup", head.study_uid.encode())
    return [
        instance
        for study in found
        if study["Type"] == "Study"
        for instance in node.instances(study["ID"])
        if instance["MainDicomTags"]["SOPInstanceUID"] not in own
    ]
