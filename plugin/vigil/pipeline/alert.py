"""The message of an analysis to one RIS, frozen and sealed before its first attempt: every attempt sends the same bytes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

from vigil.delivery.destination import RisDestination, ris_destination
from vigil.delivery.errors import DestinationRefused
from vigil.delivery.hl7.alert import Alert, AlertKind
from vigil.delivery.hl7.message import ComposedMessage, compose
from vigil.delivery.hl7.mllp import MllpClient
from vigil.domain.answer import Analysis, Answer, AnswerKind
from vigil.domain.clock import Clock
from vigil.domain.errors import Category
from vigil.domain.identity import filler_order_number, message_control_id
from vigil.inference.registry import InstalledModel
from vigil.intake.header import read_dataset
from vigil.pipeline.deliver import Refused, Suppressed
from vigil.pipeline.permission import ModelMissing, Permission
from vigil.pipeline.reference import References
from vigil.records.entries import DeliveryRecord
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
        control_id = message_control_id(delivery.destination, analysis.analysis_id, analysis.revision)
        accepted = self._ledger.acknowledgement(delivery.delivery_id)
        if accepted is not None and accepted.code in ACCEPTED:  # a kill fell between the acknowledgement and its record
            return {"control_id": control_id, "acknowledgement": accepted.code}
        told = self._told_before(delivery, analysis)
        allowed = self._permission.to_alert(
            analysis, answer, destination.profile.answer_kinds, self._owed_since(delivery),
            alerted_before=told is not None)
        if not allowed.allowed:
            raise Suppressed(allowed.reason, category=allowed.category)
        if (newer := self._overtaken(delivery, analysis, answer)) is not None:
            raise Suppressed(newer)
        message = self._ledger.message(delivery.delivery_id)
        evidence: dict[str, object] = {"control_id": control_id}
        if message is None:
            composed = self._compose(analysis, answer, destination, control_id, replaces=told)
            message = self._ledger.freeze_message(
                delivery.delivery_id, control_id, composed.content, self._clock.now())
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

    def _overtaken(self, delivery: DeliveryRecord, analysis: Analysis, answer: Answer) -> str | None:
        """Why an answer may no longer be sent though it was owed: the last word that a receiver gets must be the newest. A
        positive that was not tried yet gives way to a newer answer of the model alone, not to a study that cannot be
        analysed any more."""
        record = self._ledger.analysis(analysis.analysis_id)
        if record is None or record.superseded_by is None:
            return None
        analysed = False
        while record is not None and record.superseded_by is not None:
            newer = record.superseded_by
            if any(later.destination == delivery.destination and later.state != "suppressed"
                   and self._ledger.message(later.delivery_id) is not None for later in self._ledger.deliveries(newer)):
                return "a newer analysis of the study was sent to it first"
            record = self._ledger.analysis(newer)
            analysed = analysed or (record is not None and record.answer is not None and record.answer.kind.analysed)
        if delivery.attempts == 0 and (analysed or answer.kind is not AnswerKind.POSITIVE):
            return "a newer analysis of the study superseded it before it was sent"
        return None

    def _told_before(self, delivery: DeliveryRecord, analysis: Analysis) -> Answer | None:
        """The answer that this destination was told last, or may have been, of the analyses that this one supersedes."""
        before = analysis.predecessor_id
        while before is not None:
            record = self._ledger.analysis(before)
            if record is not None and record.answer is not None and any(
                    earlier.destination == delivery.destination and earlier.state != "suppressed"
                    and self._ledger.message(earlier.delivery_id) is not None for earlier in self._ledger.deliveries(before)):
                return record.answer
            before = None if record is None else record.analysis.predecessor_id
        return None

    def _compose(
        self, analysis: Analysis, answer: Answer, destination: RisDestination, control_id: str, *, replaces: Answer | None,
    ) -> ComposedMessage:
        model = self._models.get(analysis.model_id)
        if model is None or model.manifest is None:
            raise ModelMissing(f"the model '{analysis.model_id}' is not installed; install it again, and the alert goes out")
        reference = self._references.head(analysis)
        if reference is None:
            raise Suppressed("the study was deleted before it could be alerted", category=Category.STUDY_DELETED)
        kind = AlertKind.RESULT if answer.kind.analysed else AlertKind.NOT_ANALYSED
        override = self._settings.models[analysis.model_id].alert_override
        return compose(Alert(
            analysis=analysis, answer=answer, manifest=model.manifest, patient_study=read_dataset(reference),
            filler_order_number=filler_order_number(analysis.orthanc_study_id, analysis.model_id), control_id=control_id,
            created_at=self._clock.now(), revision=analysis.revision,
            kind=kind if replaces is None else AlertKind.CORRECTION, replaces=replaces,
            report_uid=self._report_uid(analysis), override=None if override is None else override.by), destination.profile)

    def _report_uid(self, analysis: Analysis) -> str | None:
        return next((item.sop_instance_uid for item in self._ledger.objects(analysis.analysis_id)
                     if item.role == Role.REPORT), None)
