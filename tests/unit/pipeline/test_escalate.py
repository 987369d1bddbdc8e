"""Ladders climbed over a real ledger: what is promised when, what ends it, and what a kill or a clock does to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hospital.mailbox import Mailbox
from hospital.pager import Pager
from vigil.delivery.escalation.link import Links
from vigil.delivery.escalation.notice import mail_text, webhook_object
from vigil.domain.answer import Answer, AnswerKind, Finding, Part, Reason, joined
from vigil.domain.concepts import Code
from vigil.domain.errors import Category
from vigil.inference.registry import InstalledModel
from vigil.pipeline import escalate
from vigil.pipeline.desk import AlertDesk
from vigil.pipeline.errors import AlertUnchanged, AlertUnknown
from vigil.pipeline.escalate import Escalations
from vigil.pipeline.notify import Notices, Notifier
from vigil.pipeline.permission import Permission
from vigil.pipeline.promise import AlertPromises
from vigil.pipeline.reference import References
from vigil.pipeline.told import newest_answer
from vigil.records.audit import Audit
from vigil.records.entries import STAT, WITHDRAWAL, AnalysisRecord
from vigil.records.ledger import Ledger
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

NEGATIVE = Answer(AnswerKind.NEGATIVE, "Hyperdense volume 0.0 mL, below the threshold of 5.0 mL. This does not exclude it.")
FAILED = Answer(AnswerKind.FAILED, "The analysis failed.", reason=Reason(Category.INFERENCE_FAILED, "no memory"))
SECRET = "shared"


class NoImages:
    def dicom(self, instance: str) -> bytes | None:
        return None


def no_images(ledger: Ledger, site: Settings) -> References:
    return References(NoImages(), ledger, site)  # type: ignore[arg-type]


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def pager(clock: Any) -> Pager:
    return Pager(SECRET.encode(), clock=lambda: clock.now().timestamp())


@pytest.fixture
def site(settings: Callable[..., Settings], tmp_path: Path, mailbox: Mailbox, pager: Pager) -> Settings:
    (tmp_path / "secret").write_text(SECRET)
    steps = [{"AfterMinutes": 0, "Tell": ["mail"]}, {"AfterMinutes": 10, "Tell": ["pager", "ris2"]}]
    return settings(
        Ris={"ris": {"Host": "127.0.0.1", "Port": 2575}, "ris2": {"Host": "127.0.0.1", "Port": 2576}},
        Retry={"FirstDelaySeconds": 5, "MaximumDelaySeconds": 300},
        Escalation={
            "Mail": {"mail": {"Host": "127.0.0.1", "Port": mailbox.port, "Security": "none", "Sender": "vigil@h.example",
                              "To": ["oncall@h.example"]}},
            "Webhooks": {"pager": {"Url": f"http://127.0.0.1:{pager.port}", "SecretFile": str(tmp_path / "secret")}},
            "Ladders": {"Category1": steps, "Category2": steps},
        })


@pytest.fixture
def escalations(site: Settings, ledger: Ledger, models: dict[str, InstalledModel], clock: Any, log: Log) -> Escalations:
    alerts = AlertPromises(references=no_images(ledger, site), ledger=ledger, clock=clock)
    return Escalations(ledger=ledger, audit=Audit(ledger), settings=site, permission=Permission(site, models, clock.now()),
                       alerts=alerts, clock=clock, log=log)


@pytest.fixture
def desk(ledger: Ledger, clock: Any) -> AlertDesk:
    return AlertDesk(ledger, Audit(ledger), clock)


@pytest.fixture
def notifier(
    site: Settings, ledger: Ledger, models: dict[str, InstalledModel], desk: AlertDesk, clock: Any, log: Log,
) -> Notifier:
    notices = Notices(references=no_images(ledger, site), settings=site, models=models,
                      links=Links(b"k" * 32, None, timedelta(hours=1)))
    return Notifier(ledger=ledger, audit=Audit(ledger), settings=site, notices=notices, desk=desk, clock=clock,
                    stop=threading.Event(), log=log, metrics=Metrics())


def subjects(tasks: Any) -> list[str]:
    return [f"{task.kind} {task.subject}" for task in tasks]


def told(ledger: Ledger, alert: str) -> dict[tuple[int, str], str]:
    return {(note.step, note.channel): note.state for note in ledger.notifications(alert)}


def state(ledger: Ledger, alert: str) -> str:
    critical = ledger.critical(alert)
    assert critical is not None
    return critical.state


def test_a_positive_begins_its_ladder_and_each_step_has_its_own_task(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    record = answered("a1")
    task, = escalations.begin(record)
    first = escalations(task.subject, 1)
    assert subjects(first.follow) == ["notify a1|0|mail", "escalate a1"]
    assert first.follow[1].delay_s == 600
    clock.move(600)
    second = escalations("a1", first.follow[1].attempt)
    assert sorted(subjects(second.follow)) == ["alert deliver|ris2|a1|1", "notify a1|0|mail", "notify a1|1|pager"]
    assert told(ledger, "a1") == {(0, "mail"): "waiting", (1, "pager"): "waiting", (1, "ris2"): "sent"}
    assert [item.destination for item in ledger.deliveries("a1")] == ["ris2"]


@pytest.mark.parametrize("answer", [NEGATIVE, FAILED])
def test_nobody_is_told_of_anything_but_a_positive(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord], answer: Answer,
) -> None:
    assert escalations.begin(answered("a1", answer)) == []
    assert ledger.critical("a1") is None


def test_a_research_model_that_nobody_answers_for_tells_nobody(
    settings: Callable[..., Settings], site: Settings, ledger: Ledger, models: dict[str, InstalledModel],
    answered: Callable[..., AnalysisRecord], clock: Any, log: Log,
) -> None:
    alone = settings(Models={"hyperdense-volume-ct-head": {"Stage": "live"}}).model_copy(update={"escalation": site.escalation})
    escalations = Escalations(
        ledger=ledger, audit=Audit(ledger), settings=alone, permission=Permission(alone, models, clock.now()), clock=clock,
        log=log, alerts=AlertPromises(references=no_images(ledger, site), ledger=ledger, clock=clock))
    assert escalations.begin(answered("a1")) == []
    assert ledger.critical("a1") is None


def test_a_kill_between_ledger_and_workflow_store_repeats_the_promise_and_makes_no_second(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    escalations.begin(answered("a1"))
    before = escalations("a1", 1)
    clock.move(3)
    again = escalations("a1", 1)
    assert before.follow[0].workflow_id == again.follow[0].workflow_id
    assert len(ledger.notifications("a1")) == 1


def test_an_acknowledgement_ends_it_and_what_waits_is_not_sent(
    escalations: Escalations, notifier: Notifier, desk: AlertDesk, ledger: Ledger, answered: Callable[..., AnalysisRecord],
) -> None:
    escalations.begin(answered("a1b2c3"))
    escalations("a1b2c3", 1)
    assert desk.acknowledge(desk.find("a1b2c3").analysis_id, "Dr. Roe", "command")
    assert not desk.acknowledge("a1b2c3", "Dr. Ito", "command")
    assert notifier("a1b2c3|0|mail", 1).follow == ()
    assert told(ledger, "a1b2c3") == {(0, "mail"): "withheld"}
    assert escalations("a1b2c3", 2).follow == ()
    last = Audit(ledger).entries("a1b2c3")
    assert [(entry.event, entry.actor, entry.role) for entry in last if entry.role == "person"] == [
        ("critical-acknowledged", "Dr. Roe", "person")]


def test_a_dead_mail_server_delays_no_other_channel_and_is_tried_less_and_less(
    escalations: Escalations, notifier: Notifier, ledger: Ledger, answered: Callable[..., AnalysisRecord], pager: Pager,
    clock: Any,
) -> None:
    escalations.begin(answered("a1"))
    escalations("a1", 1)
    delays = []
    for _ in range(5):
        again, = notifier("a1|0|mail", 1).follow
        delays.append(again.delay_s)
        assert again.queue == "people-mail"
        clock.move(again.delay_s)
    assert delays == [5, 10, 20, 30, 30], "category 1 is never kept waiting for longer"
    clock.move(600)
    escalations("a1", 2)
    with pager:
        assert notifier("a1|1|pager", 1).follow == ()
        assert len(pager.pages) == 1
    assert told(ledger, "a1") == {(0, "mail"): "waiting", (1, "pager"): "sent", (1, "ris2"): "sent"}


def test_a_channel_that_was_down_has_refused_nothing(
    escalations: Escalations, notifier: Notifier, ledger: Ledger, answered: Callable[..., AnalysisRecord], mailbox: Mailbox,
) -> None:
    escalations.begin(answered("a1", category=2))
    escalations("a1", 1)
    for _ in range(5):
        notifier("a1|0|mail", 1)
    mailbox.answer = "554 no"
    with mailbox:
        assert [len(notifier("a1|0|mail", 1).follow) for _ in range(3)] == [1, 1, 0]


def test_a_channel_that_says_no_for_good_is_given_up_and_shown(
    escalations: Escalations, notifier: Notifier, ledger: Ledger, answered: Callable[..., AnalysisRecord], mailbox: Mailbox,
) -> None:
    escalations.begin(answered("a1", category=2))
    escalations("a1", 1)
    mailbox.answer = "554 no"
    with mailbox:
        delays = [[task.delay_s for task in notifier("a1|0|mail", 1).follow] for _ in range(3)]
    assert delays == [[300], [300], []]
    note = ledger.notification("a1", 0, "mail")
    assert note is not None
    assert note.reason is not None
    assert (note.state, note.attempts, note.reason.category) == ("failed", 3, Category.DESTINATION_REFUSED)


def test_whoever_was_told_of_a_positive_is_told_when_it_no_longer_stands(
    escalations: Escalations, notifier: Notifier, ledger: Ledger, desk: AlertDesk, answered: Callable[..., AnalysisRecord],
    mailbox: Mailbox,
) -> None:
    escalations.begin(answered("a1", study="s"))
    escalations("a1", 1)
    with mailbox:
        notifier("a1|0|mail", 1)
        desk.acknowledge("a1", "Dr. Roe", "command")
        look, = escalations.begin(answered("a2", NEGATIVE, study="s"))
        assert look.subject == "a1"
        for task in escalations(look.subject, look.attempt).follow:
            notifier(task.subject, task.attempt)
        assert [item.message["Subject"].partition(" (")[0] for item in mailbox.received] == [
            "AI alert, category 1, not yet acknowledged", "AI alert withdrawn, category 1: disregard the one sent before"]
        assert escalations(look.subject, look.attempt).follow == (), "once"
    assert told(ledger, "a1") == {(0, "mail"): "sent", (WITHDRAWAL, "mail"): "sent"}


def test_whoever_was_told_is_told_why_a_person_withdrew_it_and_nobody_else_is_told(
    escalations: Escalations, notifier: Notifier, ledger: Ledger, desk: AlertDesk, answered: Callable[..., AnalysisRecord],
    mailbox: Mailbox, clock: Any,
) -> None:
    record = answered("a1")
    escalations.begin(record)
    escalations("a1", 1)
    with mailbox:
        notifier("a1|0|mail", 1)
        desk.withdraw("a1", "Dr. Roe", "wrong-patient")
        clock.move(600)
        assert escalations("a1", 2).follow == ()
        task, = escalations.overdue()
        notifier(task.subject, task.attempt)
        assert "taken back by Dr. Roe" in mailbox.received[-1].text
        assert len(mailbox.received) == 2
    assert told(ledger, "a1") == {(0, "mail"): "sent", (WITHDRAWAL, "mail"): "sent"}
    assert escalations.begin(record) == [], "a replay begins no ladder of what was withdrawn"


def test_a_ris_that_a_step_told_gets_the_newer_answer_too(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    escalations.begin(answered("a1", study="s"))
    clock.move(600)
    escalations("a1", 1)
    tasks = escalations.begin(answered("a2", NEGATIVE, study="s"))
    assert subjects(tasks) == ["escalate a1", "alert deliver|ris2|a2|2"]
    corrects = ledger.delivery("deliver|ris2|a2|2")
    assert corrects is not None
    assert corrects.priority == STAT, "what corrects an urgent alert is as urgent"


def test_a_secret_that_cannot_be_read_is_told_before_it_is_needed(notifier: Notifier, tmp_path: Path) -> None:
    assert notifier.missing() == []
    (tmp_path / "secret").unlink()
    said, = notifier.missing()
    assert "webhook 'pager'" in said
    assert "secret cannot be read" in said


def test_a_failure_replaces_nothing_and_a_newer_positive_has_a_ladder_of_its_own(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord],
) -> None:
    escalations.begin(answered("a1", study="s"))
    answered("a2", NEGATIVE, study="s", stage="shadow")
    look, = escalations.begin(answered("a2b", FAILED, study="s"))
    assert subjects(escalations(look.subject, look.attempt).follow) == ["notify a1|0|mail", "escalate a1"]
    ledger.record_notification("a1", 0, "mail", "sent", ledger._clock.now())
    tasks = escalations.begin(answered("a3", study="s"))
    assert subjects(tasks) == ["escalate a1", "escalate a3"]
    assert escalations("a1", 5).follow == ()
    assert (state(ledger, "a1"), state(ledger, "a3")) == ("ended", "open")
    assert told(ledger, "a1") == {(0, "mail"): "sent"}


def test_whoever_was_told_of_one_of_several_findings_is_told_when_another_stands_in_its_place(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord],
) -> None:
    one, two = (Code(value, "99T", f"Finding {value}") for value in "12")

    def of(found: Code, absent: Code) -> Answer:
        parts = tuple(Part(code, code, code, kind, f"{code.meaning}.") for code, kind in (
            (found, AnswerKind.POSITIVE), (absent, AnswerKind.NEGATIVE)))
        return Answer(AnswerKind.POSITIVE, joined(parts), parts=parts, findings=(
            Finding(found, found, found, (), kind=AnswerKind.POSITIVE, acr_category=1),))

    for newest, answer, withdrawn in (("a2", of(one, two), False), ("a3", of(two, one), True)):
        if newest == "a2":
            escalations.begin(answered("a1", of(one, two), study="s"))
            escalations("a1", 1)
            ledger.record_notification("a1", 0, "mail", "sent", ledger._clock.now())
        escalations.begin(answered(newest, answer, study="s"))
        escalations("a1", 5)
        assert ((WITHDRAWAL, "mail") in told(ledger, "a1")) is withdrawn, newest


def test_a_message_names_of_several_findings_what_is_positive_alone(
    escalations: Escalations, answered: Callable[..., AnalysisRecord], ledger: Ledger, site: Settings,
    models: dict[str, InstalledModel],
) -> None:
    codes = [Code(value, "99T", f"Finding {value}") for value in "123"]
    kinds = (AnswerKind.INDETERMINATE, AnswerKind.POSITIVE, AnswerKind.NEGATIVE)
    parts = tuple(Part(code, code, code, kind, f"{code.meaning}.") for code, kind in zip(codes, kinds, strict=True))
    record = answered("a1", Answer(AnswerKind.POSITIVE, joined(parts), parts=parts, findings=(
        Finding(codes[0], codes[0], codes[0], (), kind=kinds[0]),
        Finding(codes[1], codes[1], codes[1], (), kind=kinds[1], acr_category=1))))
    escalations.begin(record)
    critical = ledger.critical("a1")
    assert critical is not None
    content = site.escalation.content.model_copy(update={"finding": True})
    named = site.model_copy(update={"escalation": site.escalation.model_copy(update={"content": content})})
    notices = Notices(references=no_images(ledger, site), settings=named, models=models,
                      links=Links(b"k" * 32, None, timedelta(hours=1)))
    assert notices.make(critical, record, 0, "mail").finding == "Finding 2"


def test_a_hold_ends_it_and_letting_go_begins_it_anew(
    escalations: Escalations, ledger: Ledger, desk: AlertDesk, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    escalations.begin(answered("a1"))
    desk.hold("a1", "Dr. Roe")
    with pytest.raises(AlertUnchanged, match="held already"):
        desk.hold("a1", "Dr. Roe")
    assert escalations("a1", 1).follow == ()
    assert state(ledger, "a1") == "ended"
    clock.move(7200)
    assert desk.resend("a1", "Dr. Roe") == 0
    assert state(ledger, "a1") == "open"
    clock.move(6)
    assert subjects(escalations.overdue()) == ["escalate a1"]
    assert subjects(escalations("a1", 2).follow) == ["notify a1|0|mail", "escalate a1"]


def test_after_the_final_report_nothing_is_sent_again(
    escalations: Escalations, desk: AlertDesk, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    escalations.begin(answered("a1"))
    clock.move(600)
    escalations("a1", 1)
    assert state(ledger, "a1") == "open", "climbed to its end"
    desk.reported("a1", "Dr. Roe")
    clock.move(10)
    assert "escalate a1" in subjects(escalations.overdue())
    with pytest.raises(AlertUnchanged, match="final report"):
        desk.resend("a1", "Dr. Roe")
    escalations("a1", 1)
    assert state(ledger, "a1") == "ended"


@pytest.mark.parametrize("beginning", ["", "a1b2", "ffffff", "a1b2c%"])
def test_an_alert_is_named_by_enough_of_its_id(
    escalations: Escalations, desk: AlertDesk, answered: Callable[..., AnalysisRecord], beginning: str,
) -> None:
    escalations.begin(answered("a1b2c3d4"))
    escalations.begin(answered("a1b2c3ff"))
    assert desk.find("a1b2c3d").analysis_id == "a1b2c3d4"
    with pytest.raises(AlertUnknown, match="more than one"):
        desk.find("a1b2c3")
    with pytest.raises(AlertUnknown, match="no alert"):
        desk.find(beginning)


def test_after_a_restored_backup_nobody_is_told_of_old_alerts_and_they_are_shown(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    escalations.begin(answered("a1"))
    clock.move(3 * 86_400)
    assert escalations("a1", 1).follow == ()
    assert told(ledger, "a1") == {(0, "mail"): "withheld", (1, "pager"): "withheld", (1, "ris2"): "withheld"}
    assert ledger.deliveries("a1") == []
    assert state(ledger, "a1") == "open"


def test_a_clock_that_was_put_back_makes_the_ladder_count_anew(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    escalations.begin(answered("a1"))
    first = escalations("a1", 1)
    ledger.record_notification("a1", 0, "mail", "sent", clock.now())
    clock.move(-30 * 86_400)
    assert subjects(escalations.overdue()) == ["escalate a1"]
    assert list(escalations.overdue()) == [], "not over and over"
    again, = escalations("a1", 2).follow
    assert again.delay_s == 600, "and not a month"
    assert again.attempt < first.follow[1].attempt
    clock.move(600)
    escalations("a1", again.attempt)
    assert told(ledger, "a1")[(1, "pager")] == "waiting"


def test_a_clock_that_is_put_back_by_an_hour_delays_no_step_by_an_hour(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed = [0.0]
    monkeypatch.setattr(escalate.time, "monotonic", lambda: passed[0])

    def pass_by(seconds: float) -> list[str]:
        passed[0] += seconds
        clock.move(seconds)
        return subjects(escalations.overdue())

    escalations.begin(answered("a1"))
    escalations("a1", 1)
    ledger.record_notification("a1", 0, "mail", "sent", clock.now())
    assert pass_by(300) == []
    clock.move(-3600)
    assert pass_by(2) == []
    assert pass_by(290) == []
    assert pass_by(20) == ["escalate a1"], "ten minutes after the finding, as by any other clock"
    escalations("a1", 2)
    assert told(ledger, "a1")[(1, "pager")] == "waiting"


def test_lost_tasks_are_found(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    escalations.begin(answered("a1"))
    assert list(escalations.overdue()) == []
    clock.move(10)
    assert subjects(escalations.overdue()) == ["escalate a1"]
    escalations("a1", 1)
    clock.move(10)
    assert subjects(escalations.overdue()) == ["notify a1|0|mail"]


ONE, TWO = (Code(value, "99T", f"Finding {value}") for value in ("A", "B"))
P, N, X = AnswerKind.POSITIVE, AnswerKind.NEGATIVE, AnswerKind.NOT_ANALYSED


def of_two(one: AnswerKind, two: AnswerKind, categories: tuple[int | None, int | None] = (1, None)) -> Answer:
    said = tuple(zip((ONE, TWO), (one, two), categories, strict=True))
    parts = tuple(Part(code, code, code, kind, f"{code.meaning}.") for code, kind, _ in said)
    return Answer(P, joined(parts), parts=parts, findings=tuple(
        Finding(code, code, code, (), kind=kind, acr_category=category) for code, kind, category in said if kind is P))


def test_an_alarm_goes_on_where_a_newer_analysis_could_not_judge_what_it_is_about(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord], clock: Any,
) -> None:
    """As of a single finding whose newer analysis could not be made."""
    escalations.begin(answered("a1", of_two(P, P), study="s"))
    escalations("a1", 1)
    escalations.begin(answered("a2", of_two(X, P), study="s"))
    escalations("a1", 5)
    assert state(ledger, "a1") == "open"
    clock.move(600)
    assert "notify a1|1|pager" in subjects(escalations("a1", 6).follow)
    escalations.begin(answered("a3", of_two(N, P), study="s"))
    escalations("a1", 7)
    assert state(ledger, "a1") == "ended"


def test_what_is_told_of_the_same_images_again_pages_nobody_twice(
    escalations: Escalations, ledger: Ledger, desk: AlertDesk, answered: Callable[..., AnalysisRecord],
) -> None:
    """An early positive of several findings leaves the others open, so the images are looked at again when all are there."""
    early = Reason(Category.STILL_ARRIVING, "12 of 24 images")
    escalations.begin(answered("a1", of_two(P, X), study="s", refusal=early, inputs="same"))
    escalations("a1", 1)
    desk.acknowledge("a1", "Dr. Roe", "console")
    tasks = escalations.begin(answered("a2", of_two(P, N), study="s", inputs="same"))
    assert "escalate a2" not in subjects(tasks)
    assert ledger.critical("a2") is None
    escalations("a1", 5)
    assert (WITHDRAWAL, "mail") not in told(ledger, "a1")
    assert state(ledger, "a1") == "acknowledged"
    tasks = escalations.begin(answered("a3", of_two(P, P, (1, 1)), study="s"))
    assert "escalate a3" in subjects(tasks), "what is new is told"


def test_what_is_found_besides_when_all_images_are_there_is_told(
    escalations: Escalations, answered: Callable[..., AnalysisRecord],
) -> None:
    early = Reason(Category.STILL_ARRIVING, "12 of 24 images")
    escalations.begin(answered("a1", of_two(P, X), study="s", refusal=early, inputs="same"))
    assert "escalate a2" in subjects(escalations.begin(answered("a2", of_two(P, P, (1, 1)), study="s", inputs="same")))


def test_a_withdrawal_names_what_no_longer_stands_and_what_does(
    escalations: Escalations, ledger: Ledger, answered: Callable[..., AnalysisRecord], notifier: Notifier, mailbox: Mailbox,
    site: Settings, models: dict[str, InstalledModel],
) -> None:
    first = answered("a1", of_two(P, P, (1, 1)), study="s")
    escalations.begin(first)
    escalations("a1", 1)
    ledger.record_notification("a1", 0, "mail", "sent", ledger._clock.now())
    escalations.begin(answered("a2", of_two(N, P, (1, 3)), study="s"))
    escalations("a1", 5)
    assert (WITHDRAWAL, "mail") in told(ledger, "a1")
    content = site.escalation.content.model_copy(update={"finding": True})
    named = site.model_copy(update={"escalation": site.escalation.model_copy(update={"content": content})})
    notices = Notices(references=no_images(ledger, site), settings=named, models=models,
                      links=Links(b"k" * 32, None, timedelta(hours=1)))
    critical, record = ledger.critical("a1"), ledger.analysis("a1")
    assert critical is not None
    assert record is not None
    notice = notices.make(critical, record, WITHDRAWAL, "mail", newer=newest_answer(ledger, record))
    assert (notice.in_part, notice.finding, notice.stands) == (True, "Finding A", "Finding B")
    subject, body = mail_text(notice)
    assert "withdrawn in part, category 1: the rest of the one sent before stands" in subject
    assert "Withdrawn: Finding A" in body
    assert "Stands: Finding B" in body
    assert webhook_object(notice, "m")["in_part"] is True
    whole = notices.make(critical, record, WITHDRAWAL, "mail", newer=NEGATIVE)
    assert (whole.in_part, whole.finding) == (False, "Finding A, Finding B")
    with mailbox:
        notifier(f"a1|{WITHDRAWAL}|mail", 1)
        (mail,) = mailbox.wait_for(1)
    assert "withdrawn in part" in mail.message["Subject"]
