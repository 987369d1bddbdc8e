"""What was decided, each change once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.records.decision import Decision
from vigil.records.errors import LedgerRefused
from vigil.records.ledger import Ledger

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WAITS = Decision("study-1", "bleed", "1.0.0", NOON, "waits", Reason(Category.INCOMPLETE, "31 of 32 slices"), None,
                 {"slices": 31, "coverage_mm": 154.5, "series": ["1.2.3"]})


def test_decisions_come_back_as_they_were_made_newest_last(open_ledger: Callable[[], Ledger]) -> None:
    begun = Decision("study-1", "bleed", "1.0.0", NOON.replace(hour=13), "analyse", None, "a1", {})
    first = open_ledger()
    first.record_decision(WAITS)
    first.record_decision(begun)
    first.record_decision(replace(WAITS, study_id="study-2"))
    first.close()
    assert open_ledger().decisions("study-1") == [WAITS, begun]


def test_the_same_decision_again_is_kept_once(ledger: Ledger) -> None:
    ledger.record_decision(WAITS)
    ledger.record_decision(replace(WAITS, at=NOON.replace(hour=13), evidence=dict(reversed(WAITS.evidence.items()))))
    assert ledger.decisions("study-1") == [WAITS]


@pytest.mark.parametrize("change", [
    {"model_version": "1.0.1"}, {"verdict": "refused"}, {"reason": None}, {"analysis_id": "a1"}, {"evidence": {"slices": 32}},
    {"reason": Reason(Category.INCOMPLETE, "30 of 32 slices")}, {"reason": Reason(Category.SLICE_MISSING, "31 of 32 slices")},
])
def test_any_other_decision_is_kept(ledger: Ledger, change: dict[str, object]) -> None:
    ledger.record_decision(WAITS)
    ledger.record_decision(replace(WAITS, **change))  # type: ignore[arg-type]
    ledger.record_decision(WAITS)
    assert len(ledger.decisions("study-1")) == 3


def test_models_do_not_hide_each_others_decisions(ledger: Ledger) -> None:
    ledger.record_decision(WAITS)
    ledger.record_decision(replace(WAITS, model_id="stroke"))
    ledger.record_decision(WAITS)
    assert [item.model_id for item in ledger.decisions("study-1")] == ["bleed", "stroke"]


@pytest.mark.parametrize("evidence", [{"x": float("nan")}, {"x": object()}, {"x": b"bytes"}])
def test_evidence_that_is_no_json_is_refused(ledger: Ledger, evidence: dict[str, object]) -> None:
    with pytest.raises(LedgerRefused, match="evidence must be JSON"):
        ledger.record_decision(replace(WAITS, evidence=evidence))


def test_studies_refused_for_a_cause_are_those_whose_newest_decision_of_a_model_says_so(ledger: Ledger) -> None:
    broken = Reason(Category.MODEL_HASH_MISMATCH, "another file")
    refused = replace(WAITS, verdict="refused", reason=broken)
    mended = replace(WAITS, verdict="analyse", reason=None, analysis_id="a1")
    for made in (
        refused, replace(refused, study_id="study-2"), replace(mended, study_id="study-2"), replace(WAITS, study_id="study-3"),
        replace(refused, study_id="study-4", at=NOON.replace(hour=9)), replace(refused, study_id="study-5"),
        replace(mended, study_id="study-5", model_id="stroke"),
    ):
        ledger.record_decision(made)
    causes = {Category.MODEL_HASH_MISMATCH, Category.MODEL_INVALID}
    assert ledger.studies_refused_for(causes, NOON) == ["study-1", "study-5"]
    assert ledger.studies_refused_for({Category.MODEL_INVALID}, NOON) == []
