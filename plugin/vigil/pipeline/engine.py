"""Durable execution: what was promised is done, also after kill -9.

A task is one step: it does its work, says whether it is done or when to try again, and names the tasks that follow. DBOS
keeps tasks in its own database (only ids, never patient data) and hands an unfinished one out again after a restart. A task
that must wait is not a sleeping thread but the next attempt, enqueued with a delay: so nothing waits at a stop, and a
waiting message holds up no other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from vigil.domain.errors import Stopping
from vigil.pipeline.errors import EngineNotStarted
from vigil.pipeline.retry import Backoff
from vigil.records.private import make_private_file

if TYPE_CHECKING:
    from dbos import DBOS

APPLICATION_VERSION = "1"
"""Constant, because DBOS recovers only work of its own version. Raised when a task changes its meaning."""

START_ATTEMPTS = 5
AFTER_A_FAULT = Backoff(first_s=1.0, maximum_s=300.0)
"""When a worker is tried again that could not even write down why it failed."""
UNFINISHED = ["ENQUEUED", "DELAYED", "PENDING"]
QUEUE = "tasks"
"""The one queue that DBOS polls. Ours are partitions of it: each look at a queue costs 3 ms of the processor, so a queue of
DBOS for each destination would keep a quiet Orthanc at 15 % of a core (docs/performance.md)."""
POLLING_S = 0.25
"""A study waits for it three times: before inference, storing and delivery."""


@dataclass(frozen=True)
class Task:
    """One step of work: ``kind`` names the worker, ``subject`` what it works on (an analysis id or a delivery id)."""

    kind: str
    subject: str
    queue: str
    attempt: int = 1
    delay_s: float = 0.0
    priority: int = 0
    """Among the tasks that wait in one queue: the lowest number first, then the oldest."""

    @property
    def workflow_id(self) -> str:
        """The idempotency key: the same task is enqueued once, whoever asks and however often."""
        return f"{self.kind}|{self.subject}|{self.attempt}"


@dataclass(frozen=True)
class Verdict:
    """What a worker says: done (then ``follow``), or again after ``retry_after_s``."""

    retry_after_s: float | None = None
    follow: tuple[Task, ...] = ()


class Worker(Protocol):
    """Does a task. Idempotent: a kill after the effect and before its record repeats it. What it raises (a ledger that is
    locked or full) is told to ``on_fault``, and the task tried again."""

    def __call__(self, subject: str, attempt: int) -> Verdict: ...


class Engine:
    """The workflow store and its queues."""

    def __init__(self, *, database: Path, workers: Mapping[str, Worker], queues: Collection[str],
                 on_fault: Callable[[str, Exception], None], polling_s: float = POLLING_S) -> None:
        """``queues``: their names. One task of a queue runs at a time, and holds up no other queue. ``on_fault``: gets the kind
        of the task and the error."""
        self._database = database
        self._workers = dict(workers)
        self._queues = frozenset(queues)
        self._on_fault = on_fault
        self._polling_s = polling_s
        self._dbos: type[DBOS] | None = None
        self._perform: Callable[..., None] | None = None
        self._trouble: dict[str, Exception] = {}
        self._running: set[str] = set()
        self._stranded: set[str] = set()

    def start(self) -> None:
        """Opens the store and takes up what a previous process left. Raises :class:`EngineNotStarted`."""
        from dbos import DBOS, DBOSPortableJSONSerializer

        for name in ("dbos", "dbos.queue"):
            logging.getLogger(name).setLevel(logging.ERROR)
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._prepare_file()
                DBOS(config={
                    "name": "vigil",
                    "system_database_url": f"sqlite:///{self._database}",
                    "application_version": APPLICATION_VERSION,
                    "executor_id": "vigil",
                    "serializer": DBOSPortableJSONSerializer(),
                    "log_level": "ERROR",
                    "enable_otlp": False,
                    "notification_listener_polling_interval_sec": 1.0,
                })
                self._perform = self._register(DBOS)
                DBOS.launch()
                break
            except (SQLAlchemyError, OSError) as error:
                DBOS.destroy(destroy_registry=True)
                if attempt == START_ATTEMPTS:
                    raise EngineNotStarted(
                        f"the workflow store {self._database} could not be opened ({type(error).__name__}); see that the "
                        "state directory is writable, has free space and is used by no other Orthanc") from error
                time.sleep(0.5 * attempt)
        self._dbos = DBOS
        DBOS.register_queue(QUEUE, partition_worker_concurrency=1, polling_interval_sec=self._polling_s,
                            on_conflict="always_update")

    def _prepare_file(self) -> None:
        """Write-ahead logging is a property of the file and doubles the throughput (docs/performance.md)."""
        make_private_file(self._database)
        store = create_engine(f"sqlite:///{self._database}")
        with store.connect() as connection:
            connection.execute(text("PRAGMA journal_mode=WAL"))
        store.dispose()

    def _register(self, dbos: type[DBOS]) -> Callable[..., None]:
        workers = self._workers

        def act(kind: str, subject: str, attempt: int) -> dict[str, Any]:
            try:
                verdict = workers[kind](subject, attempt)
                self._trouble.pop(kind, None)
            except Stopping:
                verdict = Verdict(retry_after_s=1.0)
            except Exception as error:  # noqa: BLE001 - the edge of a task: an error that got through would end it for ever, and
                # DBOS would write its text, which may quote a patient, into the workflow store and to stderr
                self._trouble[kind] = error
                self._on_fault(kind, error)
                verdict = Verdict(retry_after_s=AFTER_A_FAULT.delay_s(attempt))
            return {"retry_after_s": verdict.retry_after_s,
                    "follow": [[task.kind, task.subject, task.queue, task.attempt, task.delay_s, task.priority]
                               for task in verdict.follow]}

        step = dbos.step(name="act")(act)

        @dbos.workflow(name="perform", max_recovery_attempts=1000)
        def perform(kind: str, subject: str, queue: str, attempt: int, priority: int = 0) -> None:
            task = Task(kind, subject, queue, attempt, priority=priority)
            self._running.add(task.workflow_id)
            try:
                verdict = step(kind, subject, attempt)
                if verdict["retry_after_s"] is not None:
                    self.enqueue(replace(task, attempt=attempt + 1, delay_s=float(verdict["retry_after_s"])))
                for follow in verdict["follow"]:
                    self.enqueue(Task(*follow))
            finally:
                self._running.discard(task.workflow_id)

        return perform

    def enqueue(self, task: Task) -> None:
        """Promises a task, once: a task that was ever enqueued is not enqueued again."""
        from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

        if self._perform is None:
            raise EngineNotStarted("the workflow engine is not running")
        options = SetEnqueueOptions(queue_partition_key=task.queue, delay_seconds=task.delay_s or None,
                                    priority=task.priority or None)
        with SetWorkflowID(task.workflow_id), options:
            DBOS.enqueue_workflow(QUEUE, self._perform, task.kind, task.subject, task.queue, task.attempt, task.priority)

    def trouble(self) -> list[Exception]:
        """What the newest task of a kind raised, for as long as none of its kind has ended well since."""
        return list(self._trouble.values())

    def unfinished(self) -> int:
        """How many tasks wait or run."""
        if self._dbos is None:
            return 0
        return len(self._dbos.list_workflows(status=list(UNFINISHED), load_input=False, load_output=False))

    def promise(self, tasks: Iterable[Task], ranked: Callable[[Task], Task] = lambda task: task) -> int:
        """Enqueues those of the tasks that have no unfinished attempt, each as a new attempt where it had one. The ledger says
        what is owed, so nothing is lost with a workflow store that was full, damaged or put back. ``ranked``: a task with its
        priority; called for what is enqueued alone. Returns how many were enqueued."""
        if self._dbos is None:
            return 0
        held = self._dbos.list_workflows(status=list(UNFINISHED), load_input=False, load_output=False)
        given_up = self._give_up_stranded({item.workflow_id for item in held if item.status == "PENDING"})
        unfinished = {item.workflow_id.rpartition("|")[0] for item in held if item.workflow_id not in given_up}
        promised = 0
        for task in tasks:
            prefix = task.workflow_id.rpartition("|")[0]
            if prefix in unfinished or task.queue not in self._queues:
                continue
            self.enqueue(replace(ranked(task), attempt=self._newest_attempt(prefix) + 1))
            unfinished.add(prefix)
            promised += 1
        return promised

    def _give_up_stranded(self, pending: set[str]) -> set[str]:
        """Tasks that count as running and do not run: the store was full when their end should have been written. DBOS takes them
        up at its next start only. One that is found so at two looks is cancelled, so that it can be promised anew."""
        stranded = pending - self._running
        given_up = stranded & self._stranded
        for workflow_id in given_up:
            assert self._dbos is not None  # noqa: S101 - asked by promise alone
            self._dbos.cancel_workflow(workflow_id)
        self._stranded = stranded - given_up
        return given_up

    def dead(self) -> Iterable[str]:
        """Ids of tasks that ended in an error of the engine and were not promised again: shown, never forgotten (law 6)."""
        if self._dbos is None:
            return []
        found = self._dbos.list_workflows(status=["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"], load_input=False,
                                          load_output=False)
        return [item.workflow_id for item in found if not self._tried_after(item.workflow_id)]

    def _tried_after(self, workflow_id: str) -> bool:
        prefix, _, attempt = workflow_id.rpartition("|")
        return self._newest_attempt(prefix) > int(attempt)

    def _newest_attempt(self, prefix: str) -> int:
        """Of all tasks of this kind and subject, also of those that ended; 0 where there is none."""
        assert self._dbos is not None  # noqa: S101 - its callers look
        held = self._dbos.list_workflows(workflow_id_prefix=prefix + "|", load_input=False, load_output=False)
        return max((int(item.workflow_id.rpartition("|")[2]) for item in held), default=0)

    def stop(self, timeout_s: int) -> None:
        """Ends the threads; what is unfinished is taken up at the next start."""
        if self._dbos is None:
            return
        from dbos import DBOS

        self._dbos = None
        with suppress(SQLAlchemyError):
            DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=timeout_s)
