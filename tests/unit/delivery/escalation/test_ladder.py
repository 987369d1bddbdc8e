"""What is due when. Over random sites, times and histories: nothing ever holds category 1 back."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.delivery.escalation.ladder import Budget, Message, Overflow, Plan, QuietHours, Rules, Step, Withheld, plan

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEPS = (Step(5 * MINUTE, ("mail",)), Step(15 * MINUTE, ("pager", "ris2")))
NIGHT = QuietHours(time(22), time(6, 30), BERLIN, frozenset({2, 3}))
LADDERS = {1: STEPS, 2: STEPS, 3: STEPS}


def rules(**changes: object) -> Rules:
    return Rules(**{"ladders": LADDERS, "latest": DAY, **changes})  # type: ignore[arg-type]


def at(moment: datetime, *, category: int = 1, done: set[Message] | None = None, sent: tuple[datetime, ...] = (),
       of: Rules | None = None, counted_from: datetime = NOON) -> Plan:
    return plan(of or rules(), category, counted_from, done or set(), sent, moment)


def test_each_step_is_due_after_its_time_and_once() -> None:
    assert at(NOON) == Plan(NOON, next_at=NOON + 5 * MINUTE)
    first = at(NOON + 5 * MINUTE)
    assert (first.due, first.next_at) == ((Message(0, "mail"),), NOON + 15 * MINUTE)
    second = at(NOON + 15 * MINUTE, done={Message(0, "mail")})
    assert (second.due, second.next_at) == ((Message(1, "pager"), Message(1, "ris2")), None)
    assert at(NOON + HOUR, done={Message(0, "mail"), Message(1, "pager"), Message(1, "ris2")}) == Plan(NOON)


def test_what_was_missed_is_made_up_for() -> None:
    assert at(NOON + HOUR).due == (Message(0, "mail"), Message(1, "pager"), Message(1, "ris2"))


def test_a_category_without_a_ladder_tells_nobody() -> None:
    assert at(NOON + HOUR, of=rules(ladders={1: STEPS}), category=2) == Plan(NOON)
    assert plan(rules(), None, NOON, set(), (), NOON + HOUR) == Plan(NOON)


@pytest.mark.parametrize(("hour", "minute", "end_day", "quiet"), [
    (21, 59, 26, False), (22, 0, 27, True), (23, 59, 27, True), (6, 29, 26, True), (6, 30, 26, False), (12, 0, 26, False),
])
def test_quiet_hours_past_midnight_in_the_site_s_zone(hour: int, minute: int, end_day: int, quiet: bool) -> None:
    moment = datetime(2026, 11, 26, hour, minute, tzinfo=BERLIN)
    end = datetime(2026, 11, end_day, 6, 30, tzinfo=BERLIN)
    assert NIGHT.over_at(moment.astimezone(UTC)) == (end if quiet else moment)


def test_quiet_hours_within_a_day() -> None:
    lunch = QuietHours(time(12), time(13), BERLIN, frozenset({2}))
    assert lunch.over_at(datetime(2026, 11, 26, 12, 30, tzinfo=BERLIN)) == datetime(2026, 11, 26, 13, 0, tzinfo=BERLIN)
    for hour in (11, 13, 23):
        moment = datetime(2026, 11, 26, hour, 0, tzinfo=BERLIN)
        assert lunch.over_at(moment) == moment


def test_a_night_of_the_change_of_clocks_ends_at_its_time_of_day() -> None:
    for day, offset_h in ((datetime(2026, 3, 29), 2), (datetime(2026, 10, 25), 1)):
        end = NIGHT.over_at((day - HOUR).replace(tzinfo=BERLIN).astimezone(UTC))
        assert end.astimezone(UTC) == (day + 6 * HOUR + 30 * MINUTE - offset_h * HOUR).replace(tzinfo=UTC)


def test_a_step_in_the_quiet_hours_waits_for_their_end_but_not_of_category_1() -> None:
    evening = datetime(2026, 11, 26, 23, 0, tzinfo=BERLIN).astimezone(UTC)
    end = datetime(2026, 11, 27, 6, 30, tzinfo=BERLIN)
    waits = at(evening + 5 * MINUTE, category=2, of=rules(quiet_hours=NIGHT), counted_from=evening)
    assert (waits.due, waits.next_at) == ((), evening + 15 * MINUTE)
    assert waits.deferred == {Message(0, "mail"): "quiet hours"}
    assert at(evening + HOUR, category=3, of=rules(quiet_hours=NIGHT), counted_from=evening).next_at == end
    assert at(evening + 5 * MINUTE, of=rules(quiet_hours=NIGHT), counted_from=evening).due == (Message(0, "mail"),)


def test_a_full_budget_waits_until_there_is_room() -> None:
    of = rules(budget=Budget(2, HOUR, Overflow.WAIT))
    sent = (NOON - 50 * MINUTE, NOON - 10 * MINUTE)
    full = at(NOON + 6 * MINUTE, category=2, of=of, sent=sent)
    assert (full.due, full.next_at, full.withheld) == ((), NOON + 10 * MINUTE, ())
    assert at(NOON + 10 * MINUTE, category=2, of=of, sent=sent).due == (Message(0, "mail"),)


def test_messages_of_one_plan_use_the_budget_up_too() -> None:
    planned = at(NOON + HOUR, category=2, of=rules(budget=Budget(2, HOUR, Overflow.WAIT)))
    assert (planned.due, planned.next_at) == ((Message(0, "mail"), Message(1, "pager")), NOON + 2 * HOUR)


def test_a_full_budget_may_withhold_and_says_so() -> None:
    planned = at(NOON + 6 * MINUTE, category=3, of=rules(budget=Budget(1, HOUR, Overflow.WITHHOLD)), sent=(NOON,))
    assert planned.withheld == (Withheld(Message(0, "mail"), "the budget of messages is used up"),)
    assert planned.due == ()


def test_after_a_restored_backup_old_steps_are_not_made_but_shown() -> None:
    planned = at(NOON + 2 * DAY)
    assert planned.due == ()
    assert {item.message for item in planned.withheld} == {Message(0, "mail"), Message(1, "pager"), Message(1, "ris2")}
    assert all("backup" in item.reason for item in planned.withheld)


def test_time_in_quiet_hours_is_no_lateness() -> None:
    evening = datetime(2026, 11, 26, 22, 30, tzinfo=BERLIN).astimezone(UTC)
    morning = datetime(2026, 11, 27, 6, 31, tzinfo=BERLIN).astimezone(UTC)
    assert at(morning, category=2, of=rules(quiet_hours=NIGHT, latest=HOUR), counted_from=evening).due


def test_a_clock_that_was_put_back_starts_the_steps_anew_instead_of_keeping_them_waiting() -> None:
    planned = at(NOON - 3 * HOUR)
    assert (planned.counted_from, planned.next_at) == (NOON - 3 * HOUR, NOON - 3 * HOUR + 5 * MINUTE)


moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda moment: moment.replace(tzinfo=UTC))
times = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))
names = st.sampled_from(["mail", "pager", "ris2"])
ladders = st.lists(
    st.tuples(st.integers(0, 600), st.lists(names, min_size=1, max_size=3, unique=True)), max_size=4,
    unique_by=lambda step: step[0],
).map(lambda steps: tuple(Step(minutes * MINUTE, tuple(tell)) for minutes, tell in sorted(steps, key=lambda step: step[0])))
quiets = st.builds(QuietHours, times, times, st.sampled_from([UTC, BERLIN, ZoneInfo("Asia/Kathmandu")]),
                   st.just(frozenset({1, 2, 3}))).filter(lambda quiet: quiet.begin != quiet.end)
budgets = st.builds(Budget, st.integers(1, 3), st.integers(1, 48).map(lambda hours: hours * HOUR), st.sampled_from(Overflow))


@given(ladder=ladders, quiet=quiets, budget=budgets, found=moments, late=st.timedeltas(timedelta(0), DAY / 2),
       sent=st.lists(moments, max_size=8))
def test_neither_quiet_hours_nor_budget_ever_hold_category_1_back(
    ladder: tuple[Step, ...], quiet: QuietHours, budget: Budget, found: datetime, late: timedelta, sent: list[datetime],
) -> None:
    """Not even quiet hours that name category 1, which no settings can."""
    bound = Rules({1: ladder}, DAY, quiet, budget)
    now = found + late
    planned = plan(bound, 1, found, set(), [*sent, now, now, now], now)
    assert planned == plan(Rules({1: ladder}, DAY), 1, found, set(), (), now)
    assert set(planned.due) == {Message(number, name) for number, step in enumerate(ladder) if found + step.after <= now
                                for name in step.tell}
    assert (planned.withheld, dict(planned.deferred)) == ((), {})


@given(category=st.sampled_from([1, 2, 3]), ladder=ladders, quiet=st.none() | quiets, budget=st.none() | budgets, found=moments)
def test_whoever_plans_at_every_moment_it_asks_for_sends_each_message_once_or_says_why_not(
    category: int, ladder: tuple[Step, ...], quiet: QuietHours | None, budget: Budget | None, found: datetime,
) -> None:
    site = Rules({category: ladder}, 400 * DAY, quiet, budget)
    done: set[Message] = set()
    sent: list[datetime] = []
    now, rounds = found, 0
    while True:
        planned = plan(site, category, found, done, sent, now)
        assert not done & set(planned.due)
        if category != 1 and quiet is not None and planned.due:
            assert quiet.over_at(now) == now
        done |= set(planned.due) | {item.message for item in planned.withheld}
        sent += [now] * len(planned.due)
        if category != 1 and budget is not None:
            assert sum(moment > now - budget.per for moment in sent) <= budget.messages
        if planned.next_at is None:
            break
        assert planned.next_at > now
        now, rounds = planned.next_at, rounds + 1
        assert rounds < 60
    assert done == {Message(number, name) for number, step in enumerate(ladder) for name in step.tell}
