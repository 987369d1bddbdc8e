"""Climbs the ladder of an alert that nobody acknowledges: decides what is due, and promises each message to its own channel.

It never waits and never talks to a network: a mail server that is down holds up no other channel and no other alert. What must
wait is a task that bears its moment in its id; the ledger keeps that moment too, so that a lost task is found.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from vigil.delivery.escalation.ladder import (
    BUDGETED,
    CLOCK_TOLERANCE,
    Budget,
    Message,
    Overflow,
    Plan,
    QuietHours,
    Rules,
    Step,
    plan,
)
from vigil.delivery.policy import gravest_category
from vigil.domain.answer import AnswerKind, Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category
from vigil.pipeline.engine import Task, Verdict
from vigil.pipeline.outbox import KICK_EVERY_S, OVERDUE_S, why_held
from vigil.pipeline.permission import ModelMissing, Permission
from vigil.pipeline.promise import AlertPromises
from vigil.pipeline.told import goes_on
from vigil.records.audit import Audit
from vigil.records.entries import OPEN, WITHDRAWAL, AnalysisRecord, CriticalResult, Notification
from vigil.records.ledger import Ledger
from vigil.settings import EscalationSettings, Settings
from vigil.settings.escalation import CATEGORIES
from vigil.telemetry.logs import Log

ESCALATE = "escalate"
NOTIFY = "notify"
ESCALATION = "escalation"
MODEL_RETRY_S = 60.0


def people_queue(channel: str) -> str:
    return f"people-{channel}"


def notify_task(note: Notification, at: datetime, now: datetime) -> Task:
    """The attempt at a message that is due ``at``: its moment is its number, so it is enqueued once, whoever asks."""
    return Task(NOTIFY, f"{note.analysis_id}|{note.step}|{note.channel}", people_queue(note.channel),
                attempt=int(at.timestamp() * 1000), delay_s=max(0.0, (at - now).total_seconds()))


def rules_of(settings: EscalationSettings, zone: ZoneInfo, latest: timedelta) -> Rules:
    quiet, budget = settings.quiet_hours, settings.budget
    return Rules(
        ladders={category: tuple(Step(timedelta(minutes=step.after_minutes), step.tell)
                                 for step in settings.ladders.of(category)) for category in CATEGORIES},
        latest=latest,
        quiet_hours=None if quiet is None else QuietHours(
            datetime.strptime(quiet.begin, "%H:%M").time(), datetime.strptime(quiet.end, "%H:%M").time(), zone,
            frozenset(quiet.categories)),
        budget=None if budget is None else Budget(
            budget.messages, timedelta(hours=budget.per_hours), Overflow(budget.overflow)))


class Escalations:
    """The worker of the escalation queue, and where a critical result begins and ends."""

    def __init__(
        self, *, ledger: Ledger, audit: Audit, settings: Settings, permission: Permission, alerts: AlertPromises, clock: Clock,
        log: Log,
    ) -> None:
        self._ledger = ledger
        self._audit = audit
        self._settings = settings
        self._rules = rules_of(settings.escalation, ZoneInfo(settings.time_zone), timedelta(hours=settings.max_study_age_hours))
        self._permission = permission
        self._alerts = alerts
        self._clock = clock
        self._log = log
        self._kicked: dict[str, float] = {}
        self._looked: tuple[float, datetime] | None = None

    def begin(self, record: AnalysisRecord) -> list[Task]:
        """Of an analysis whose results are stored: its own ladder, where people are to be told; a look at every earlier result of
        the study that it replaces; and the newer answer for each RIS that a step had told."""
        now, tasks = self._clock.now(), []
        before, told = self._predecessor(record), set()
        while before is not None:
            earlier = before.analysis.analysis_id
            if self._ledger.critical(earlier) is not None:
                tasks.append(self._task(earlier, now, now))
                told |= {note.channel for note in self._ledger.notifications(earlier) if note.method == "hl7"}
            before = self._predecessor(before)
        tasks += [self._alerts.promise(record, name) for name in sorted(told) if name in self._settings.ris]
        analysis, answer = record.analysis, record.answer
        before = self._predecessor(record)
        if before is not None and self._ledger.critical(before.analysis.analysis_id) is not None and goes_on(before, record):
            return tasks
        if answer is None or answer.kind is not AnswerKind.POSITIVE or not self._allowed(record, now):
            return tasks
        if self._ledger.retraction(analysis.analysis_id) is not None:
            return tasks
        category = gravest_category(answer)
        climbs = bool(self._rules.ladders.get(category or 0))
        if self._ledger.begin_critical(analysis.analysis_id, category, now, now if climbs else None):
            self._audit.append("critical-found", analysis.analysis_id, actor="vigil", role="system",
                               evidence={"category": category})
        return [*tasks, Task(ESCALATE, analysis.analysis_id, ESCALATION)] if climbs else tasks

    def __call__(self, subject: str, attempt: int) -> Verdict:
        """``subject``: an analysis id."""
        critical, record = self._ledger.critical(subject), self._ledger.analysis(subject)
        if critical is None or record is None:
            return Verdict()
        newer = self._replaced_by(record)
        if newer is not None:
            return Verdict(follow=tuple(self._withdraw(critical, newer)))
        if critical.state != OPEN:
            return Verdict()
        try:
            why = self._why_ended(critical, record)
        except ModelMissing:
            return Verdict(retry_after_s=MODEL_RETRY_S)
        if why is not None:
            self._end(critical, why)
            return Verdict()
        return Verdict(follow=tuple(self._climb(critical, record)))

    def overdue(self) -> Iterable[Task]:
        """Ladders whose look is overdue: its task was lost, or the clock was put back. Messages likewise."""
        now = self._clock.now()
        self._follow_the_clock(now)
        early = now - timedelta(seconds=OVERDUE_S)
        for subject in self._ledger.criticals_due(early, now + CLOCK_TOLERANCE):
            if self._may_kick(subject):
                yield self._task(subject, now, now)
        latest = now + timedelta(seconds=self._settings.retry.maximum_delay_seconds) + CLOCK_TOLERANCE
        for note in self._ledger.waiting_notifications():
            due = note.next_at or note.at
            if not early < due < latest and self._may_kick(f"{note.analysis_id}|{note.step}|{note.channel}"):
                yield notify_task(note, now, now)

    def _follow_the_clock(self, now: datetime) -> None:
        """A clock that was put back since the last look takes the ladders with it, or they would stand still for that long. One
        that jumped ahead does not: it may be a machine that slept."""
        before, self._looked = self._looked, (time.monotonic(), now)
        if before is None:
            return
        back = (now - before[1]) - timedelta(seconds=self._looked[0] - before[0])
        if back >= -CLOCK_TOLERANCE:
            return
        self._log.warning("clock-put-back", seconds=-back.total_seconds())
        for critical, next_at in self._ledger.climbing():
            self._ledger.plan_critical(critical.analysis_id, critical.counted_from + back, next_at + back)

    def _may_kick(self, subject: str) -> bool:
        now = time.monotonic()
        self._kicked = {name: at for name, at in self._kicked.items() if now - at < KICK_EVERY_S}
        return self._kicked.setdefault(subject, now) == now

    def _climb(self, critical: CriticalResult, record: AnalysisRecord) -> Iterable[Task]:
        now = self._clock.now()
        done = {Message(note.step, note.channel) for note in self._ledger.notifications(critical.analysis_id)}
        per = None if self._rules.budget is None else self._rules.budget.per
        sent = [] if per is None else self._ledger.notified_since(now - per, BUDGETED)
        planned = plan(self._rules, critical.category, critical.counted_from, done, sent, now)
        yield from self._promise(critical, record, planned, now)
        self._ledger.plan_critical(critical.analysis_id, planned.counted_from, planned.next_at)
        if planned.next_at is not None:
            yield self._task(critical.analysis_id, planned.next_at, now)

    def _promise(self, critical: CriticalResult, record: AnalysisRecord, planned: Plan, now: datetime) -> Iterable[Task]:
        subject = critical.analysis_id
        log = self._log.bind(correlation_id=record.analysis.correlation_id, analysis=subject)
        for item in planned.withheld:
            reason = Reason(Category.POLICY, item.reason)
            step, channel = item.message.step, item.message.channel
            if self._ledger.promise_notification(subject, step, channel, self._method(channel), "withheld", now, reason):
                self._audit.append("notification-withheld", subject, actor="vigil", role="system", evidence={
                    "step": step, "channel": channel, "reason": item.reason})
                log.warning("notification-withheld", step=step, channel=channel)
        for message, reason_text in planned.deferred.items():
            log.info("notification-deferred", step=message.step, channel=message.channel, why=reason_text)
        for message in planned.due:
            if message.channel in self._settings.ris:  # its own outbox brings it, and tells what became of it
                yield self._alerts.promise(record, message.channel)
                self._ledger.promise_notification(subject, message.step, message.channel, "hl7", "sent", now)
            else:
                self._ledger.promise_notification(
                    subject, message.step, message.channel, self._method(message.channel), "waiting", now)
            log.info("step-due", step=message.step, channel=message.channel)
        yield from self._untried(subject, now)

    def _withdraw(self, critical: CriticalResult, newer: AnalysisRecord) -> Iterable[Task]:
        """Whoever was told of a positive is told when it, or one of its several, no longer stands. A newer positive is told of by
        its own ladder."""
        now, subject = self._clock.now(), critical.analysis_id
        if critical.state == OPEN:
            self._end(critical, Reason(Category.POLICY, "a newer analysis of the study superseded it"))
        told = self._ledger.analysis(subject)
        if told is None or told.answer is None or newer.answer is None or not told.answer.withdrawn_by(newer.answer):
            return
        for note in self._ledger.notifications(subject):
            if note.state == "sent" and note.method != "hl7":
                self._ledger.promise_notification(subject, WITHDRAWAL, note.channel, note.method, "waiting", now)
        yield from self._untried(subject, now)

    def _untried(self, subject: str, now: datetime) -> Iterable[Task]:
        """Also those whose tasks a kill swallowed between the ledger and the workflow store: to enqueue them again is nothing."""
        for note in self._ledger.notifications(subject):
            if note.state == "waiting" and note.attempts == 0:
                yield notify_task(note, note.at, now)

    def _why_ended(self, critical: CriticalResult, record: AnalysisRecord) -> Reason | None:
        """Why nobody need be told any more."""
        if record.state == "ended-study-deleted" and self._settings.deleted_studies == "withhold":
            return Reason(Category.STUDY_DELETED, "the study was deleted from Orthanc")
        held = why_held(self._ledger, critical.analysis_id, self._settings.escalation.hold_when_reported)
        if held is not None:
            return held
        if record.answer is None or self._allowed(record, critical.found_at):
            return None
        return Reason(Category.POLICY, "the model may no longer alert at this site")

    def _allowed(self, record: AnalysisRecord, at: datetime) -> bool:
        """Whether people may be told of it at all: the same question that is asked before every alert. Age is judged at the time
        of the finding; a step that comes too late is the plan's to withhold."""
        assert record.answer is not None  # noqa: S101 - its callers look
        return self._permission.to_alert(
            record.analysis, record.answer, frozenset({AnswerKind.POSITIVE}), at, alerted_before=False).allowed

    def _end(self, critical: CriticalResult, reason: Reason) -> None:
        if self._ledger.end_critical(critical.analysis_id, self._clock.now(), reason):
            self._audit.append("critical-ended", critical.analysis_id, actor="vigil", role="system",
                               evidence={"reason": reason.text})
            self._log.info("critical-ended", analysis=critical.analysis_id, category=reason.category.value)

    def _predecessor(self, record: AnalysisRecord) -> AnalysisRecord | None:
        before = record.analysis.predecessor_id
        return None if before is None else self._ledger.analysis(before)

    def _replaced_by(self, record: AnalysisRecord) -> AnalysisRecord | None:
        """The newest later analysis of the study in which the model answered: one that could not be made replaces nothing, nor
        does one that was kept in the shadow, that leaves open what this one had found, or that says it of the same images
        again."""
        found, newer = None, record.superseded_by
        while newer is not None:
            later = self._ledger.analysis(newer)
            if later is None:
                break
            if later.answer is not None and later.answer.kind.analysed and later.analysis.stage != "shadow" and not (
                    record.answer is not None and record.answer.not_judged_again_by(later.answer)) and not goes_on(record, later):
                found = later
            newer = later.superseded_by
        return found

    def _method(self, channel: str) -> str:
        if channel in self._settings.ris:
            return "hl7"
        return "mail" if channel in self._settings.escalation.mail else "webhook"

    def _task(self, subject: str, at: datetime, now: datetime) -> Task:
        return Task(ESCALATE, subject, ESCALATION, attempt=int(at.timestamp() * 1000),
                    delay_s=max(0.0, (at - now).total_seconds()))
