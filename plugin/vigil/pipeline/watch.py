"""Three threads that turn events into evaluations: one takes events, one evaluates, one looks for what was lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from vigil.domain.clock import Clock
from vigil.domain.errors import Category, Stopping, VigilError, in_words
from vigil.domain.gateway import Gateway
from vigil.intake.appraise import Verdict
from vigil.pipeline.arrivals import Arrivals
from vigil.pipeline.evaluate import Evaluator
from vigil.pipeline.events import Event, EventKind, EventQueue
from vigil.pipeline.reconcile import Reconciler
from vigil.pipeline.retry import Backoff
from vigil.pipeline.vanishing import Vanishing
from vigil.records.ledger import Ledger
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

BATCH = 500
LOOK_EVERY_S = 1.0
TOGETHER_S = 0.25
"""Images of this time are noted together: to note each of forty a second by itself took 2 ms of processor time an image."""
OVERDUE_EVERY_S = 2.0
"""How soon what a person asked for beside us is seen: two queries of the ledger."""
RETRY_AFTER_S = 2.0
BROKEN_RETRY_AFTER_S = 300.0
NOT_POSTPONED = 0.0, 0
SERIES_REMEMBERED = 10_000


class Watch:
    """Runs until ``stop`` is set. An error is told and tried again: a thread of ours never ends early."""

    def __init__(
        self, *, gateway: Gateway, ledger: Ledger, events: EventQueue, evaluator: Evaluator, reconciler: Reconciler,
        settle_s: float, interval_s: float, clock: Clock, stop: threading.Event, log: Log, metrics: Metrics,
        arrivals: Arrivals | None = None,
    ) -> None:
        """``arrivals``: gets every new image; None where images are not read as they arrive.
        ``settle_s``: StableAge and a grace time; nothing that was found and not told by Orthanc is judged sooner."""
        self._gateway = gateway
        self._ledger = ledger
        self._events = events
        self._evaluator = evaluator
        self._reconciler = reconciler
        self._settle_s = settle_s
        self._interval_s = interval_s
        self._clock = clock
        self._stop = stop
        self._log = log
        self._metrics = metrics
        self._arrivals = arrivals
        self._study_of: dict[str, str] = {}
        """By series: Orthanc is not asked again for each of a thousand images."""
        self._told: SimpleQueue[tuple[str, bool]] = SimpleQueue()
        """Studies to look at now, and whether because Orthanc said that they are stable."""
        self._trouble: dict[str, str] = {}
        self._postponed: dict[str, tuple[float, int]] = {}
        """Until when, and for how many times in a row."""
        self._vanishing = Vanishing()
        self._started = time.monotonic()
        self._threads = [
            threading.Thread(target=self._keep, args=(name, work), name=f"vigil-{name}", daemon=True)
            for name, work in (("events", self._take_events), ("evaluate", self._evaluate), ("reconcile", self._reconcile))]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        if self._arrivals is not None:
            self._arrivals.start()

    def join(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        self._events.wake()
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        if self._arrivals is not None:
            self._arrivals.join(max(0.1, deadline - time.monotonic()))

    def missing(self) -> list[str]:
        """What the threads cannot do at the moment, in words."""
        return [*self._trouble.values(), *self._vanishing.missing(self._clock.now())]

    def _keep(self, name: str, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
                self._trouble.pop(name, None)
            except Stopping:
                return
            except VigilError as error:
                self._trouble[name] = in_words(error)
                self._metrics.error(name, error.category.value)
                self._log.error("waits", thread=name, category=error.category.value)
                self._stop.wait(RETRY_AFTER_S)
            except Exception as error:  # noqa: BLE001 - the edge of a thread: it must live on, and the fault be seen
                self._trouble[name] = in_words(error)
                self._metrics.error(name, Category.INTERNAL.value)
                self._log.error("broke", thread=name, exception=error)
                self._stop.wait(RETRY_AFTER_S)

    def _take_events(self) -> None:
        events = self._events.take(BATCH, LOOK_EVERY_S, TOGETHER_S)
        if not events:
            return
        try:
            self._note(events)
        except VigilError:
            for event in events:  # nothing is lost: they are noted when the ledger or Orthanc answers again
                self._events.put(event)
            raise

    def _note(self, events: list[Event]) -> None:
        now = self._clock.now()
        touched: set[str] = set()
        for event in events:
            if event.kind is not EventKind.NEW_INSTANCE:
                continue
            record = self._gateway.instance(event.resource_id)
            if record is None:
                self._vanishing.image(now)
            study = None if record is None else self._study_of_series(record.series_orthanc_id)
            if record is None or study is None:
                continue
            touched.add(study)
            if self._arrivals is not None:
                self._arrivals.offer(record)
        if touched:
            self._ledger.touch_studies(touched, now)
        for event in events:
            self._metrics.event(event.kind.name.lower())
            if event.kind is EventKind.STABLE_STUDY:
                self._told.put((event.resource_id, True))
            elif event.kind is EventKind.SERIES_WHOLE:
                study = self._study_of_series(event.resource_id)
                if study is not None:
                    self._told.put((study, False))
            elif event.kind is EventKind.STUDY_DELETED:
                if self._left_unanswered(event.resource_id):
                    self._vanishing.study(now)
                    self._log.warning("study-gone-unanswered", study=event.resource_id)
                self._ledger.mark_deleted(event.resource_id, now)

    def _left_unanswered(self, study: str) -> bool:
        """Whether a study that was deleted had arrived, and no model had its say yet."""
        known = self._ledger.study_state(study)
        if known is None or known.deleted_at is not None or self._ledger.analyses(study):
            return False
        decisions = self._ledger.decisions(study)
        return known.evaluated_at is None or (bool(decisions) and decisions[-1].verdict == Verdict.WAITING.value)

    def _study_of_series(self, series: str) -> str | None:
        if series not in self._study_of:
            study = self._gateway.study_of_series(series)
            if study is None:
                return None
            if len(self._study_of) >= SERIES_REMEMBERED:
                self._study_of.clear()
            self._study_of[series] = study
        return self._study_of[series]

    def _evaluate(self) -> None:
        """What Orthanc told and what became due by itself take turns: neither waits for the other to be empty."""
        with suppress(Empty):
            study, stable = self._told.get(timeout=LOOK_EVERY_S)
            self._evaluate_one(study, told_stable=stable)
        if time.monotonic() - self._started < self._settle_s:
            return
        for study in self._reconciler.due(self._settle_s):
            if self._stop.is_set():
                return
            if self._postponed.get(study, NOT_POSTPONED)[0] > time.monotonic():
                continue
            self._evaluate_one(study)
            if not self._told.empty():
                return

    def _evaluate_one(self, study: str, *, told_stable: bool = False) -> None:
        """A study that cannot be evaluated now stays due in the ledger and is postponed, so that it holds up no other."""
        try:
            self._evaluator.evaluate(study, told_stable=told_stable)
            self._postponed.pop(study, None)
        except Stopping:
            raise
        except VigilError as error:
            self._postpone(study, RETRY_AFTER_S)
            self._metrics.error("evaluate", error.category.value)
            self._log.error("evaluate-waits", study=study, category=error.category.value)
        except Exception as error:  # noqa: BLE001 - the edge of a study: one that breaks us must not stop the others
            self._postpone(study, BROKEN_RETRY_AFTER_S)
            self._metrics.error("evaluate", Category.INTERNAL.value)
            self._log.error("evaluate-broke", study=study, exception=error)

    def _postpone(self, study: str, first_s: float) -> None:
        """Each time for longer: to read a large study in vain every other second would leave no time for the others."""
        tries = self._postponed.get(study, NOT_POSTPONED)[1] + 1
        self._postponed[study] = time.monotonic() + Backoff(first_s, BROKEN_RETRY_AFTER_S).delay_s(tries), tries

    def _reconcile(self) -> None:
        if self._stop.wait(max(0.0, self._settle_s - (time.monotonic() - self._started))):
            return
        self._reconciler.find_lost_studies()
        self._reconciler.promise_again()
        again = time.monotonic() + self._interval_s
        while not self._stop.wait(min(OVERDUE_EVERY_S, max(0.0, again - time.monotonic()))) and time.monotonic() < again:
            self._reconciler.promise_overdue()
