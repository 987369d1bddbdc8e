"""Alerts and the people they are for, put together: the outboxes, the ladders, the channels, the desk and the links."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import timedelta
from zoneinfo import ZoneInfo

from vigil.delivery.escalation.link import PURPOSE, Claim, Links
from vigil.delivery.escalation.notice import Notice
from vigil.domain.clock import Clock
from vigil.inference.registry import InstalledModel
from vigil.pipeline.deliver import ALERT, Courier, ris_queue
from vigil.pipeline.desk import AlertDesk
from vigil.pipeline.engine import Task, Worker
from vigil.pipeline.escalate import ESCALATE, ESCALATION, NOTIFY, Escalations, people_queue
from vigil.pipeline.notify import Notices, Notifier
from vigil.pipeline.outbox import TURN, Outboxes
from vigil.pipeline.permission import Permission
from vigil.pipeline.promise import AlertPromises
from vigil.pipeline.reference import References
from vigil.records.audit import Audit
from vigil.records.entries import PersonAcknowledgement
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics


class People:
    def __init__(
        self, *, references: References, ledger: Ledger, audit: Audit, settings: Settings, permission: Permission,
        courier: Courier, models: Mapping[str, InstalledModel], sealer: Sealer, clock: Clock, stop: threading.Event, log: Log,
        metrics: Metrics,
    ) -> None:
        escalation = settings.escalation
        self.links = Links(sealer.derive(PURPOSE), escalation.link_base, timedelta(hours=escalation.link_hours))
        self.desk = AlertDesk(ledger, audit, clock)
        self.alerts = AlertPromises(references=references, ledger=ledger, clock=clock)
        self.escalations = Escalations(ledger=ledger, audit=audit, settings=settings, permission=permission, alerts=self.alerts,
                                       clock=clock, log=log)
        self.notices = Notices(references=references, settings=settings, models=models, links=self.links)
        self._outboxes = Outboxes(courier=courier, ledger=ledger, settings=settings, clock=clock)
        self._notifier = Notifier(ledger=ledger, audit=audit, settings=settings, notices=self.notices, desk=self.desk,
                                  clock=clock, stop=stop, log=log, metrics=metrics)
        self._settings = settings
        self._ledger = ledger
        self.clock = clock
        self.zone = ZoneInfo(settings.time_zone)

    def notice_of(self, claim: Claim) -> Notice | None:
        """What the page of a link says, which is what its message said."""
        critical, record = self._ledger.critical(claim.analysis_id), self._ledger.analysis(claim.analysis_id)
        if critical is None or record is None:
            return None
        return self.notices.make(critical, record, claim.step, claim.channel)

    def acknowledged_by(self, analysis_id: str) -> PersonAcknowledgement | None:
        return self._ledger.acknowledged_by(analysis_id)

    def workers(self) -> dict[str, Worker]:
        return {ALERT: self._outboxes.nudge, TURN: self._outboxes.turn, ESCALATE: self.escalations, NOTIFY: self._notifier}

    def queues(self) -> set[str]:
        escalation = self._settings.escalation
        return {ESCALATION, *map(ris_queue, self._settings.ris), *map(people_queue, (*escalation.mail, *escalation.webhooks))}

    def overdue(self) -> Iterable[Task]:
        """What people are owed and no task will do soon."""
        yield from self._outboxes.overdue()
        yield from self.escalations.overdue()

    def missing(self) -> list[str]:
        return self._notifier.missing()
