"""The message of an analysis to one RIS, frozen and sealed before its first attempt: every attempt sends the same bytes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from pydicom import Dataset

from vigil.delivery.destination import RisDestination, ris_destination
from vigil.delivery.errors import DestinationRefused
from vigil.delivery.hl7.alert import Alert, AlertKind
from vigil.delivery.hl7.message import compose
from vigil.delivery.hl7.mllp import MllpClient
from vigil.domain.answer import Analysis, Answer, AnswerKind
from vigil.domain.clock import Clock
from vigil.domain.errors import Category
from vigil.domain.identity import delivery_id, filler_order_number, message_control_id, retraction_control_id
from vigil.inference.registry import InstalledModel
from vigil.intake.part10 import read_dataset, read_instance
from vigil.pipeline.deliver import Refused, Suppressed
from vigil.pipeline.permission import ModelMissing, Permission
from vigil.pipeline.reference import References
from vigil.pipeline.retract import cause_of
from vigil.pipeline.roster import model_of
from vigil.pipeline.told import newer_analyses, told_before, told_newer
from vigil.records.entries import RETRACTION, DeliveryRecord
from vigil.records.ledger import Ledger
from vigil.results.objects import Role
from vigil.settings import Settings

ACCEPTED = ("AA", "CA")
REJECTED = ("AR", "CR")


class ToRis:
    """Called by :class:`vigil.pipeline.deliver.Courier` for each attempt."""

    def __init__(
        self, *, references: References, ledger: Ledger, settings: Settings, permission: Permission,
        models: Mapping[str, InstalledModel], clock: Clock, stop: threading.Event,
    ) -> None:
        self._references = references
        self._ledger = ledger
        self._settings = settings
        self._permission = permission
        self._models = models
        self._clock = clock
        self._stop = stop
        self._destinations = {name: ris_destination(name, settings) for name in settings.ris}
        self._clients = {name: MllpClient(destination) for name, destination in self._destinations.items()}

    def __call__(self, delivery: DeliveryRecord, analysis: Analysis, answer: Answer) -> dict[str, object]:
        destination = self._destinations.get(delivery.destination)
        if destination is None:
            raise Suppressed(f"the destination '{delivery.destination}' is no longer in the settings")
        retracts = delivery.purpose == RETRACTION
        control_id = (retraction_control_id if retracts else message_control_id)(
            delivery.destination, analysis.analysis_id, analysis.revision)
        accepted = self._ledger.acknowledgement(delivery.delivery_id)
        if accepted is not None and accepted.code in ACCEPTED:  # a kill fell between the acknowledgement and its record
            return {"control_id": control_id, "acknowledgement": accepted.code}
        replaces = None if retracts else told_before(self._ledger, delivery.destination, analysis)
        why_not = (self._why_not_retracted(delivery) if retracts
                   else self._why_not(delivery, analysis, answer, destination, told=replaces))
        if why_not is not None:
            raise why_not
        message = self._ledger.message(delivery.delivery_id)
        evidence: dict[str, object] = {"control_id": control_id}
        if message is None:
            head = self._told_head(delivery) if retracts else self._head(analysis)
            alert = self._alert(analysis, answer, read_dataset(head), control_id)
            composed = compose(self._retracting(alert) if retracts else _telling(alert, replaces), destination.profile)
            message = self._ledger.freeze_message(
                delivery.delivery_id, control_id, composed.content, self._clock.now(), None if retracts else head)
            if composed.warnings:
                evidence["warnings"] = list(composed.warnings)
        acknowledgement = self._clients[delivery.destination].send(message, control_id, self._stop)
        self._ledger.record_acknowledgement(
            delivery.delivery_id, acknowledgement.code, acknowledgement.text, self._clock.now())
        if acknowledgement.code in ACCEPTED:
            return {**evidence, "acknowledgement": acknowledgement.code, "receiver": acknowledgement.receiver}
        said = f"'{delivery.destination}' answered {acknowledgement.code}; its own log says why"
        if acknowledgement.code in REJECTED:
            raise Refused(said)
        raise DestinationRefused(said)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _owed_since(self, delivery: DeliveryRecord) -> datetime:
        """The moment at which the study's age is judged. What was recent when it was promised stays owed while its deadline
        runs, also where the receiver was down for longer than MaxStudyAgeHours; later (a ledger that was put back from a
        backup) it is old. What a person asked to be sent again is owed anew."""
        now = self._clock.now()
        owed = now - delivery.owed_from <= timedelta(hours=self._settings.retry.deadline_hours)
        return delivery.created_at if owed else now

    def _why_not(self, delivery: DeliveryRecord, analysis: Analysis, answer: Answer, destination: RisDestination,
                 *, told: Answer | None) -> Suppressed | None:
        allowed = self._permission.to_alert(
            analysis, answer, destination.profile.answer_kinds, self._owed_since(delivery), alerted_before=told is not None)
        if not allowed.allowed:
            return Suppressed(allowed.reason, category=allowed.category)
        if self._ledger.retraction(analysis.analysis_id) is not None:
            return Suppressed("it was taken back before it was accepted")
        newer = self._overtaken(delivery, analysis, answer)
        return None if newer is None else Suppressed(newer)

    def _why_not_retracted(self, delivery: DeliveryRecord) -> Suppressed | None:
        """Nothing but a newer answer keeps it back: that bears the same order number, and stands."""
        record = self._ledger.analysis(delivery.analysis_id)
        if record is not None and told_newer(self._ledger, delivery.destination, record):
            return Suppressed("a newer analysis of the study was sent to it first")
        return None

    def _overtaken(self, delivery: DeliveryRecord, analysis: Analysis, answer: Answer) -> str | None:
        """Why an answer may no longer be sent though it was owed: the last word that a receiver gets must be the newest. A
        positive that was not tried yet gives way to a newer answer of the model alone, not to a study that cannot be
        analysed any more."""
        record = self._ledger.analysis(analysis.analysis_id)
        if record is None or record.superseded_by is None:
            return None
        if told_newer(self._ledger, delivery.destination, record):
            return "a newer analysis of the study was sent to it first"
        analysed = any(later.answer is not None and later.answer.kind.analysed for later in newer_analyses(self._ledger, record))
        if delivery.attempts == 0 and (analysed or answer.kind is not AnswerKind.POSITIVE):
            return "a newer analysis of the study superseded it before it was sent"
        return None

    def _head(self, analysis: Analysis) -> bytes:
        """Of the image that the results copy, without its pixels."""
        reference = self._references.head(analysis)
        if reference is None:
            raise Suppressed("the study was deleted before it could be alerted", category=Category.STUDY_DELETED)
        return read_instance(reference).head

    def _told_head(self, delivery: DeliveryRecord) -> bytes:
        """What the message that is taken back was made from: the patient may be another by now, and the images gone."""
        kept = self._ledger.message_header(delivery_id(delivery.destination, delivery.analysis_id, delivery.revision))
        if kept is None:
            raise Refused("nothing is kept of the message that it takes back; tell whoever runs the receiver")
        return kept

    def _alert(self, analysis: Analysis, answer: Answer, header: Dataset, control_id: str) -> Alert:
        model = model_of(self._models, analysis)
        if model is None or model.manifest is None:
            raise ModelMissing(f"the model '{analysis.model_id}' is not installed; install it again, and the alert goes out")
        site = self._settings.models.get(analysis.model_id)
        override = None if site is None else site.alert_override
        return Alert(
            analysis=analysis, answer=answer, manifest=model.manifest, patient_study=header,
            filler_order_number=filler_order_number(analysis.orthanc_study_id, analysis.model_id), control_id=control_id,
            created_at=self._clock.now(), revision=analysis.revision,
            kind=AlertKind.RESULT if answer.kind.analysed else AlertKind.NOT_ANALYSED,
            report_uid=self._report_uid(analysis), override=None if override is None else override.by)

    def _retracting(self, alert: Alert) -> Alert:
        retraction = self._ledger.retraction(alert.analysis.analysis_id)
        assert retraction is not None  # noqa: S101 - it was written down together with this delivery
        return replace(alert, kind=AlertKind(retraction.kind), cause=cause_of(retraction))

    def _report_uid(self, analysis: Analysis) -> str | None:
        return next((item.sop_instance_uid for item in self._ledger.objects(analysis.analysis_id)
                     if item.role == Role.REPORT), None)


def _telling(alert: Alert, replaces: Answer | None) -> Alert:
    return alert if replaces is None else replace(alert, kind=AlertKind.CORRECTION, replaces=replaces)
