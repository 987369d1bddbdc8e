from __future__ import annotations

import threading
import time

from vigil.pipeline.events import Event, EventKind, EventQueue


def new(name: str) -> Event:
    return Event(EventKind.NEW_INSTANCE, name)


def test_events_come_out_in_the_order_in_which_they_went_in() -> None:
    queue = EventQueue()
    for name in "abcde":
        queue.put(new(name))

    assert [event.resource_id for event in queue.take(3, 0)] == ["a", "b", "c"]
    assert [event.resource_id for event in queue.take(3, 0)] == ["d", "e"]
    assert queue.take(3, 0.01) == []


def test_a_full_queue_drops_the_oldest_and_never_blocks() -> None:
    queue = EventQueue(capacity=2)
    for name in "abc":
        queue.put(new(name))

    assert [event.resource_id for event in queue.take(9, 0)] == ["b", "c"]


def test_who_waits_is_woken() -> None:
    queue = EventQueue()
    threading.Timer(0.05, lambda: queue.put(new("late"))).start()

    assert [event.resource_id for event in queue.take(1, 20)] == ["late"]


def test_a_wake_without_an_event_ends_the_wait() -> None:
    queue = EventQueue()
    threading.Timer(0.05, queue.wake).start()
    begun = time.monotonic()

    assert queue.take(1, 20) == []
    assert time.monotonic() - begun < 15  # a bound against a hang
