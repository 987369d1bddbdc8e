"""The demo's judgement: it must not be satisfied with less than everything."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hospital.outcome import COMPREHENSIVE_3D_SR, HEAD, SECONDARY_CAPTURE, SEGMENTATION, Expectation, Outcome

LAST_IMAGE = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
RESULTS = {"1.1": SECONDARY_CAPTURE, "1.2": SECONDARY_CAPTURE, "1.3": COMPREHENSIVE_3D_SR, "1.4": SEGMENTATION}


def analysis(kind: str, alert: bool) -> dict[str, Any]:
    deliveries: list[dict[str, Any]] = [
        {
            "kind": "dicom",
            "attempts": 1,
            "finished_at": "2026-11-23T12:00:05.500+00:00",
            "statuses": dict.fromkeys(RESULTS, 0),
            "acknowledgement": None,
        }
    ]
    if alert:
        deliveries.append(
            {
                "kind": "hl7",
                "attempts": 1,
                "finished_at": "2026-11-23T12:00:06+00:00",
                "statuses": {},
                "acknowledgement": {"code": "AA", "at": "2026-11-23T12:00:06.000+00:00"},
            }
        )
    return {
        "model_id": "model",
        "model_version": "1.0.0",
        "answer": {
            "kind": kind,
            "measured": {"value": 19.94, "unit": "mL"},
            "threshold": {"value": 5.0, "unit": "mL"},
        },
        "objects": [{"sop_instance_uid": uid, "stored_at": "2026-11-23T12:00:04.250+00:00"} for uid in RESULTS],
        "deliveries": deliveries,
    }


def positive() -> Outcome:
    return Outcome(
        "head", Expectation(positive=True), LAST_IMAGE, analysis("positive", alert=True), RESULTS, RESULTS, 1
    )


def negative() -> Outcome:
    return Outcome(
        "head", Expectation(positive=False), LAST_IMAGE, analysis("negative", alert=False), RESULTS, RESULTS, 0
    )


def test_nothing_is_missing_when_everything_arrived() -> None:
    assert positive().missing() == []
    assert negative().missing() == []


def test_a_row_shows_what_arrived_and_when() -> None:
    assert dict(zip(HEAD, positive().row(), strict=True)) == {
        "study": "head",
        "model": "model 1.0.0",
        "answer": "positive",
        "value": "19.9 mL",
        "threshold": "5.0 mL",
        "objects": "2 SC + 1 SEG + 1 SR",
        "PACS status": "4 × success",
        "HL7 ack": "AA",
        "s to answer": "4.2",
        "s to PACS": "5.5",
        "s to ack": "6.0",
    }


def test_a_study_without_an_answer_has_a_row_and_is_missing() -> None:
    nothing = replace(positive(), analysis=None, in_orthanc={}, in_pacs={}, messages=0)
    assert nothing.missing() == ["no answer"]
    assert nothing.row()[1:] == ["–"] * 10


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"analysis": analysis("negative", alert=True)}, "expected positive"),
        ({"in_orthanc": {"1.3": COMPREHENSIVE_3D_SR}}, "no SC in Orthanc"),
        ({"in_pacs": {"1.1": SECONDARY_CAPTURE, "1.2": SECONDARY_CAPTURE}}, "no SR in the PACS"),
        ({"in_orthanc": {"1.1": SECONDARY_CAPTURE, "1.3": COMPREHENSIVE_3D_SR}}, "no SEG in Orthanc"),
        ({"in_pacs": {**RESULTS, "1.5": SECONDARY_CAPTURE}}, "1 objects too many in the PACS"),
        ({"messages": 0}, "alerts received: 0"),
        ({"messages": 2}, "alerts received: 2"),
        ({"analysis": analysis("positive", alert=False)}, "acknowledged: –"),
    ],
)
def test_whatever_lacks_of_a_positive_is_named(change: dict[str, Any], fault: str) -> None:
    assert fault in "; ".join(replace(positive(), **change).missing())


def test_a_status_that_is_no_success_is_a_fault_and_shown() -> None:
    refused = copy.deepcopy(positive())
    assert refused.analysis is not None
    refused.analysis["deliveries"][0]["statuses"]["1.2"] = 0xA700
    assert refused.pacs_summary() == "3 × success, 1 × 0xA700"
    assert any("did not confirm" in fault for fault in refused.missing())


@pytest.mark.parametrize("kind", ["positive", "failed", "not-analysed"])
def test_the_head_without_the_insert_must_be_answered_and_not_positive(kind: str) -> None:
    wrong = replace(negative(), analysis=analysis(kind, alert=False))
    assert any(f"the answer is {kind}" in fault for fault in wrong.missing())


def test_an_alert_that_was_held_back_is_no_fault() -> None:
    suppressed = copy.deepcopy(negative())
    assert suppressed.analysis is not None
    suppressed.analysis["deliveries"].append(
        {"kind": "hl7", "attempts": 0, "finished_at": None, "statuses": {}, "acknowledgement": None}
    )
    assert suppressed.missing() == []


def test_an_alert_about_the_head_without_the_insert_is_a_fault() -> None:
    assert any("alert was sent" in fault for fault in replace(negative(), messages=1).missing())
    assert any(
        "alert was sent" in fault for fault in replace(negative(), analysis=analysis("negative", alert=True)).missing()
    )


def measured() -> Outcome:
    return Outcome(
        "head", Expectation(positive=False, measured=True), LAST_IMAGE, analysis("measured", alert=False), RESULTS, RESULTS, 0
    )


def test_a_measurement_is_expected_with_its_segmentation_and_without_an_alert() -> None:
    assert measured().missing() == []
    assert replace(measured(), analysis=analysis("negative", alert=False)).missing()
    assert replace(measured(), analysis=analysis("measured", alert=True)).missing()
    without = {uid: kind for uid, kind in RESULTS.items() if kind != SEGMENTATION}
    assert any("SEG" in fault for fault in replace(measured(), in_pacs=without).missing())
