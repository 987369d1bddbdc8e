"""What is due when: the steps of a ladder, quiet hours and the budget, over one moment. No clock, no network.

Category 1 (ACR: to be communicated within minutes) knows neither quiet hours nor a budget. That is written here once and cannot
be configured away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum

UNBOUND = 1
"""The category that nothing holds back."""
BUDGETED = (2, 3)
CLOCK_TOLERANCE = timedelta(seconds=5)


class Overflow(StrEnum):
    """What becomes of a message for which the budget has no room."""

    WAIT = "wait"
    WITHHOLD = "withhold"


@dataclass(frozen=True)
class Step:
    after: timedelta
    tell: tuple[str, ...]


@dataclass(frozen=True)
class QuietHours:
    """Every day from ``begin`` to ``end`` (which may be past midnight) in ``zone``."""

    begin: time
    end: time
    zone: tzinfo
    categories: frozenset[int]

    def over_at(self, moment: datetime) -> datetime:
        """``moment``, or the end of the quiet hours that it falls into."""
        local = moment.astimezone(self.zone)
        clock = local.time().replace(tzinfo=None)
        begun, ended = clock >= self.begin, clock >= self.end
        if not (begun and not ended if self.begin < self.end else begun or not ended):
            return moment
        day = local.date() if clock < self.end else local.date() + timedelta(days=1)
        return max(moment, datetime.combine(day, self.end, self.zone).astimezone(moment.tzinfo))


@dataclass(frozen=True)
class Budget:
    """At most ``messages`` in any span of ``per``."""

    messages: int
    per: timedelta
    overflow: Overflow

    def room_at(self, sent: Sequence[datetime], now: datetime) -> datetime:
        """``now`` where there is room for one more, else the moment from which there is."""
        counted = sorted(moment for moment in sent if now - self.per < moment <= now)
        if len(counted) < self.messages:
            return now
        return max(now, counted[-self.messages] + self.per)


@dataclass(frozen=True)
class Rules:
    """The site's: ``ladders`` by category. ``latest``: a step that is later than this is not made any more."""

    ladders: Mapping[int, tuple[Step, ...]]
    latest: timedelta
    quiet_hours: QuietHours | None = None
    budget: Budget | None = None


@dataclass(frozen=True)
class Message:
    """One message of one step, by one channel."""

    step: int
    channel: str


@dataclass(frozen=True)
class Withheld:
    message: Message
    reason: str


@dataclass(frozen=True)
class Plan:
    """``due``: to be sent now. ``next_at``: when to plan again, None where the ladder has ended. ``counted_from``: from where its
    steps count, the present where the clock was put back."""

    counted_from: datetime
    due: tuple[Message, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    next_at: datetime | None = None
    deferred: Mapping[Message, str] = field(default_factory=dict)


def plan(
    rules: Rules, category: int | None, counted_from: datetime, done: Set[Message], sent: Sequence[datetime], now: datetime,
) -> Plan:
    """What is due of an alert that nobody has acknowledged.

    ``done``: its messages that were sent, are being sent or were withheld. ``sent``: when messages that the budget counts were
    sent, of all alerts.
    """
    if counted_from > now + CLOCK_TOLERANCE:
        counted_from = now
    due: list[Message] = []
    withheld: list[Withheld] = []
    deferred: dict[Message, str] = {}
    looks: list[datetime] = []
    counted = list(sent)
    for number, step in enumerate(rules.ladders.get(category or 0, ())):
        for message in (Message(number, name) for name in step.tell):
            if message in done:
                continue
            reached = counted_from + step.after
            if reached > now:
                looks.append(reached)
            elif now - _allowed_at(rules, category, reached) > rules.latest:
                withheld.append(Withheld(message, "its time had long passed (a restored backup, a long stop)"))
            elif (open_at := _allowed_at(rules, category, now)) > now:
                deferred[message] = "quiet hours"
                looks.append(open_at)
            elif (room_at := _room_at(rules, category, counted, now)) > now:
                assert rules.budget is not None  # noqa: S101 - else there is room
                if rules.budget.overflow is Overflow.WITHHOLD:
                    withheld.append(Withheld(message, "the budget of messages is used up"))
                else:
                    deferred[message] = "the budget of messages is used up"
                    looks.append(room_at)
            else:
                due.append(message)
                counted.append(now)
    return Plan(counted_from, tuple(due), tuple(withheld), min(looks, default=None), deferred)


def _allowed_at(rules: Rules, category: int | None, moment: datetime) -> datetime:
    quiet = rules.quiet_hours
    if category == UNBOUND or quiet is None or category not in quiet.categories:
        return moment
    return quiet.over_at(moment)


def _room_at(rules: Rules, category: int | None, sent: Sequence[datetime], now: datetime) -> datetime:
    if category == UNBOUND or rules.budget is None:
        return now
    return rules.budget.room_at(sent, now)
