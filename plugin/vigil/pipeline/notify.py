"""One attempt at one message to people: by mail, or to a webhook whose answer may acknowledge."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from vigil.delivery.connection import read_secret
from vigil.delivery.errors import DestinationBusy, DestinationInvalid, DestinationRefused
from vigil.delivery.escalation.errors import NameInvalid
from vigil.delivery.escalation.link import Links
from vigil.delivery.escalation.notice import Notice, webhook_object
from vigil.delivery.escalation.person import staff_name
from vigil.delivery.mail import MailServer, mail, send_mail
from vigil.delivery.webhook import Webhook, post
from vigil.domain.answer import Answer, Finding, Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category, Stopping, VigilError
from vigil.domain.identity import digest
from vigil.domain.manifest import RegulatoryStatus
from vigil.inference.registry import InstalledModel
from vigil.intake.header import read_dataset
from vigil.pipeline.desk import AlertDesk
from vigil.pipeline.engine import Verdict
from vigil.pipeline.escalate import notify_task
from vigil.pipeline.outbox import why_held
from vigil.pipeline.reference import References
from vigil.pipeline.retract import cause_of
from vigil.pipeline.retry import Backoff
from vigil.pipeline.roster import model_of
from vigil.pipeline.told import newest_answer
from vigil.records.audit import Audit
from vigil.records.criticals import NotificationState
from vigil.records.entries import OPEN, WITHDRAWAL, AnalysisRecord, CriticalResult, Notification, Retraction
from vigil.records.ledger import Ledger
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

URGENT_LONGEST_PAUSE_S = 30.0
LONGEST_TEXT = 120


class Notices:
    """What is said of an alert: in a message, and on the page of its link."""

    def __init__(self, *, references: References, settings: Settings, models: Mapping[str, InstalledModel], links: Links) -> None:
        self._references = references
        self._content = settings.escalation.content
        self._zone = ZoneInfo(settings.time_zone)
        self._models = models
        self._links = links

    def make(self, critical: CriticalResult, record: AnalysisRecord, step: int, channel: str,
             retraction: Retraction | None = None, newer: Answer | None = None) -> Notice:
        """``newer``: of a withdrawal, what replaced the answer."""
        content, answer = self._content, record.answer
        accession, description = self._of_study(record) if content.accession_number or content.study_description else (None, None)
        model = model_of(self._models, record.analysis)
        findings = () if answer is None else answer.grave_findings
        stands = () if answer is None or newer is None else tuple(
            item for item in findings if answer.stands_in(newer, item.concept))
        return Notice(
            alert_id=critical.analysis_id, category=critical.category, found_at=critical.found_at, zone=self._zone,
            withdrawn=step == WITHDRAWAL, in_part=bool(stands),
            withdrawn_because=None if retraction is None else cause_of(retraction),
            research=model is not None and model.manifest is not None
            and model.manifest.regulatory.status is RegulatoryStatus.RESEARCH,
            finding=_named(item for item in findings if item not in stands) if content.finding else None,
            stands=_named(stands) if content.finding else None,
            accession_number=accession if content.accession_number else None,
            study_description=description if content.study_description else None,
            link=None if step == WITHDRAWAL else self._links.make(critical.analysis_id, step, channel, critical.found_at))

    def _of_study(self, record: AnalysisRecord) -> tuple[str | None, str | None]:
        reference = self._references.head(record.analysis)
        if reference is None:
            return None, None
        header = read_dataset(reference)
        accession, description = (" ".join(str(header.get(keyword) or "").split())[:LONGEST_TEXT] or None
                                  for keyword in ("AccessionNumber", "StudyDescription"))
        return accession, description


def _named(findings: Iterable[Finding]) -> str | None:
    return ", ".join(item.concept.meaning for item in findings) or None


class Notifier:
    """The worker of every channel's queue."""

    def __init__(
        self, *, ledger: Ledger, audit: Audit, settings: Settings, notices: Notices, desk: AlertDesk, clock: Clock,
        stop: threading.Event, log: Log, metrics: Metrics,
    ) -> None:
        self._ledger = ledger
        self._audit = audit
        self._settings = settings
        self._mail = {name: MailServer(name, each) for name, each in settings.escalation.mail.items()}
        self._webhooks = {name: Webhook(name, each) for name, each in settings.escalation.webhooks.items()}
        self._backoff = Backoff(settings.retry.first_delay_seconds, settings.retry.maximum_delay_seconds)
        self._notices = notices
        self._desk = desk
        self._clock = clock
        self._stop = stop
        self._log = log
        self._metrics = metrics

    def missing(self) -> list[str]:
        """Channels that could send nothing, in words."""
        secrets = [(server.label, server.settings.password_file, server.settings.password_variable)
                   for server in self._mail.values() if server.settings.user is not None]
        secrets += [(webhook.label, webhook.settings.secret_file, webhook.settings.secret_variable)
                    for webhook in self._webhooks.values()]
        found = []
        for label, file, variable in secrets:
            try:
                read_secret(label, file, variable)
            except DestinationInvalid as error:
                found.append(error.message)
        return found

    def __call__(self, subject: str, attempt: int) -> Verdict:
        """``subject``: analysis id, step and channel."""
        analysis_id, step, channel = subject.split("|", 2)
        note = self._ledger.notification(analysis_id, int(step), channel)
        critical, record = self._ledger.critical(analysis_id), self._ledger.analysis(analysis_id)
        if note is None or note.state != "waiting" or critical is None or record is None:
            return Verdict()
        log = self._log.bind(correlation_id=record.analysis.correlation_id, analysis=analysis_id, channel=channel, step=note.step)
        if (why := self._why_not(note, critical)) is not None:
            self._finish(note, "withheld", log, why)
            return Verdict()
        try:
            acknowledged_by = self._send(note, critical, record)
        except Stopping:
            return Verdict(retry_after_s=1.0)
        except VigilError as error:
            return self._again(note, critical, error, log)
        except Exception as error:  # noqa: BLE001 - the workflow's edge: a fault of ours is shown, and the other channels go on
            log.error("notification-broke", exception=error)
            text = f"a fault in the software ({type(error).__name__}); see the log"
            return self._again(note, critical, DestinationRefused(text, category=Category.INTERNAL), log)
        self._finish(note, "sent", log)
        if acknowledged_by is not None:
            self._take_answer(note, acknowledged_by, log)
        return Verdict()

    def _send(self, note: Notification, critical: CriticalResult, record: AnalysisRecord) -> str | None:
        """The name of who acknowledges, where a webhook's answer says so."""
        message_id = digest("notice", note.analysis_id, str(note.step), note.channel)[:32]
        retraction = self._ledger.retraction(note.analysis_id)
        newer = None if retraction is not None or note.step != WITHDRAWAL else newest_answer(self._ledger, record)
        notice = self._notices.make(critical, record, note.step, note.channel, retraction, newer)
        server = self._mail.get(note.channel)
        if server is not None:
            send_mail(server, mail(notice, message_id, self._clock.now(), server.settings.sender, server.settings.to), self._stop)
            return None
        webhook = self._webhooks.get(note.channel)
        if webhook is None:
            raise DestinationRefused(f"'{note.channel}' is no longer in the settings")
        answer = post(webhook, webhook_object(notice, message_id), self._clock.now(), self._stop)
        return None if note.step == WITHDRAWAL else answer

    def _why_not(self, note: Notification, critical: CriticalResult) -> Reason | None:
        """Asked again before every attempt: somebody may have acknowledged in the meantime."""
        if note.step == WITHDRAWAL:
            return None
        if critical.state != OPEN:
            return Reason(Category.POLICY, "the alert was acknowledged before it was sent" if critical.state == "acknowledged"
                          else "the alert had ended before it was sent")
        return why_held(self._ledger, note.analysis_id, self._settings.escalation.hold_when_reported)

    def _take_answer(self, note: Notification, name: str, log: Log) -> None:
        try:
            self._desk.acknowledge(note.analysis_id, staff_name(name), "webhook", channel=note.channel)
        except NameInvalid:
            log.warning("acknowledgement-without-a-name")

    def _again(self, note: Notification, critical: CriticalResult, error: VigilError, log: Log) -> Verdict:
        now, retry = self._clock.now(), self._settings.retry
        reason = Reason(error.category, error.message)
        refused = isinstance(error, DestinationRefused | DestinationInvalid) and not isinstance(error, DestinationBusy)
        self._metrics.delivery_failed(note.channel, reason.category.value)
        if (refused and note.refusals + 1 >= retry.refused_attempts) or now - note.at > timedelta(hours=retry.deadline_hours):
            self._finish(note, "failed", log, reason, refused=refused)
            return Verdict()
        pause_s = retry.maximum_delay_seconds if refused else self._backoff.delay_s(note.attempts + 1)
        if critical.category == 1:
            pause_s = min(pause_s, URGENT_LONGEST_PAUSE_S)
        due: datetime = now + timedelta(seconds=pause_s)
        self._record(note, "waiting", reason, due, refused=refused)
        log.warning("notification-waits", category=reason.category.value)
        return Verdict(follow=(notify_task(note, due, now),))

    def _finish(self, note: Notification, state: NotificationState, log: Log, reason: Reason | None = None, *,
                refused: bool = False) -> None:
        self._record(note, state, reason, None, refused=refused)
        self._audit.append(f"notification-{state}", note.analysis_id, actor="vigil", role="system", evidence={
            "step": note.step, "channel": note.channel, "method": note.method,
            "reason": None if reason is None else reason.category.value})
        self._metrics.notification_ended(note.channel, state)
        log.info(f"notification-{state}", category=None if reason is None else reason.category.value)

    def _record(self, note: Notification, state: NotificationState, reason: Reason | None, next_at: datetime | None, *,
                refused: bool) -> None:
        self._ledger.record_notification(note.analysis_id, note.step, note.channel, state, self._clock.now(), reason=reason,
                                         next_at=next_at, refused=refused)
