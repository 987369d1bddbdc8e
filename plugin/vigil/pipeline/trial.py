"""Sends a phantom study with a result set of every kind to one destination, as its profile says: a trial of the way of results
before a patient's goes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from uuid import UUID

from pydicom import Dataset, dcmread

from vigil.delivery.destination import PacsDestination, PacsOrWeb, result_destination
from vigil.delivery.dicom import OutgoingObject, send
from vigil.delivery.errors import DestinationInvalid
from vigil.delivery.status import accepted
from vigil.delivery.stow import store
from vigil.domain.answer import AnswerKind
from vigil.domain.clock import Clock
from vigil.pipeline.flavours import options_of
from vigil.pipeline.trial_results import look_for, trial_set
from vigil.pipeline.trial_study import TrialStudy, make_trial_study
from vigil.results.objects import ResultObject
from vigil.results.viewer_profile import ViewerProfile, select
from vigil.settings import Settings

SOURCE = "source"
NOT_SENT = -1


@dataclass(frozen=True)
class TrialObject:
    """One object of the trial. ``kind``: the answer that it tells, empty for a source image. ``left_out``: why the profile keeps
    it back, empty where it goes."""

    role: str
    kind: str
    series_number: int
    series_description: str
    instance_number: int
    outgoing: OutgoingObject
    left_out: str = ""
    status: int = NOT_SENT
    text: str = "not sent"


@dataclass(frozen=True)
class Trial:
    patient_id: str
    patient_name: str
    study_instance_uid: str
    destination: str
    profile: ViewerProfile
    objects: tuple[TrialObject, ...]

    @property
    def refused(self) -> tuple[TrialObject, ...]:
        return tuple(item for item in self.objects if not item.left_out and not accepted(item.status))

    def as_dict(self) -> dict[str, object]:
        """For programs and for the words of the command line."""
        return {
            "destination": self.destination, "profile": self.profile.name, "patient_id": self.patient_id,
            "patient_name": self.patient_name, "study_instance_uid": self.study_instance_uid, "refused": len(self.refused),
            "objects": [{
                "role": item.role, "kind": item.kind, "series_number": item.series_number,
                "series_description": item.series_description, "instance_number": item.instance_number,
                "sop_instance_uid": item.outgoing.sop_instance_uid,
                "status": None if item.status == NOT_SENT else item.status, "text": item.left_out or item.text,
                "look_for": look_for(item.role, AnswerKind(item.kind) if item.kind else None)} for item in self.objects],
        }


def make_trial(settings: Settings, destination: PacsOrWeb, models: Path, clock: Clock, new_uuid: Callable[[], UUID]) -> Trial:
    """The objects, not sent yet."""
    now = clock.now().replace(microsecond=0)
    study = make_trial_study(now, new_uuid)
    objects = [_source(study, index) for index in range(len(study.files))]
    for kind in AnswerKind:
        made = trial_set(study, kind, models, now, settings.installation_name, options_of([destination.profile]))
        frames = {item.sop_instance_uid: int(_header(item.dicom).get("NumberOfFrames") or 1) for item in made
                  if item.role.endswith("segmentation")}
        kept_back = select(destination.profile, made, frames).left_out
        objects += [_result(item, kind, kept_back.get(item.sop_instance_uid, "")) for item in made]
    first = study.headers[0]
    return Trial(str(first.PatientID), str(first.PatientName), study.study_instance_uid, destination.label, destination.profile,
                 tuple(objects))


def send_trial(trial: Trial, destination: PacsOrWeb, stop: threading.Event) -> Trial:
    """The trial with the status of each object. Raises what sending raises."""
    statuses: dict[str, tuple[int, str]] = {}

    def note(uid: str, status: int, text: str) -> None:
        statuses[uid] = (status, text)

    outgoing = [item.outgoing for item in trial.objects if not item.left_out]
    if isinstance(destination, PacsDestination):
        send(destination, outgoing, note, stop)
    else:
        store(destination, outgoing, note, stop)
    done = []
    for item in trial.objects:
        status, text = statuses.get(item.outgoing.sop_instance_uid, (NOT_SENT, item.text))
        done.append(replace(item, status=status, text=text))
    return replace(trial, objects=tuple(done))


def trial_destination(name: str, settings: Settings) -> PacsOrWeb:
    """Raises :class:`DestinationInvalid` with the names that there are."""
    found = result_destination(name, settings)
    if found is None:
        known = [*settings.pacs, *settings.dicom_web]
        raise DestinationInvalid(
            f"the settings name no destination of results '{name}'; "
            + (f"known are {', '.join(known)}" if known else "write one into Vigil.Pacs or Vigil.DicomWeb"))
    return found


def _source(study: TrialStudy, index: int) -> TrialObject:
    header = study.headers[index]
    return TrialObject(
        SOURCE, "", int(header.SeriesNumber), str(header.SeriesDescription), int(header.InstanceNumber),
        OutgoingObject(str(header.SOPClassUID), str(header.SOPInstanceUID), study.files[index]))


def _result(made: ResultObject, kind: AnswerKind, left_out: str) -> TrialObject:
    header = _header(made.dicom)
    return TrialObject(
        str(made.role), kind.value, int(header.SeriesNumber), str(header.SeriesDescription), int(header.InstanceNumber),
        OutgoingObject(made.sop_class_uid, made.sop_instance_uid, made.dicom), left_out)


def _header(dicom: bytes) -> Dataset:
    return dcmread(BytesIO(dicom), stop_before_pixels=True)
