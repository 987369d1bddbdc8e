"""The objects of an analysis to one PACS: what it has accepted is never sent to it again."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Sequence

from pydicom.uid import UID

from vigil.delivery.destination import PacsDestination, PacsOrWeb, result_destination
from vigil.delivery.dicom import ObjectStatus, OutgoingObject, SendOutcome, read_header, send
from vigil.delivery.errors import DestinationAborted, DestinationBusy, DestinationRefused
from vigil.delivery.status import accepted, out_of_resources, status_text
from vigil.delivery.stow import store
from vigil.domain.answer import Analysis, Answer
from vigil.domain.clock import Clock
from vigil.domain.gateway import Gateway
from vigil.pipeline.commit import Confirmations
from vigil.pipeline.deliver import Refused, Suppressed
from vigil.pipeline.permission import Permission
from vigil.records.entries import DeliveryRecord, ObjectRecord
from vigil.records.ledger import Ledger
from vigil.results.viewer_profile import Selection, ViewerProfile, select
from vigil.settings import Settings

SEGMENTATIONS = "segmentation"
"""Roles that end so have frames to count."""


class ToPacs:
    """Called by :class:`vigil.pipeline.deliver.Courier` for each attempt. By C-STORE or by STOW-RS, as the destination is."""

    def __init__(self, *, gateway: Gateway, ledger: Ledger, settings: Settings, permission: Permission,
                 confirmations: Confirmations, clock: Clock, stop: threading.Event) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._settings = settings
        self._permission = permission
        self._confirmations = confirmations
        self._clock = clock
        self._stop = stop

    def __call__(self, delivery: DeliveryRecord, analysis: Analysis, answer: Answer) -> dict[str, object]:
        allowed = self._permission.to_forward(analysis, answer)
        if not allowed.allowed:
            raise Suppressed(allowed.reason, category=allowed.category)
        destination = result_destination(delivery.destination, self._settings)
        if destination is None:
            raise Suppressed(f"the destination '{delivery.destination}' is no longer in the settings")
        if not destination.takes(analysis.model_id):
            raise Suppressed(f"'{delivery.destination}' does not take results of this model (its setting Models)")
        objects = self._ledger.objects(analysis.analysis_id)
        selection = self._select(destination.profile, objects)
        wanted = [item for item in objects if item.sop_instance_uid in selection.sent]
        if not wanted:
            raise Suppressed(f"its profile '{destination.profile.name}' takes none of the objects of this analysis")
        self._send_waiting(delivery, destination, wanted)
        if isinstance(destination, PacsDestination):
            try:
                self._confirmations.insist(delivery, destination, wanted)
            except (DestinationAborted, DestinationBusy):
                raise
            except DestinationRefused as error:  # it knows no storage commitment, or not for us: a person must change that
                raise Refused(error.message) from error
        evidence: dict[str, object] = {"objects": len(wanted), "profile": destination.profile.name}
        if selection.left_out:
            evidence["left_out"] = dict(Counter(selection.left_out.values()))
        return evidence

    def _select(self, profile: ViewerProfile, objects: Sequence[ObjectRecord]) -> Selection:
        frames: dict[str, int] = {}
        if profile.most_segmentation_frames is not None:
            for item in objects:
                if item.role.endswith(SEGMENTATIONS):
                    frames[item.sop_instance_uid] = int(read_header(self._outgoing(item)).get("NumberOfFrames") or 1)
        return select(profile, objects, frames)

    def _send_waiting(self, delivery: DeliveryRecord, destination: PacsOrWeb,
                      wanted: Sequence[ObjectRecord]) -> None:
        """Sends what the destination has not accepted yet. Raises where it does not accept all of it."""
        statuses = self._ledger.object_statuses(delivery.delivery_id)
        outgoing = [self._outgoing(item) for item in wanted if not accepted(statuses.get(item.sop_instance_uid, -1))]
        recorder = _StatusRecorder(self._ledger, delivery.delivery_id, self._clock)
        try:
            outcome = (send(destination, outgoing, recorder, self._stop) if isinstance(destination, PacsDestination)
                       else store(destination, outgoing, recorder, self._stop))
        except (DestinationAborted, DestinationBusy):
            raise
        except DestinationRefused as error:  # our title or our kinds of object are not known there: a person must change that
            raise Refused(error.message) from error
        if outcome.refused:
            passes = any(out_of_resources(item.status) for item in outcome.refused)
            raise (DestinationRefused if passes else Refused)(_refusal(destination.label, outgoing, outcome))

    def _outgoing(self, item: ObjectRecord) -> OutgoingObject:
        """The frozen bytes: sealed, or from Orthanc where the sealed copy has gone, and only if they are the same."""
        content = self._ledger.object_bytes(item.sop_instance_uid)
        if content is None and item.orthanc_id is not None:
            content = self._gateway.dicom(item.orthanc_id)
            if content is not None and hashlib.sha256(content).hexdigest() != item.sha256:
                raise Refused("a result object in Orthanc is not the one that was frozen; send the study's AI series by hand")
        if content is None:
            raise Refused("a result object is neither sealed here nor in Orthanc any more; it cannot be sent again")
        return OutgoingObject(item.sop_class_uid, item.sop_instance_uid, content)


class _StatusRecorder:
    """Keeps the status of each object as soon as it is known."""

    def __init__(self, ledger: Ledger, delivery_id: str, clock: Clock) -> None:
        self._ledger = ledger
        self._delivery_id = delivery_id
        self._clock = clock

    def __call__(self, sop_instance_uid: str, status: int, comment: str) -> None:
        self._ledger.record_object_status(self._delivery_id, sop_instance_uid, status, self._clock.now(), comment)


def _refusal(label: str, outgoing: Sequence[OutgoingObject], outcome: SendOutcome) -> str:
    """Which kinds were refused, and why, each reason once. Not the receiver's own comment, which may quote a patient."""
    kinds = {item.sop_instance_uid: UID(item.sop_class_uid).name.removesuffix(" Storage") for item in outgoing}

    def told(item: ObjectStatus) -> str:
        return f"{kinds[item.sop_instance_uid]}: {status_text(item.status)}"

    reasons = Counter(told(item) for item in outcome.refused)
    return (f"{label} refused {len(outcome.refused)} of {len(outgoing)} objects ("
            + "; ".join(f"{count} × {reason}" for reason, count in reasons.items()) + ")")
