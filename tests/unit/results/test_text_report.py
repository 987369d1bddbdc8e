"""The flat report, read as a reporting system reads it: by the names of texts directly below the root."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import BasicTextSRStorage
from result_cases import CASES, TRIAGE_ONLY, request
from written_cases import WITH_TEXT

from vigil.domain import codes
from vigil.domain.answer import AnswerKind
from vigil.results.make import make_results
from vigil.results.objects import Role
from vigil.results.request import PredecessorReport, ResultRequest
from vigil.results.text_report import text_report

Kinds = dict[AnswerKind, ResultRequest]
NAMES = {value.value for name, value in vars(codes).items() if name.startswith("AI_")} | {codes.CONCLUSION.value}


def fields(asked: ResultRequest) -> dict[str, str]:
    """The texts by the meaning of their names."""
    return {item.ConceptNameCodeSequence[0].CodeMeaning: item.TextValue for item in flat(asked).ContentSequence}


def flat(asked: ResultRequest) -> Dataset:
    return dcmread(BytesIO(text_report(asked).dicom))


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"radiograph inverted", "mammogram", "heat map", "utf-8"}))
def test_it_is_flat_and_every_text_has_a_name_that_stands_once(name: str) -> None:
    ds = flat(CASES[name]().asked)
    assert ds.SOPClassUID == BasicTextSRStorage
    assert {item.ValueType for item in ds.ContentSequence} == {"TEXT"}
    assert not any("ContentSequence" in item for item in ds.ContentSequence)
    names = Counter(item.ConceptNameCodeSequence[0].CodeValue for item in ds.ContentSequence)
    assert set(names) <= NAMES
    assert set(names.values()) == {1}
    assert all(item.TextValue.strip() for item in ds.ContentSequence)


def test_it_is_complete_unverified_preliminary_and_written_by_a_device(each_kind: Kinds) -> None:
    for asked in each_kind.values():
        ds = flat(asked)
        assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
        (author,) = ds.AuthorObserverSequence
        assert (author.ObserverType, author.DeviceUID) == ("DEV", asked.device.device_uid)


def test_a_field_of_a_positive_says_what_the_structured_report_says(each_kind: Kinds) -> None:
    told = fields(each_kind[AnswerKind.POSITIVE])
    assert told["AI answer"] == "POSITIVE"
    assert told["AI value"].startswith("Hyperdense intracranial volume: ")
    assert "Positive at or above 5.0 mL" in told["AI criterion"]
    assert each_kind[AnswerKind.POSITIVE].answer.sentence in told["Conclusion"]
    assert told["AI standing of this result"].startswith("AI RESULT - NOT FOR PRIMARY DIAGNOSIS. RESEARCH")
    assert told["AI time of analysis"] == "2025-03-14 09:41 (UTC)"
    assert told["AI findings"].startswith("1. Hyperdense intracranial region (Brain), Hyperdense intracranial volume ")


def test_two_findings_stand_in_one_field_line_by_line() -> None:
    first, second = fields(CASES["two findings"]().asked)["AI findings"].splitlines()
    assert first.startswith("1. ")
    assert second.startswith("2. ")
    assert "of series 2" in second


def test_a_finding_of_a_multi_frame_image_names_its_frame() -> None:
    case = CASES["multi-frame"]()
    (key, *_) = case.asked.answer.findings[0].key_slices
    assert f"frame {key + 1} of series" in fields(case.asked)["AI findings"]


@pytest.mark.parametrize("kind", [AnswerKind.NOT_ANALYSED, AnswerKind.FAILED])
def test_no_answer_is_no_negative(each_kind: Kinds, kind: AnswerKind) -> None:
    told = fields(each_kind[kind])
    assert "This is NOT a negative result." in told["Conclusion"]
    assert not {"AI value", "AI criterion", "AI findings"} & set(told)


def test_a_clearance_without_measurement_lets_no_number_out() -> None:
    told = fields(request(AnswerKind.NEGATIVE, outputs=TRIAGE_ONLY))
    assert "AI value" not in told
    assert "0.9" not in "".join(told.values())


def test_a_superseding_one_says_so(each_kind: Kinds) -> None:
    earlier = PredecessorReport(BasicTextSRStorage, "2.25.1", "2.25.2", "2.25.3")
    assert "Replaces this model's earlier result" in fields(replace(each_kind[AnswerKind.NEGATIVE], predecessor=earlier))[
        "AI notes and limitations"]


def test_it_is_made_where_it_is_asked_for_and_in_a_series_of_its_own(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    assert Role.TEXT_REPORT not in {item.role for item in make_results(asked)}
    made = make_results(replace(asked, options=WITH_TEXT))
    (found,) = [item for item in made if item.role is Role.TEXT_REPORT]
    assert found.series_instance_uid not in {item.series_instance_uid for item in made if item is not found}
