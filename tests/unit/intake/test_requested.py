"""What was asked for, and why: by code or by a word, where the manifest cares; and never told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydicom import Dataset

from vigil.domain.errors import Category
from vigil.intake.appraise import Verdict, appraise
from vigil.intake.requested import Requested

HEAD_WITHOUT, TRAUMA = "LN:30799-1", "SCT:127295002"


def coded(scheme: str, value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "Meaning"
    return item


def in_request(**values: Any) -> dict[str, Any]:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return {"RequestAttributesSequence": [item]}


PROCEDURES = {"procedures": {"codes": [HEAD_WITHOUT], "words": ["stroke"]}}
INDICATIONS = {"indications": {"codes": [TRAUMA], "words": ["trauma", "fall"], "unknown": "accept"}}


@pytest.fixture
def judged(ct, manifest, content_of, now):
    """The verdict on a head whose images say so, for a model of this scope."""
    def judge(scope: dict[str, Any], /, **attributes: Any):
        images = ct()
        for image in images:
            for keyword, value in attributes.items():
                setattr(image, keyword, value)
        return appraise(content_of(images), manifest(scope), now=now, quiet_since=now - timedelta(hours=1))
    return judge


@pytest.mark.parametrize("said", [
    {"ProcedureCodeSequence": [coded("LN", "30799-1")]}, in_request(RequestedProcedureCodeSequence=[coded("ln", "30799-1")]),
    {"RequestedProcedureDescription": "CT Stroke protocol"}, in_request(ScheduledProcedureStepDescription="STROKE"),
    {"ProcedureCodeSequence": [coded("L", "X1"), coded("LN", "30799-1")]},
])
def test_a_procedure_is_known_by_its_code_or_a_word_wherever_it_stands(judged, said):
    assert judged(PROCEDURES, **said).verdict is Verdict.WANTED


def test_another_procedure_and_one_that_is_not_said_are_refused_in_words_of_nobody(judged):
    other = judged(PROCEDURES, RequestedProcedureDescription="Doe Jane sinus")
    assert (other.verdict, other.reason.category) == (Verdict.REFUSED, Category.OUT_OF_SCOPE)
    assert other.reason.text == "the procedure of the request is none that this model is for"
    unsaid = judged(PROCEDURES)
    assert unsaid.reason.text == "the images do not say the procedure that was asked for, which this model needs"
    assert "doe" not in f"{other.reason} {other.evidence}".lower()


def test_an_indication_is_refused_where_it_is_another_and_accepted_where_it_is_not_said(judged):
    assert judged(INDICATIONS).verdict is Verdict.WANTED
    assert judged(INDICATIONS, AdmittingDiagnosesCodeSequence=[coded("SCT", "127295002")]).verdict is Verdict.WANTED
    assert judged(INDICATIONS, ReasonForStudy="after a fall").verdict is Verdict.WANTED
    assert judged(INDICATIONS, ReasonForStudy="headache").reason.text.startswith("the indication of the request is none")


@pytest.mark.parametrize("keyword", ["LongCodeValue", "URNCodeValue"])
def test_a_code_of_any_length_is_said(judged, keyword):
    item = Dataset()
    item.CodingSchemeDesignator, item.CodeMeaning = "LN", "Meaning"
    setattr(item, keyword, "30799-1-and-more-than-sixteen")
    said = {"ProcedureCodeSequence": [item]}
    assert judged({"procedures": {"codes": ["LN:30799-1-and-more-than-sixteen"]}}, **said).verdict is Verdict.WANTED
    other = judged({"procedures": {"codes": [HEAD_WITHOUT], "unknown": "accept"}}, **said)
    assert other.verdict is Verdict.REFUSED, "it is said, and is another"


def test_a_word_within_a_word_is_none(judged):
    assert judged({"procedures": {"words": ["fall"]}}, RequestedProcedureDescription="waterfall").verdict is Verdict.REFUSED


def test_a_model_that_does_not_care_takes_every_request(judged):
    assert judged({}, RequestedProcedureDescription="anything").verdict is Verdict.WANTED


def test_images_that_say_nothing_have_asked_for_nothing(head_headers):
    assert {header.requested for header in head_headers} == {Requested()}
