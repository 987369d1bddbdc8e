"""The objects of an analysis to one PACS: what it has accepted is never sent to it again."""

from __future__ import annotations

import threading

from vigil.delivery.destination import pacs_destination
from vigil.delivery.dicom import OutgoingObject, send
from vigil.delivery.errors import DestinationAborted, DestinationBusy, DestinationRefused
from vigil.delivery.status import accepted, out_of_resources, status_text
from vigil.domain.answer import Analysis, Answer
from vigil.domain.clock import Clock
from vigil.pipeline.deliver import Refused, Suppressed
from vigil.pipeline.permission import Permission
from vigil.records.entries import DeliveryRecord
from vigil.records.ledger import Ledger
from vigil.settings import Settings


class ToPacs:
    """Called by :class:`vigil.pipeline.deliver.Courier` for each attempt."""

    def __init__(self, *, ledger: Ledger, settings: Settings, permission: Permission, clock: Clock,
                 stop: threading.Event) -> None:
        self._ledger = ledger
        self._settings = settings
        self._permission = permission
        self._clock = clock
        self._stop = stop

    def __call__(self, delivery: DeliveryRecord, analysis: Analysis, answer: Answer) -> dict[str, object]:
        allowed = self._permission.to_forward(analysis, answer)
        if not allowed.allowed:
            raise Suppressed(allowed.reason, category=allowed.category)
        if delivery.destination not in self._settings.pacs:
            raise Suppressed(f"the destination '{delivery.destination}' is no longer in the settings")
        destination = pacs_destination(delivery.destination, self._settings)
        if not destination.takes(analysis.model_id):
            raise Suppressed(f"'{delivery.destination}' does not take results of this model (its setting Models)")
        statuses = self._ledger.object_statuses(delivery.delivery_id)
        waiting = [item for item in self._ledger.objects(analysis.analysis_id)
                   if not accepted(statuses.get(item.sop_instance_uid, -1))]
        outgoing = []
        for item in waiting:
            content = self._ledger.object_bytes(item.sop_instance_uid)
            if content is None:
                raise Refused("the sealed copy of a result object is gone; send the study's AI series from Orthanc by hand")
            outgoing.append(OutgoingObject(item.sop_class_uid, item.sop_instance_uid, content))
        try:
            outcome = send(destination, outgoing, self._record(delivery), self._stop)
        except (DestinationAborted, DestinationBusy):
            raise
        except DestinationRefused as error:  # our title or our kinds of object are not known there: a person must change that
            raise Refused(error.message) from error
        if outcome.refused:
            why = status_text(outcome.refused[0].status)  # not the PACS's own comment, which may quote a patient
            said = DestinationRefused if any(out_of_resources(item.status) for item in outcome.refused) else Refused
            raise said(f"{destination.label} refused {len(outcome.refused)} of {len(outgoing)} objects: {why}")
        return {"objects": len(outgoing)}

    def _record(self, delivery: DeliveryRecord) -> _StatusRecorder:
        return _StatusRecorder(self._ledger, delivery.delivery_id, self._clock)


class _StatusRecorder:
    """Keeps the status of each object as soon as it is known."""

    def __init__(self, ledger: Ledger, delivery_id: str, clock: Clock) -> None:
        self._ledger = ledger
        self._delivery_id = delivery_id
        self._clock = clock

    def __call__(self, sop_instance_uid: str, status: int, comment: str) -> None:
        self._ledger.record_object_status(self._delivery_id, sop_instance_uid, status, self._clock.now(), comment)
