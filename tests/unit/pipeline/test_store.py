"""The label of a study that was answered: a convenience that no result waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from hospital.moving_clock import MovingClock
from vigil.domain.answer import Answer, AnswerKind, Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category
from vigil.domain.gateway import GatewayError
from vigil.inference.registry import InstalledModel
from vigil.pipeline.deliver import ALERT, ris_queue
from vigil.pipeline.engine import Task
from vigil.pipeline.permission import Permission
from vigil.pipeline.retry import Backoff
from vigil.pipeline.store import Storer
from vigil.records.audit import Audit
from vigil.records.entries import RESTORE, AnalysisRecord
from vigil.records.ledger import Ledger
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics


@dataclass
class Labelling:
    """An Orthanc that keeps labels, or knows none, or refuses them."""

    answer: bool | GatewayError = True
    labels: list[tuple[str, str]] = field(default_factory=list)

    def label(self, study: str, label: str) -> bool:
        if isinstance(self.answer, GatewayError):
            raise self.answer
        if self.answer:
            self.labels.append((study, label))
        return self.answer


class NobodyIsTold:
    def begin(self, record: AnalysisRecord) -> tuple[()]:
        return ()

    def promise(self, record: AnalysisRecord, destination: str) -> Task:
        return Task(ALERT, f"{destination} {record.analysis.analysis_id}", ris_queue(destination))


@pytest.fixture
def store(ledger: Ledger, clock: Clock, log: Log, models: dict[str, InstalledModel]) -> Callable[..., None]:
    def run(site: Settings, orthanc: Labelling, record: AnalysisRecord, restored_at: datetime | None = None) -> None:
        Storer(
            gateway=orthanc, ledger=ledger, audit=Audit(ledger), settings=site,  # type: ignore[arg-type]
            permission=Permission(site, models, clock.now() - timedelta(days=1)), alerts=NobodyIsTold(),  # type: ignore[arg-type]
            escalations=NobodyIsTold(), backoff=Backoff(1, 1), clock=clock, log=log,  # type: ignore[arg-type]
            metrics=Metrics(), restored_at=restored_at)(record.analysis.analysis_id, 1)

    return run


def state(ledger: Ledger, record: AnalysisRecord) -> str:
    found = ledger.analysis(record.analysis.analysis_id)
    assert found is not None
    return found.state


@pytest.mark.parametrize(("kind", "stage", "labelled"), [
    (AnswerKind.NEGATIVE, "live", True), (AnswerKind.POSITIVE, "live", True), (AnswerKind.MEASURED, "live", True),
    (AnswerKind.NOT_ANALYSED, "live", False), (AnswerKind.FAILED, "live", False), (AnswerKind.POSITIVE, "shadow", False)])
def test_a_study_is_labelled_where_a_live_model_itself_answered(
    kind: AnswerKind, stage: str, labelled: bool, store: Callable[..., None], answered: Callable[..., AnalysisRecord],
    settings: Callable[..., Settings], ledger: Ledger,
) -> None:
    reason = None if kind.analysed else Reason(Category.INCOMPLETE, "it is not whole")
    orthanc, record = Labelling(), answered(answer=Answer(kind, "Said.", reason=reason), stage=stage)

    store(settings(AnalysedLabel="vigil-analysed"), orthanc, record)

    assert orthanc.labels == ([(record.analysis.orthanc_study_id, "vigil-analysed")] if labelled else [])
    assert state(ledger, record) == ("shadow" if stage == "shadow" else "stored")


def test_no_study_is_labelled_unless_the_site_says_how(
    store: Callable[..., None], answered: Callable[..., AnalysisRecord], settings: Callable[..., Settings],
) -> None:
    orthanc = Labelling()

    store(settings(), orthanc, answered())

    assert orthanc.labels == []


@pytest.mark.parametrize("orthanc", [Labelling(answer=False), Labelling(answer=GatewayError("Orthanc refused a label"))])
def test_results_are_stored_where_orthanc_knows_no_labels_or_refuses_one(
    orthanc: Labelling, store: Callable[..., None], answered: Callable[..., AnalysisRecord],
    settings: Callable[..., Settings], ledger: Ledger,
) -> None:
    record = answered()

    store(settings(AnalysedLabel="vigil-analysed"), orthanc, record)

    assert state(ledger, record) == "stored"


@pytest.mark.parametrize(("kind", "minutes", "held"), [
    (AnswerKind.POSITIVE, 1, True), (AnswerKind.POSITIVE, -1, False), (AnswerKind.NEGATIVE, -1, False)])
def test_after_a_restore_a_positive_that_had_arrived_before_it_is_held(
    kind: AnswerKind, minutes: int, held: bool, store: Callable[..., None], answered: Callable[..., AnalysisRecord],
    settings: Callable[..., Settings], ledger: Ledger,
) -> None:
    record = answered(answer=Answer(kind, "Said."))
    arrived = record.analysis.arrived_at or record.analysis.created_at

    store(settings(), Labelling(), record, arrived + timedelta(minutes=minutes))

    hold = ledger.held(record.analysis.analysis_id)
    assert (hold is not None and hold.by == RESTORE) == held


@pytest.mark.parametrize(("begun_minutes_later", "told", "held"), [(0, False, True), (2, False, False), (0, True, False)])
def test_after_a_restore_a_negative_of_the_copy_is_held_lest_it_hides_a_positive_and_a_new_one_or_a_correction_is_not(
    begun_minutes_later: int, told: bool, held: bool, store: Callable[..., None], answered: Callable[..., AnalysisRecord],
    settings: Callable[..., Settings], ledger: Ledger, clock: MovingClock,
) -> None:
    site = settings(Ris={"ris": {"Host": "127.0.0.1", "Port": 2575}})
    arrived = clock.now()
    if told:
        before = answered("before", study="study").analysis
        ledger.begin_delivery("d", "ris", "hl7", before.analysis_id, before.revision, clock.now())
        ledger.freeze_message("d", "control-id", b"MSH", clock.now())
    clock.move(60 * begun_minutes_later)
    record = answered("after", Answer(AnswerKind.NEGATIVE, "Said."), study="study", arrived_at=arrived)

    store(site, Labelling(), record, arrived + timedelta(minutes=1))

    assert (ledger.held("after") is not None) == held


def test_what_a_person_let_go_after_a_restore_is_not_held_again(
    store: Callable[..., None], answered: Callable[..., AnalysisRecord], settings: Callable[..., Settings], ledger: Ledger,
    clock: Clock,
) -> None:
    record = answered(answer=Answer(AnswerKind.POSITIVE, "Said."))
    restored_at = clock.now() + timedelta(minutes=1)
    store(settings(), Labelling(), record, restored_at)
    ledger.begin_critical(record.analysis.analysis_id, 1, clock.now())
    assert ledger.release(record.analysis.analysis_id)

    store(settings(), Labelling(), record, restored_at)

    assert ledger.held(record.analysis.analysis_id) is None
