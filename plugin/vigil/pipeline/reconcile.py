"""Finds what was lost: studies whose event a kill swallowed, analyses and deliveries that are owed and have no task.

Orthanc holds "stable" in memory: after a crash every study reads as stable, also one whose images are still arriving, and the
event never fires again. So stability is judged by the time without a new image, kept in the ledger, and nothing is judged
before Orthanc has run for StableAge and a grace time. Only changes since the installation are read: an archive stays
silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from vigil.domain.clock import Clock
from vigil.domain.errors import Category
from vigil.domain.gateway import Gateway
from vigil.pipeline.analyse import STORAGE, STORE
from vigil.pipeline.deliver import FORWARD, pacs_queue
from vigil.pipeline.engine import Engine, Task
from vigil.pipeline.evaluate import INFER, INFERENCE
from vigil.pipeline.urgency import Triage
from vigil.records.entries import RESULT_KINDS, WAITING
from vigil.records.ledger import Ledger
from vigil.telemetry.logs import Log

PAGE = 1000
SECOND = timedelta(seconds=1)
"""Orthanc's LastUpdate has whole seconds."""

CURED_BY_A_START = frozenset({
    Category.MODEL_FILE_MISSING, Category.MODEL_HASH_MISMATCH, Category.MODEL_INVALID, Category.MODEL_NOT_LOADED,
    Category.MODEL_QUARANTINED, Category.MODEL_PROCESS_ENDED, Category.MODEL_NOT_APPROVED, Category.SETTINGS_INVALID,
})
"""A model is taken up at a start, or when a person approves one, so what stood in its way may be gone after that."""


class Reconciler:
    """Reads Orthanc's change log from where it left off."""

    def __init__(self, *, gateway: Gateway, ledger: Ledger, engine: Engine, triage: Triage,
                 overdue: Callable[[], Iterable[Task]], clock: Clock, log: Log) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._engine = engine
        self._triage = triage
        self._overdue = overdue
        self._clock = clock
        self._log = log
        self._started_at = clock.now()
        self._first_look = True

    def find_lost_studies(self) -> int:
        """Notes every study that changed since the last look and whose events were not noted. Returns how many."""
        found: set[str] = set()
        since = self._ledger.change_cursor()
        while True:
            page = self._gateway.changes(since, PAGE)
            for change in page.changes:
                if change.kind == "NewInstance":
                    study = self._gateway.study_of(change.resource_id)
                    if study is not None:
                        found.add(study)
                elif change.kind in ("NewStudy", "StableStudy"):
                    found.add(change.resource_id)
            since = max(since, page.last_sequence)
            if page.done or not page.changes:
                break
        lost = self._note_all(found) if self._first_look else [study for study in found if self._note_if_lost(study)]
        self._ledger.advance_change_cursor(since)
        self._first_look = False
        if lost:
            self._log.info("lost-studies-found", studies=len(lost))
        return len(lost)

    def _note_all(self, found: set[str]) -> list[str]:
        """At the first look after a start any event of these may have been swallowed by a kill, and times cannot tell which:
        each is evaluated once more. What has not changed is recognised by its content."""
        known = [study for study in sorted(found) if self._gateway.study(study) is not None]
        self._ledger.touch_studies(known, self._started_at)
        return known

    def _note_if_lost(self, study_id: str) -> bool:
        study = self._gateway.study(study_id)
        if study is None:
            return False
        known = self._ledger.study_state(study_id)
        if known is not None and known.touched_at + SECOND >= study.last_update:
            return False  # its event was noted, and what is noted becomes due by itself
        self._ledger.touch_studies([study_id], study.last_update)
        return True

    def look_again_at_refused(self, max_study_age: timedelta) -> int:
        """Makes due every study that was refused, not long ago, because of the model: no image will arrive and tell us that the
        model was mended. One whose model is still broken gets the same answer again, which is no new one. Returns how many."""
        refused = self._ledger.studies_refused_for(CURED_BY_A_START, self._started_at - max_study_age)
        looked_at = 0
        for study in refused:
            known = self._ledger.study_state(study)
            if known is None or known.deleted_at is not None or known.evaluated_at is None or known.content_sha256 is None:
                continue  # gone, or due anyway
            self._ledger.mark_evaluated(study, known.evaluated_at, known.content_sha256, self._started_at)
            looked_at += 1
        if looked_at:
            self._log.info("refused-studies-due", studies=looked_at)
        return looked_at

    def promise_again(self) -> int:
        """Enqueues what the ledger says is owed and no task will do: a kill fell between the two, or the workflow store lost it.
        Returns how many were enqueued."""
        owed = [Task(STORE, record.analysis.analysis_id, STORAGE) if record.answer is not None
                else Task(INFER, record.analysis.analysis_id, INFERENCE) for record in self._ledger.unfinished_analyses()]
        owed += [Task(FORWARD, item.delivery_id, pacs_queue(item.destination))
                 for item in self._ledger.deliveries(states=[WAITING]) if item.kind in RESULT_KINDS]
        promised = self._engine.promise(owed, self._ranked)
        if promised:
            self._log.info("lost-tasks-found", tasks=promised)
        return promised + self.promise_overdue()

    def _ranked(self, task: Task) -> Task:
        """With the priority that it had when it was promised first."""
        record = self._ledger.analysis(task.subject) if task.kind == INFER else None
        return task if record is None else replace(task, priority=self._triage.turn(record.analysis).priority)

    def promise_overdue(self) -> int:
        """Alerts and messages to people that are due and that no task will bring soon: a person reopened them, or a kill or a
        clock that was put back left them waiting. A task too many finds nothing to do. Returns how many were enqueued."""
        promised = 0
        for task in self._overdue():
            self._engine.enqueue(task)
            promised += 1
        if promised:
            self._log.info("overdue-found", tasks=promised)
        return promised

    def due(self, quiet_s: float) -> list[str]:
        """Studies to evaluate: quiet for ``quiet_s`` and changed since they were last evaluated, or due for another look."""
        now: datetime = self._clock.now()
        return self._ledger.studies_due(now, now - timedelta(seconds=quiet_s))
