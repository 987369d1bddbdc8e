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


def later(queue: EventQueue, *events: Event) -> None:
    """Puts them in after the taker has begun to wait for more."""
    threading.Timer(0.2, lambda: [queue.put(event) for event in events]).start()


def test_images_that_follow_are_taken_together() -> None:
    queue = EventQueue()
    queue.put(new("a"))
    later(queue, new("b"), new("c"))

    assert [event.resource_id for event in queue.take(9, 0, linger_s=0.5)] == ["a", "b", "c"]


def test_nobody_lingers_once_a_study_is_stable() -> None:
    queue = EventQueue()
    queue.put(new("a"))
    later(queue, Event(EventKind.STABLE_STUDY, "study"))
    begun = time.monotonic()

    assert [event.resource_id for event in queue.take(9, 0, linger_s=20)] == ["a", "study"]
    assert time.monotonic() - begun < 15  # a bound against a hang


def test_a_study_that_is_stable_already_is_taken_at_once() -> None:
    queue = EventQueue()
    queue.put(Event(EventKind.STABLE_STUDY, "study"))
    queue.put(new("a"))
    begun = time.monotonic()

    assert len(queue.take(1, 0, linger_s=20)) == 1
    assert len(queue.take(1, 0, linger_s=20)) == 1
    assert time.monotonic() - begun < 15


def test_the_newest_image_has_a_time_and_another_event_is_no_image() -> None:
    queue = EventQueue()
    queue.put(Event(EventKind.STABLE_STUDY, "study"))
    assert queue.newest_image_at == float("-inf")
    begun = time.monotonic()
    queue.put(new("a"))
    assert begun <= queue.newest_image_at <= time.monotonic()
