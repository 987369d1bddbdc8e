"""What was told is taken back: who is owed a word, once, and what takes nothing back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from vigil.domain.answer import InputInstance
from vigil.domain.errors import Category
from vigil.domain.gateway import StudyRecord
from vigil.pipeline.desk import AlertDesk
from vigil.pipeline.errors import AlertUnchanged
from vigil.pipeline.retract import OtherPatients, Retractor
from vigil.records.alerts import AlertAccount
from vigil.records.audit import Audit
from vigil.records.decision import Decision
from vigil.records.entries import STAT, WITHDRAWAL, AnalysisRecord
from vigil.records.ledger import Ledger
from vigil.telemetry.logs import Log

UID = "1.2.3"


@dataclass
class Studies:
    """As much of Orthanc as is asked: which studies it holds."""

    held: set[str] = field(default_factory=set)

    def study(self, name: str) -> StudyRecord | None:
        return object() if name in self.held else None  # type: ignore[return-value]


@pytest.fixture
def studies() -> Studies:
    return Studies()


@pytest.fixture
def look(ledger: Ledger, clock: Any, studies: Studies) -> Callable[..., None]:
    """A study of the same StudyInstanceUID is evaluated, with these images."""
    others = OtherPatients(gateway=studies, ledger=ledger, log=Log(logging.getLogger("test-retract")),  # type: ignore[arg-type]
                           retractor=Retractor(ledger, Audit(ledger), clock))

    def look(study: str, *images: str) -> None:
        others.look(StudyRecord(study, UID, f"patient of {study}", clock.now(), is_stable=True), images)
        ledger.record_decision(Decision(study, "m", "1", clock.now(), "wanted", None, None, {}))
        clock.move(60)

    return look


@pytest.fixture
def told(ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any) -> Callable[..., None]:
    """A positive whose message went to a RIS, and a mail to people."""
    def tell(name: str, study: str, *, image: str = "1.2.3.9", destination: str = "ris", state: str = "delivered") -> None:
        record = answered(f"draft-{name}", study=f"draft-of-{name}")
        inputs = (InputInstance("o", image, "1.2.840.10008.5.1.4.1.1.2", "1.2.3.8", "c" * 64),)
        begun = replace(record.analysis, analysis_id=name, orthanc_study_id=study, inputs=inputs, inputs_sha256=name,
                        created_at=clock.now(), study_instance_uid=UID)
        ledger.begin_analysis(begun)
        assert record.answer is not None
        ledger.freeze_answer(name, record.answer, [])
        ledger.begin_critical(name, 1, clock.now())
        ledger.promise_notification(name, 0, "mail", "mail", "waiting", clock.now())
        ledger.record_notification(name, 0, "mail", "sent", clock.now())
        kept = ledger.analysis(name)
        assert kept is not None
        identity = f"deliver|{destination}|{name}|{kept.analysis.revision}"
        ledger.begin_delivery(identity, destination, "hl7", name, kept.analysis.revision, clock.now(), priority=STAT,
                              order_key="order")
        ledger.freeze_message(identity, f"V{name}", b"MSH", clock.now(), b"head")
        ledger.finish_delivery(identity, state, clock.now())
        clock.move(60)

    return tell


def owed(ledger: Ledger) -> list[str]:
    return [item.delivery_id for item in ledger.deliveries() if item.purpose == "retraction"]


def kind(ledger: Ledger, analysis: str) -> str | None:
    found = ledger.retraction(analysis)
    return None if found is None else found.kind


def test_whoever_was_told_is_owed_a_word_and_once(ledger: Ledger, told: Callable[..., None], clock: Any) -> None:
    told("a1b2c3", "s1")
    desk = AlertDesk(ledger, Audit(ledger), clock)
    desk.withdraw("a1b2c3", "Dr. Roe", "withdrawal")
    with pytest.raises(AlertUnchanged, match="withdrawn before"):
        desk.withdraw("a1b2c3", "Dr. Roe", "wrong-patient")
    word = ledger.delivery("retract|ris|a1b2c3|1")
    assert word is not None
    assert (word.state, word.priority, word.order_key, word.revision) == ("waiting", STAT, "order", 1)
    assert [(note.step, note.state) for note in ledger.notifications("a1b2c3")] == [(0, "sent"), (WITHDRAWAL, "waiting")]
    critical = ledger.critical("a1b2c3")
    assert critical is not None
    assert critical.reason is not None
    assert (critical.state, critical.reason.category) == ("ended", Category.POLICY)
    shown = AlertAccount(ledger).alert("a1b2c3")
    assert shown is not None
    assert (shown["withdrawn"]["kind"], shown["withdrawn"]["by"]) == ("withdrawal", "Dr. Roe")
    assert [item.outcome for item in AlertAccount(ledger).communications()] == [
        "delivered", "withdrawal waiting", "sent", "withdrawal waiting"]
    assert [entry.actor for entry in Audit(ledger).entries("a1b2c3") if entry.event == "alert-withdrawn"] == ["Dr. Roe"]


def test_a_withdrawn_alert_is_not_sent_again_and_its_withdrawal_is(ledger: Ledger, told: Callable[..., None], clock: Any) -> None:
    told("a1b2c3", "s1", state="parked")
    desk = AlertDesk(ledger, Audit(ledger), clock)
    desk.withdraw("a1b2c3", "Dr. Roe", "withdrawal")
    ledger.finish_delivery("retract|ris|a1b2c3|1", "parked", clock.now())
    assert desk.resend("a1b2c3", "Dr. Roe") == 1
    assert [item.delivery_id for item in ledger.deliveries(states=["waiting"])] == ["retract|ris|a1b2c3|1"]


def test_of_each_receiver_the_newest_that_it_was_told_is_taken_back(
    ledger: Ledger, told: Callable[..., None], clock: Any,
) -> None:
    told("a1", "s1")
    told("a2", "s1", destination="ris2")
    AlertDesk(ledger, Audit(ledger), clock).withdraw("a2", "Dr. Roe", "withdrawal")
    assert owed(ledger) == ["retract|ris|a1|1", "retract|ris2|a2|2"]


def test_the_same_images_under_another_patient_take_back_what_was_told(
    ledger: Ledger, told: Callable[..., None], studies: Studies, look: Callable[..., None],
) -> None:
    look("s1", "1.2.3.9")
    told("a1", "s1")
    studies.held = {"s1", "s2"}
    look("s2", "1.2.3.9")
    assert (kind(ledger, "a1"), owed(ledger)) == ("wrong-patient", ["retract|ris|a1|1"])
    told("b1", "s2")
    for study in ("s1", "s2", "s1"):  # settings that change, or a start, have every study evaluated again
        look(study, "1.2.3.9")
    assert kind(ledger, "b1") is None, "the newer patient counts"
    assert owed(ledger) == ["retract|ris|a1|1"], "once"


def test_a_corrected_study_whose_images_got_new_uids_is_known_by_the_old_one_having_gone(
    ledger: Ledger, told: Callable[..., None], studies: Studies, look: Callable[..., None],
) -> None:
    look("s1", "1.2.3.9")
    told("a1", "s1")
    studies.held = {"s2"}
    look("s2", "1.2.3.77")
    assert kind(ledger, "a1") == "wrong-patient"


def test_one_uid_given_to_two_studies_by_a_scanner_s_fault_takes_nothing_back(
    ledger: Ledger, told: Callable[..., None], studies: Studies, look: Callable[..., None],
) -> None:
    look("s1", "1.2.3.9")
    told("a1", "s1")
    studies.held = {"s1", "s2"}
    look("s2", "1.2.3.77")
    assert kind(ledger, "a1") is None
    assert owed(ledger) == []


def test_a_study_that_is_deleted_takes_nothing_back(
    ledger: Ledger, told: Callable[..., None], studies: Studies, look: Callable[..., None], clock: Any,
) -> None:
    """An Orthanc deletes its oldest studies by itself when its disk is full: the finding stays true."""
    look("s1", "1.2.3.9")
    told("a1", "s1")
    ledger.mark_deleted("s1", clock.now())
    clock.move(timedelta(days=1).total_seconds())
    look("s1", "1.2.3.9")
    assert kind(ledger, "a1") is None
