"""When a result was made, in the study's clock."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from vigil.results.moment import Moment

CREATED = dt.datetime(2026, 11, 23, 23, 30, 5, tzinfo=dt.UTC)


def in_zone(offset: str | None) -> Dataset:
    ds = Dataset()
    if offset is not None:
        ds.TimezoneOffsetFromUTC = offset
    return ds


def test_the_zone_that_the_study_declares_is_used_also_over_midnight() -> None:
    moment = Moment.of(CREATED, in_zone("+0100"))
    assert (moment.date, moment.time, moment.date_time) == ("20261124", "003005", "20261124003005+0100")
    assert moment.words() == "2026-11-24 00:30 (UTC+01:00)"


def test_a_western_zone_counts_backwards() -> None:
    assert Moment.of(CREATED, in_zone("-0330")).words() == "2026-11-23 20:00 (UTC-03:30)"


def test_without_a_declared_zone_the_analysis_own_is_used() -> None:
    local = CREATED.astimezone(dt.timezone(dt.timedelta(hours=2)))
    moment = Moment.of(local, in_zone(None))
    assert (moment.date, moment.time) == ("20261124", "013005")
    assert Moment.of(CREATED, in_zone(None)).words() == "2026-11-23 23:30 (UTC)"


def test_a_nonsensical_zone_is_as_good_as_none() -> None:
    for offset in ("", "0100", "+99", "+9900", "CET"):
        assert Moment.of(CREATED, in_zone(offset)).date_time == "20261123233005+0000"


@given(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2090, 1, 1), timezones=st.just(dt.UTC)), st.integers(-720, 840))
def test_the_written_moment_is_the_same_instant(created: dt.datetime, minutes: int) -> None:
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    written = Moment.of(created, in_zone(offset)).date_time
    assert dt.datetime.strptime(written, "%Y%m%d%H%M%S%z") == created.replace(microsecond=0)
