"""What is counted, for Prometheus. Labels are ids of models, kinds, stages and destinations: never a study or a patient."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one Orthanc process, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._stage = Histogram("vigil_stage_seconds", "Time in one stage of an analysis", ["stage"],
                                buckets=LATENCY_BUCKETS_S, registry=registry)
        self._notification = Histogram(
            "vigil_time_to_notification_seconds", "From the last image's arrival to what was notified", ["what"],
            buckets=LATENCY_BUCKETS_S, registry=registry)
        self._answers = Counter("vigil_answers", "Answers by model and kind", ["model", "kind"], registry=registry)
        self._failures = Counter("vigil_delivery_failures", "Failed delivery attempts", ["destination", "category"],
                                 registry=registry)
        self._deliveries = Counter("vigil_deliveries", "Deliveries that ended", ["destination", "state"],
                                   registry=registry)
        self._notifications = Counter("vigil_notifications", "Messages to people that ended", ["channel", "state"],
                                      registry=registry)
        self._events = Counter("vigil_orthanc_events", "Events of Orthanc that were taken", ["kind"], registry=registry)
        self._decisions = Counter("vigil_decisions", "Decisions whether a model looks at a study", ["model", "verdict"],
                                  registry=registry)
        self._errors = Counter("vigil_errors", "Errors by room and category", ["room", "category"], registry=registry)
        self._queue = Gauge("vigil_queue_depth", "Tasks that wait or run", registry=registry)
        self._dead = Gauge("vigil_dead_tasks", "Tasks that the engine gave up", registry=registry)
        self._ready = Gauge("vigil_ready", "1 when everything that the site asked for works", registry=registry)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._stage.labels(name).observe(time.perf_counter() - started)

    def observe_stage(self, name: str, seconds: float) -> None:
        self._stage.labels(name).observe(seconds)

    def notified(self, what: str, seconds: float) -> None:
        self._notification.labels(what).observe(max(0.0, seconds))

    def answered(self, model: str, kind: str) -> None:
        self._answers.labels(model, kind).inc()

    def delivery_failed(self, destination: str, category: str) -> None:
        self._failures.labels(destination, category).inc()

    def delivery_ended(self, destination: str, state: str) -> None:
        self._deliveries.labels(destination, state).inc()

    def notification_ended(self, channel: str, state: str) -> None:
        self._notifications.labels(channel, state).inc()

    def event(self, kind: str, count: int = 1) -> None:
        self._events.labels(kind).inc(count)

    def decided(self, model: str, verdict: str) -> None:
        self._decisions.labels(model, verdict).inc()

    def error(self, room: str, category: str) -> None:
        self._errors.labels(room, category).inc()

    def set_queue(self, depth: int, dead: int) -> None:
        self._queue.set(depth)
        self._dead.set(dead)

    def set_ready(self, ready: bool) -> None:
        self._ready.set(1 if ready else 0)

    def exposition(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self._registry)
