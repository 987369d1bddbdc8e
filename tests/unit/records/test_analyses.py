"""Analyses: frozen once, superseded in order, answered once."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vigil.domain.answer import Analysis, Answer, AnswerKind, Reason
from vigil.domain.errors import Category
from vigil.records.analyses import ANSWER
from vigil.records.entries import FINISHED_ANALYSIS, UNFINISHED_ANALYSIS, AnalysisState
from vigil.records.errors import LedgerRefused
from vigil.records.ledger import AnalysisRecord, Ledger
from vigil.results.objects import ResultObject

Make = Callable[..., Analysis]
Objects = Callable[..., list[ResultObject]]


def record(ledger: Ledger, analysis_id: str) -> AnalysisRecord:
    found = ledger.analysis(analysis_id)
    assert found is not None
    return found


def test_an_analysis_comes_back_as_it_was_begun(open_ledger: Callable[[], Ledger], make_analysis: Make) -> None:
    begun = make_analysis(refusal=Reason(Category.INCOMPLETE, "a slice is missing"), arrived_at=datetime(2026, 1, 2, tzinfo=UTC),
                          study_started_at=datetime(2026, 1, 1, tzinfo=UTC), inputs=())
    first = open_ledger()
    assert first.begin_analysis(begun) == begun
    first.close()
    found = record(open_ledger(), "a1")
    assert found == AnalysisRecord(begun, "pending", None, None, None, None)


def test_the_first_call_freezes_an_analysis(ledger: Ledger, make_analysis: Make, clock: Any) -> None:
    begun = ledger.begin_analysis(make_analysis())
    clock.move(60)
    assert ledger.begin_analysis(make_analysis(renderer_version="other", stage="shadow")) == begun
    assert len(ledger.analyses("study-1")) == 1


def test_the_next_analysis_of_study_and_model_supersedes(ledger: Ledger, make_analysis: Make) -> None:
    for name in ("a1", "a2", "a3"):
        ledger.begin_analysis(make_analysis(name, predecessor_id="made up", revision=77))
    found = ledger.analyses("study-1")
    assert [item.analysis.analysis_id for item in found] == ["a1", "a2", "a3"]
    assert [item.analysis.predecessor_id for item in found] == [None, "a1", "a2"]
    assert [item.analysis.revision for item in found] == [1, 2, 3]
    assert [item.superseded_by for item in found] == ["a2", "a3", None]


def test_other_models_and_other_studies_supersede_nothing(ledger: Ledger, make_analysis: Make) -> None:
    ledger.begin_analysis(make_analysis("a1"))
    ledger.begin_analysis(make_analysis("a2", model_id="stroke"))
    ledger.begin_analysis(make_analysis("a3", orthanc_study_id="study-2"))
    for name in ("a1", "a2", "a3"):
        found = record(ledger, name)
        assert (found.analysis.predecessor_id, found.analysis.revision, found.superseded_by) == (None, 1, None)


def test_beginning_a_superseded_analysis_again_changes_nothing(ledger: Ledger, make_analysis: Make) -> None:
    ledger.begin_analysis(make_analysis("a1"))
    ledger.begin_analysis(make_analysis("a2"))
    assert ledger.begin_analysis(make_analysis("a1")).revision == 1
    assert record(ledger, "a2").superseded_by is None


def test_unknown_analyses_are_absent_or_refused(ledger: Ledger, positive: Answer) -> None:
    assert ledger.analysis("none") is None
    with pytest.raises(LedgerRefused, match="holds no analysis none"):
        ledger.set_analysis_state("none", "running")
    with pytest.raises(LedgerRefused, match="holds no analysis none"):
        ledger.freeze_answer("none", positive, [])


@pytest.mark.parametrize("state", get_args(AnalysisState))
def test_every_state_survives_reopening(open_ledger: Callable[[], Ledger], make_analysis: Make, clock: Any, state: Any) -> None:
    first = open_ledger()
    first.begin_analysis(make_analysis())
    reason = Reason(Category.STUDY_DELETED, "gone")
    then = clock.move(5)
    first.set_analysis_state("a1", state, reason)
    first.close()
    found = record(open_ledger(), "a1")
    assert (found.state, found.reason) == (state, reason)
    assert found.finished_at == (then if state in FINISHED_ANALYSIS else None)
    assert (state in FINISHED_ANALYSIS) != (state in UNFINISHED_ANALYSIS)


def test_the_first_end_is_the_time_of_the_end(ledger: Ledger, make_analysis: Make, clock: Any) -> None:
    ledger.begin_analysis(make_analysis())
    then = clock.move(5)
    ledger.set_analysis_state("a1", "stored")
    clock.move(5)
    ledger.set_analysis_state("a1", "stored")
    assert record(ledger, "a1").finished_at == then


def test_unfinished_analyses_are_found(ledger: Ledger, make_analysis: Make) -> None:
    for number, state in enumerate(get_args(AnalysisState)):
        ledger.begin_analysis(make_analysis(f"a{number}", orthanc_study_id=f"s{number}"))
        ledger.set_analysis_state(f"a{number}", state)
    assert [item.state for item in ledger.unfinished_analyses()] == ["pending", "running", "answered"]
    assert [item.state for item in ledger.unfinished_analyses(["running"])] == ["running"]


def test_recent_analyses_come_newest_first(ledger: Ledger, make_analysis: Make) -> None:
    for number in range(4):
        ledger.begin_analysis(make_analysis(f"a{number}"))
    assert [item.analysis.analysis_id for item in ledger.recent_analyses(2)] == ["a3", "a2"]


def test_both_studies_of_one_uid_are_found(ledger: Ledger, make_analysis: Make) -> None:
    for number, uid in ((1, "1.2.3"), (2, "1.2.3"), (3, "1.2.4")):
        ledger.begin_analysis(make_analysis(f"a{number}", orthanc_study_id=f"study-{number}", study_instance_uid=uid))
    assert ledger.studies_with_uid("1.2.3") == ["study-1", "study-2"]
    assert ledger.studies_with_uid("1.9") == []


def test_the_answer_and_its_objects_are_frozen_together(
    open_ledger: Callable[[], Ledger], make_analysis: Make, positive: Answer, make_objects: Objects,
) -> None:
    first = open_ledger()
    first.begin_analysis(make_analysis())
    made = make_objects()
    assert first.freeze_answer("a1", positive, made) == positive
    first.close()
    again = open_ledger()
    found = record(again, "a1")
    assert (found.answer, found.state) == (positive, "answered")
    assert [again.object_bytes(item.sop_instance_uid) for item in again.objects("a1")] == [item.dicom for item in made]


def test_the_first_answer_is_the_answer(
    ledger: Ledger, make_analysis: Make, positive: Answer, make_objects: Objects,
) -> None:
    ledger.begin_analysis(make_analysis())
    ledger.freeze_answer("a1", positive, make_objects())
    other = Answer(AnswerKind.NEGATIVE, "Does not exclude anything.")
    assert ledger.freeze_answer("a1", other, make_objects(count=3, content=b"other")) == positive
    assert record(ledger, "a1").answer == positive
    assert [ledger.object_bytes(item.sop_instance_uid) for item in ledger.objects("a1")] == [b"DICM0", b"DICM1"]


def test_an_answer_that_cannot_be_written_down_is_refused(ledger: Ledger, make_analysis: Make, positive: Answer) -> None:
    ledger.begin_analysis(make_analysis())
    assert positive.measured is not None
    broken = replace(positive, measured=replace(positive.measured, value=float("nan")))
    with pytest.raises(LedgerRefused):
        ledger.freeze_answer("a1", broken, [])
    assert record(ledger, "a1").answer is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.builds(
    Answer, kind=st.sampled_from(AnswerKind), sentence=st.text(), reason=st.builds(Reason, st.sampled_from(Category), st.text()),
    notes=st.lists(st.text()).map(tuple),
))
def test_every_answer_survives_being_written_down(answer: Answer) -> None:
    assert ANSWER.validate_json(ANSWER.dump_json(answer)) == answer


def test_an_object_of_another_analysis_is_not_taken_over(
    ledger: Ledger, make_analysis: Make, positive: Answer, make_objects: Objects,
) -> None:
    ledger.begin_analysis(make_analysis("a1"))
    ledger.begin_analysis(make_analysis("a2"))
    ledger.freeze_answer("a1", positive, make_objects("a1"))
    with pytest.raises(LedgerRefused, match="refused a row"):
        ledger.freeze_answer("a2", positive, make_objects("a1"))
    assert record(ledger, "a2").answer is None


@pytest.mark.parametrize("statement", range(7))
def test_a_kill_while_freezing_leaves_all_or_nothing(
    open_ledger: Callable[[], Ledger], make_analysis: Make, positive: Answer, make_objects: Objects,
    start_child: Callable[..., subprocess.Popen[str]], statement: int,
) -> None:
    """Killed after each statement of the transaction, and (0) before its commit: BEGIN, SELECT, three INSERTs, UPDATE."""
    first = open_ledger()
    first.begin_analysis(make_analysis())
    first.close()
    child = start_child("die", statement)
    assert child.wait(timeout=60) == -signal.SIGKILL
    again = open_ledger()
    assert record(again, "a1").answer is None
    assert again.objects("a1") == []
    again.freeze_answer("a1", positive, make_objects())
    assert record(again, "a1").answer == positive


def test_without_a_kill_the_same_child_freezes_all(
    open_ledger: Callable[[], Ledger], make_analysis: Make, start_child: Callable[..., subprocess.Popen[str]],
) -> None:
    """So the kills above fall into a transaction of just these statements."""
    first = open_ledger()
    first.begin_analysis(make_analysis())
    child = start_child("die", 99)
    assert child.wait(timeout=60) == 0
    assert child.stdout is not None
    assert child.stdout.read().split() == ["BEGIN", "SELECT", "INSERT", "INSERT", "INSERT", "UPDATE"]
    assert len(first.objects("a1")) == 3
