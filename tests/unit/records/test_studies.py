"""Installation, change cursor, and which studies are due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigil.domain.clock import SystemClock
from vigil.records.entries import StudyState
from vigil.records.errors import LedgerRefused
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def due(ledger: Ledger, now: float, quiet: float = 60) -> list[str]:
    return ledger.studies_due(at(now), at(now - quiet))


def test_the_installation_is_made_once_and_survives_reopening(open_ledger: Callable[[], Ledger]) -> None:
    first = open_ledger()
    made = first.install_once(41)
    assert made.first_change_sequence == 41
    assert made.device_uid == f"2.25.{int(made.installation_id, 16)}"
    assert len(made.device_uid) <= 64
    first.close()
    assert open_ledger().install_once(99) == made


def test_two_installations_are_two_devices(tmp_path_factory: pytest.TempPathFactory, ledger: Ledger) -> None:
    other = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('other')}/l.sqlite", ledger._sealer, ledger._clock)
    assert other.install_once(1).installation_id != ledger.install_once(1).installation_id
    other.close()


def test_the_change_cursor_begins_at_the_installation_and_never_moves_backwards(ledger: Ledger) -> None:
    assert ledger.change_cursor() == 0
    ledger.install_once(41)
    assert ledger.change_cursor() == 41
    ledger.advance_change_cursor(50)
    ledger.advance_change_cursor(45)
    assert ledger.change_cursor() == 50


def test_the_change_cursor_holds_the_numbers_of_an_orthanc_that_is_very_old(ledger: Ledger) -> None:
    ledger.install_once(2**40)
    assert ledger.change_cursor() == 2**40


def test_a_study_is_due_when_it_was_quiet_long_enough(ledger: Ledger) -> None:
    ledger.touch_studies(["a"], at(0))
    assert due(ledger, 59) == []
    assert due(ledger, 60) == ["a"]


def test_a_study_is_not_due_again_until_it_is_touched_after_its_evaluation(ledger: Ledger) -> None:
    ledger.touch_studies(["a"], at(0))
    ledger.mark_evaluated("a", at(60), "c1", None)
    assert due(ledger, 1000) == []
    ledger.touch_studies(["a"], at(61))
    assert due(ledger, 1000) == ["a"]


def test_a_touch_during_the_evaluation_is_not_lost(ledger: Ledger) -> None:
    ledger.touch_studies(["a"], at(0))
    ledger.touch_studies(["a"], at(61))
    ledger.mark_evaluated("a", at(60), "c1", None)
    assert due(ledger, 1000) == ["a"]


def test_a_study_is_due_at_its_next_look_whether_touched_or_not(ledger: Ledger) -> None:
    ledger.touch_studies(["a"], at(0))
    ledger.mark_evaluated("a", at(60), "c1", at(300))
    assert due(ledger, 299) == []
    assert due(ledger, 300) == ["a"]
    ledger.touch_studies(["a"], at(299))
    assert due(ledger, 300) == ["a"]
    ledger.mark_evaluated("a", at(300), "c2", None)
    assert due(ledger, 1000) == []


def test_a_deleted_study_is_not_due_until_it_comes_back(ledger: Ledger) -> None:
    ledger.touch_studies(["a"], at(0))
    ledger.mark_evaluated("a", at(0), "c", at(5))
    ledger.mark_deleted("a", at(10))
    assert due(ledger, 1000) == []
    ledger.touch_studies(["a"], at(20))
    assert due(ledger, 1000) == ["a"]
    state = ledger.study_state("a")
    assert state is not None
    assert state.deleted_at is None


def test_a_touch_from_before_a_deletion_does_not_bring_the_study_back(ledger: Ledger) -> None:
    ledger.mark_deleted("a", at(10))
    ledger.touch_studies(["a"], at(9))
    assert due(ledger, 1000) == []


def test_a_deletion_can_be_taken_back(ledger: Ledger) -> None:
    ledger.touch_studies(["a"], at(0))
    ledger.mark_deleted("a", at(10))
    ledger.clear_deleted("a")
    assert due(ledger, 1000) == ["a"]


def test_due_studies_come_in_the_order_of_their_arrival(ledger: Ledger) -> None:
    for name, seconds in (("late", 3), ("early", 1), ("middle", 2)):
        ledger.touch_studies([name], at(seconds))
    assert due(ledger, 1000) == ["early", "middle", "late"]


def test_the_state_of_a_study_comes_back_as_it_was_put_in(open_ledger: Callable[[], Ledger]) -> None:
    first = open_ledger()
    assert first.study_state("a") is None
    first.touch_studies(["a"], at(0.000001))
    first.mark_evaluated("a", at(60), "content", at(300))
    first.close()
    assert open_ledger().study_state("a") == StudyState("a", at(0.000001), at(60), "content", at(300), None)


def test_a_study_may_be_evaluated_before_it_was_ever_touched(ledger: Ledger) -> None:
    ledger.mark_evaluated("a", at(0), "c", None)
    assert due(ledger, 1000) == []


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=6))
def test_the_last_touch_counts_whatever_the_order(tmp_path_factory: pytest.TempPathFactory, seconds: list[float]) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('l')}/l.sqlite", Sealer(bytes(32)), SystemClock())
    for each in seconds:
        ledger.touch_studies(["a"], at(each))
    state = ledger.study_state("a")
    ledger.close()
    assert state is not None
    assert state.touched_at == at(max(seconds))


def test_times_come_back_in_utc_whatever_zone_they_had(ledger: Ledger) -> None:
    ledger.touch_studies(["a"], at(0).astimezone(timezone(timedelta(hours=-5))))
    state = ledger.study_state("a")
    assert state is not None
    assert state.touched_at == at(0)
    assert state.touched_at.utcoffset() == timedelta(0)
    assert due(ledger, 60) == ["a"]


def test_a_time_without_its_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerRefused, match="needs its time zone"):
        ledger.touch_studies(["a"], datetime(2026, 11, 23))


def test_a_deleted_study_forgets_its_content_so_that_it_is_looked_at_anew_when_it_is_sent_again(ledger: Ledger) -> None:
    ledger.touch_studies(["a"], at(0))
    ledger.mark_evaluated("a", at(5), "content", None)
    ledger.mark_deleted("a", at(10))

    state = ledger.study_state("a")
    assert state is not None
    assert state.content_sha256 is None


def test_a_study_that_could_be_read_is_not_deleted_though_its_deletion_was_noted_late(ledger: Ledger) -> None:
    ledger.touch_studies(["a"], at(10))
    ledger.mark_deleted("a", at(10))
    ledger.mark_evaluated("a", at(11), "content", at(20))

    assert ledger.studies_due(at(21), at(9)) == ["a"]


def test_the_cursor_goes_back_only_where_orthanc_itself_went_back(ledger: Ledger) -> None:
    ledger.install_once(100)
    ledger.advance_change_cursor(500)

    assert not ledger.reset_change_cursor(500)
    assert not ledger.reset_change_cursor(900)
    assert ledger.change_cursor() == 500
    assert ledger.reset_change_cursor(40), "a backup of Orthanc was put back: its next changes bear numbers below 500"
    assert ledger.change_cursor() == 40
