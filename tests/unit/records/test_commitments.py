from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from vigil.domain.answer import Analysis
from vigil.records.errors import LedgerRefused
from vigil.records.ledger import Ledger

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DELIVERY = "deliver|pacs|a1|1"


@pytest.fixture
def promised(ledger: Ledger, make_analysis: Callable[..., Analysis]) -> Ledger:
    ledger.begin_analysis(make_analysis())
    ledger.begin_delivery(DELIVERY, "pacs", "dicom", "a1", 1, NOON)
    return ledger


def test_a_request_counts_as_made_when_the_pacs_has_accepted_it(promised: Ledger) -> None:
    transaction = promised.begin_commitment(DELIVERY, NOON)
    assert transaction.startswith("2.25.")
    assert len(transaction) <= 64
    assert promised.open_commitment(DELIVERY) is None, "a kill fell before it was made: it is made anew"
    promised.mark_commitment_asked(transaction, NOON + MINUTE)
    waits = promised.open_commitment(DELIVERY)
    assert waits is not None
    assert (waits.transaction_uid, waits.asked_at) == (transaction, NOON + MINUTE)


def test_an_answer_is_kept_once_however_often_it_comes(promised: Ledger) -> None:
    transaction = promised.begin_commitment(DELIVERY, NOON)
    promised.mark_commitment_asked(transaction, NOON)
    for _ in range(2):
        promised.record_commitment(transaction, ["2.25.1", "2.25.2"], NOON + MINUTE)
    assert promised.committed_objects(DELIVERY) == {"2.25.1", "2.25.2"}
    assert promised.open_commitment(DELIVERY) is None
    second = promised.begin_commitment(DELIVERY, NOON)
    assert second != transaction
    promised.record_commitment(second, ["2.25.2", "2.25.3"], NOON + MINUTE)
    assert promised.committed_objects(DELIVERY) == {"2.25.1", "2.25.2", "2.25.3"}


def test_an_answer_may_come_before_we_know_that_the_request_was_accepted(promised: Ledger) -> None:
    transaction = promised.begin_commitment(DELIVERY, NOON)
    promised.record_commitment(transaction, ["2.25.1"], NOON)
    promised.mark_commitment_asked(transaction, NOON + MINUTE)
    assert promised.open_commitment(DELIVERY) is None


def test_the_newest_of_the_unanswered_is_waited_for(promised: Ledger) -> None:
    made = [promised.begin_commitment(DELIVERY, NOON) for _ in range(3)]
    for number, transaction in enumerate(made):
        promised.mark_commitment_asked(transaction, NOON + number * MINUTE)
    waits = promised.open_commitment(DELIVERY)
    assert waits is not None
    assert waits.transaction_uid == made[2]


def test_nobody_answers_what_was_not_asked(promised: Ledger) -> None:
    assert promised.delivery_of_commitment("2.25.7") is None
    assert promised.delivery_of_commitment(promised.begin_commitment(DELIVERY, NOON)) == DELIVERY
    with pytest.raises(LedgerRefused):
        promised.begin_commitment("deliver|nobody|a1|1", NOON)
