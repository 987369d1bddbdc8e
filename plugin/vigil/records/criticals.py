"""The critical results: found, told to people step by step, acknowledged by one of them, or held."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, delete, or_, select, update

from vigil.domain.answer import Reason
from vigil.records.database import insert_absent
from vigil.records.entries import OPEN, CriticalResult, Hold, Notification, PersonAcknowledgement
from vigil.records.errors import LedgerRefused
from vigil.records.part import LedgerPart, reason_columns, reason_of
from vigil.records.tables import critical_result, hold, notification, person_acknowledgement, used_link

NotificationState = Literal["waiting", "sent", "failed", "withheld"]


class Criticals(LedgerPart):
    def begin_critical(self, analysis_id: str, category: int | None, at: datetime, next_at: datetime | None = None) -> bool:
        """``next_at``: when its ladder is looked at first. Returns False where it was begun before."""
        with self._database.write() as connection:
            return insert_absent(connection, critical_result, {
                "analysis_id": analysis_id, "category": category, "found_at": at, "counted_from": at, "next_at": next_at,
                "state": OPEN})

    def critical(self, analysis_id: str) -> CriticalResult | None:
        with self._database.read() as connection:
            row = connection.execute(
                select(critical_result).where(critical_result.c.analysis_id == analysis_id)).one_or_none()
        return None if row is None else _critical(row)

    def criticals(self, states: Collection[str] | None = None, limit: int | None = None) -> list[CriticalResult]:
        """Newest first."""
        query = select(critical_result).order_by(critical_result.c.sequence.desc()).limit(limit)
        if states is not None:
            query = query.where(critical_result.c.state.in_(list(states)))
        with self._database.read() as connection:
            return [_critical(row) for row in connection.execute(query)]

    def criticals_named(self, beginning: str) -> list[CriticalResult]:
        """Those whose analysis id begins so, two at most: enough to tell one from several."""
        query = (select(critical_result).where(critical_result.c.analysis_id.startswith(beginning, autoescape=True))
                 .order_by(critical_result.c.sequence).limit(2))
        with self._database.read() as connection:
            return [_critical(row) for row in connection.execute(query)]

    def end_critical(self, analysis_id: str, at: datetime, reason: Reason) -> bool:
        """Nobody need be told any more. False where it had ended before."""
        with self._database.write() as connection:
            return connection.execute(
                update(critical_result)
                .where(critical_result.c.analysis_id == analysis_id, critical_result.c.state == OPEN)
                .values(state="ended", finished_at=at, **reason_columns("reason", reason))).rowcount == 1

    def reopen_critical(self, analysis_id: str, at: datetime) -> None:
        """What was held is let go: its ladder begins anew."""
        with self._database.write() as connection:
            connection.execute(
                update(critical_result).where(critical_result.c.analysis_id == analysis_id, critical_result.c.state == "ended")
                .values(state=OPEN, finished_at=None, counted_from=at, next_at=at, **reason_columns("reason", None)))

    def plan_critical(self, analysis_id: str, counted_from: datetime, next_at: datetime | None) -> None:
        """When its ladder is looked at next. ``counted_from`` changes where the clock was put back."""
        with self._database.write() as connection:
            connection.execute(update(critical_result).where(critical_result.c.analysis_id == analysis_id)
                               .values(counted_from=counted_from, next_at=next_at))

    def criticals_due(self, before: datetime, now: datetime) -> list[str]:
        """Open ones whose ladder should have been looked at before ``before``, or counts from a moment that is still to come: the
        clock was put back."""
        planned, counted_from = critical_result.c.next_at, critical_result.c.counted_from
        query = (select(critical_result.c.analysis_id)
                 .where(critical_result.c.state == OPEN, or_(planned < before, planned.is_not(None) & (counted_from > now)))
                 .order_by(planned))
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def climbing(self) -> list[tuple[CriticalResult, datetime]]:
        """Open ones whose ladder has not ended, each with the moment at which it is looked at next."""
        query = select(critical_result).where(critical_result.c.state == OPEN, critical_result.c.next_at.is_not(None))
        with self._database.read() as connection:
            return [(_critical(row), row.next_at) for row in connection.execute(query)]

    def promise_notification(
        self, analysis_id: str, step: int, channel: str, method: str, state: NotificationState, at: datetime,
        reason: Reason | None = None,
    ) -> bool:
        """One message to people, before its first attempt, or withheld. False where it was promised before."""
        with self._database.write() as connection:
            return insert_absent(connection, notification, {
                "analysis_id": analysis_id, "step": step, "channel": channel, "method": method, "state": state, "attempts": 0,
                "at": at, **reason_columns("reason", reason)})

    def record_notification(
        self, analysis_id: str, step: int, channel: str, state: NotificationState, at: datetime,
        *, reason: Reason | None = None, next_at: datetime | None = None, refused: bool = False,
    ) -> None:
        """Counts an attempt. What was sent stays so. ``refused``: the channel answered no."""
        ended = {} if state == "waiting" else {"at": at}
        with self._database.write() as connection:
            connection.execute(
                update(notification)
                .where(notification.c.analysis_id == analysis_id, notification.c.step == step,
                       notification.c.channel == channel, notification.c.state == "waiting")
                .values(state=state, next_at=next_at, attempts=notification.c.attempts + 1,
                        refusals=notification.c.refusals + int(refused), **ended,
                        **reason_columns("reason", reason)))

    def notification(self, analysis_id: str, step: int, channel: str) -> Notification | None:
        return next((item for item in self.notifications(analysis_id) if (item.step, item.channel) == (step, channel)), None)

    def waiting_notifications(self) -> list[Notification]:
        """Oldest first."""
        query = select(notification).where(notification.c.state == "waiting").order_by(notification.c.sequence)
        with self._database.read() as connection:
            return [_notification(row) for row in connection.execute(query)]

    def notifications(self, analysis_id: str) -> list[Notification]:
        """In the order of their first attempts."""
        query = select(notification).where(notification.c.analysis_id == analysis_id).order_by(notification.c.sequence)
        with self._database.read() as connection:
            return [_notification(row) for row in connection.execute(query)]

    def notified_since(self, moment: datetime, categories: Collection[int]) -> list[datetime]:
        """When messages about results of these categories were sent or promised, oldest first: what the budget counts."""
        query = (select(notification.c.at)
                 .join(critical_result, critical_result.c.analysis_id == notification.c.analysis_id)
                 .where(notification.c.state.in_(["sent", "waiting"]), notification.c.at > moment,
                        critical_result.c.category.in_(list(categories)))
                 .order_by(notification.c.at))
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def acknowledge(self, acknowledged: PersonAcknowledgement, link_id: str | None = None) -> bool:
        """A person has received the result: the first who says so counts. ``link_id``: of the link that was used, which works
        once. False where the result was acknowledged before, or the link used. Raises :class:`LedgerRefused` where there is no
        such result."""
        analysis_id = acknowledged.analysis_id
        with self._database.write() as connection:
            if connection.execute(
                    select(critical_result.c.sequence).where(critical_result.c.analysis_id == analysis_id)).one_or_none() is None:
                raise LedgerRefused(f"the ledger holds no alert {analysis_id}")
            if link_id is not None and not insert_absent(
                    connection, used_link, {"link_id": link_id, "used_at": acknowledged.at}):
                return False
            if not insert_absent(connection, person_acknowledgement, {
                    "analysis_id": analysis_id, "by": acknowledged.by, "method": acknowledged.method,
                    "channel": acknowledged.channel, "at": acknowledged.at}):
                return False
            connection.execute(
                update(critical_result).where(critical_result.c.analysis_id == analysis_id, critical_result.c.state == OPEN)
                .values(state="acknowledged", finished_at=acknowledged.at))
            return True

    def acknowledged_by(self, analysis_id: str) -> PersonAcknowledgement | None:
        query = select(person_acknowledgement).where(person_acknowledgement.c.analysis_id == analysis_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else PersonAcknowledgement(row.analysis_id, row.by, row.method, row.channel, row.at)

    def link_used(self, link_id: str) -> bool:
        with self._database.read() as connection:
            return connection.execute(select(used_link).where(used_link.c.link_id == link_id)).one_or_none() is not None

    def put_on_hold(self, subject: str, by: str, at: datetime) -> bool:
        """``subject``: an analysis, or a study whose final report is known. False where it is held already."""
        with self._database.write() as connection:
            return insert_absent(connection, hold, {"subject": subject, "by": by, "at": at})

    def release(self, subject: str) -> bool:
        with self._database.write() as connection:
            return connection.execute(delete(hold).where(hold.c.subject == subject)).rowcount == 1

    def held(self, subject: str) -> Hold | None:
        with self._database.read() as connection:
            row = connection.execute(select(hold).where(hold.c.subject == subject)).one_or_none()
        return None if row is None else Hold(row.subject, row.by, row.at)


def _critical(row: Row[Any]) -> CriticalResult:
    return CriticalResult(
        analysis_id=row.analysis_id, category=row.category, found_at=row.found_at, counted_from=row.counted_from,
        state=row.state, finished_at=row.finished_at, reason=reason_of(row, "reason"))


def _notification(row: Row[Any]) -> Notification:
    return Notification(
        analysis_id=row.analysis_id, step=row.step, channel=row.channel, method=row.method, state=row.state,
        attempts=row.attempts, at=row.at, next_at=row.next_at, reason=reason_of(row, "reason"), refusals=row.refusals)
