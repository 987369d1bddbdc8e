"""An answer of several findings in the ledger: each is kept, and told in the account as itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vigil.domain.answer import Analysis, Answer, AnswerKind, Criterion, Finding, Measurement, Part, joined
from vigil.domain.codes import PERCENT, PROBABILITY
from vigil.domain.concepts import Code
from vigil.records.account import Account
from vigil.records.alerts import AlertAccount
from vigil.records.analyses import ANSWER
from vigil.records.ledger import Ledger

KINDS = (AnswerKind.NEGATIVE, AnswerKind.POSITIVE, AnswerKind.INDETERMINATE)
SCORES = (12.0, 72.0, 44.0)


def several() -> Answer:
    """Finding 1 is positive, 0 is not, and 2 is uncertain."""
    codes = [Code(str(number), "99T", f"Finding {number}") for number in range(3)]
    parts = tuple(
        Part(code, code, code, kind, f"{code.meaning} is {kind}.", Measurement(PROBABILITY, score, PERCENT),
             Criterion("default", PROBABILITY, 50.0 + score, PERCENT))
        for code, kind, score in zip(codes, KINDS, SCORES, strict=True))
    found = tuple(Finding(part.concept, part.category, part.site, (), kind=part.kind) for part in (parts[1], parts[2]))
    return Answer(AnswerKind.POSITIVE, joined(parts), parts[1].criterion, parts[1].measured, found, parts=parts)


def test_what_was_said_of_each_is_kept_and_told(ledger: Ledger, make_analysis: Callable[..., Analysis], clock: Any) -> None:
    analysis = make_analysis("a1b2c3d4")
    ledger.begin_analysis(analysis)
    ledger.freeze_answer("a1b2c3d4", several(), [])
    kept = ledger.analysis("a1b2c3d4")
    assert kept is not None
    assert kept.answer == several()
    (told,) = Account(ledger).study(analysis.orthanc_study_id)["analyses"]
    assert [(part["finding"], part["kind"], part["measured"]["value"], part["threshold"]["value"])
            for part in told["answer"]["parts"]] == [
        ("Finding 0", "negative", 12.0, 62.0), ("Finding 1", "positive", 72.0, 122.0), ("Finding 2", "indeterminate", 44.0, 94.0)]


def test_an_alert_names_what_is_positive_alone(ledger: Ledger, make_analysis: Callable[..., Analysis], clock: Any) -> None:
    ledger.begin_analysis(make_analysis("a1b2c3d4"))
    ledger.freeze_answer("a1b2c3d4", several(), [])
    ledger.begin_critical("a1b2c3d4", 1, clock.now(), clock.now())
    told = AlertAccount(ledger).alert("a1b2c3d4")
    assert told is not None
    assert told["finding"] == "Finding 1"


def test_an_answer_of_before_there_were_several_is_read_and_its_account_is_as_it_was(
    ledger: Ledger, make_analysis: Callable[..., Analysis], positive: Answer
) -> None:
    written = json.loads(ANSWER.dump_json(positive))
    del written["parts"]
    for finding in written["findings"]:
        del finding["kind"]
    assert ANSWER.validate_json(json.dumps(written)) == positive
    analysis = make_analysis("a1b2c3d4")
    ledger.begin_analysis(analysis)
    ledger.freeze_answer("a1b2c3d4", positive, [])
    (told,) = Account(ledger).study(analysis.orthanc_study_id)["analyses"]
    assert "parts" not in told["answer"]
