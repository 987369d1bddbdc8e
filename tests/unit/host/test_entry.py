from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from stand_in import ChangeType, ResourceType, Sdk

from vigil.domain.errors import VigilError
from vigil.host.entry import SiteCallback, Vigil, install
from vigil.pipeline.events import EventKind, EventQueue
from vigil.settings.errors import Fault, SettingsInvalid

BOUND_S = 20
"""Against a hang; no speed is asserted."""


class House:
    """What the entry knows of a house: it starts, is asked, and ends. ``at_start`` is what happens in its start."""

    def __init__(self, at_start: Callable[[], None] = lambda: None) -> None:
        self.calls: list[str] = []
        self.at_start = at_start

    def start(self) -> None:
        self.calls.append("start")
        self.at_start()
        self.calls.append("started")

    def stop(self, timeout_s: float) -> None:
        assert timeout_s > 0
        self.calls.append("stop")

    def missing(self) -> list[str]:
        return []

    def models_state(self) -> list[dict[str, object]]:
        return []

    def metrics(self) -> bytes:
        return b"vigil_ready 1\n"


class Place:
    """A Vigil in an Orthanc that the test plays. ``houses``: what is made at each attempt, the last one again and again; an
    exception is raised."""

    def __init__(self, *houses: House | Exception | None, site: SiteCallback | None = None) -> None:
        self.sdk = Sdk()
        self.houses = list(houses)
        self.attempts = 0
        self.events: EventQueue
        Vigil(self.sdk, site, make_house=self._make, retry_start_s=0.01, stop_within_s=2.0).register()

    def _make(self, sdk: Any, configuration: dict[str, Any], events: EventQueue, stop: threading.Event) -> Any:
        self.events = events
        made = self.houses[min(self.attempts, len(self.houses) - 1)]
        self.attempts += 1
        if isinstance(made, Exception):
            raise made
        return made

    def ready(self) -> tuple[int, list[str]]:
        answer = self.sdk.ask("/vigil/health/ready")
        return answer.status, answer.json()["missing"]

    def start(self) -> None:
        self.sdk.change(ChangeType.ORTHANC_STARTED)

    def stop(self) -> None:
        self.sdk.change(ChangeType.ORTHANC_STOPPED)


def wait_until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + BOUND_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def test_before_the_start_every_route_says_that_vigil_is_starting() -> None:
    place = Place(House())

    assert place.sdk.ask("/vigil/health/live").json() == {"live": True}
    assert place.ready() == (503, ["Vigil is starting"])
    for path in ("/vigil/analyses", "/vigil/studies/0123-abcd"):
        answer = place.sdk.ask(path)
        assert (answer.status, answer.json()) == (503, {"error": "Vigil is starting"})
    metrics = place.sdk.ask("/vigil/metrics")
    assert (metrics.status, b"vigil_ready 0" in metrics.body) == (200, True)


def test_events_are_kept_in_order_from_the_first_one_on() -> None:
    place = Place(House())
    place.sdk.change(ChangeType.NEW_INSTANCE, "instance")
    place.sdk.change(ChangeType.UPDATED_PEERS)
    place.start()
    wait_until(lambda: place.ready()[0] == 200)
    place.sdk.change(ChangeType.DELETED, "series", ResourceType.SERIES)
    place.sdk.change(ChangeType.DELETED, "study", ResourceType.STUDY)
    place.sdk.change(ChangeType.STABLE_STUDY, "stable", ResourceType.STUDY)

    assert [(event.kind, event.resource_id) for event in place.events.take(9, 0)] == [
        (EventKind.NEW_INSTANCE, "instance"), (EventKind.STUDY_DELETED, "study"), (EventKind.STABLE_STUDY, "stable")]
    place.stop()


def test_the_sites_own_callback_sees_every_change_as_orthanc_tells_it() -> None:
    seen: list[tuple[Any, Any, str]] = []
    place = Place(House(), site=lambda *change: seen.append(change))
    place.sdk.change(ChangeType.UPDATED_PEERS, "peer")
    place.sdk.change(ChangeType.DELETED, "series", ResourceType.SERIES)

    assert seen == [(ChangeType.UPDATED_PEERS, ResourceType.NONE, "peer"),
                    (ChangeType.DELETED, ResourceType.SERIES, "series")]


def test_an_exception_in_the_sites_callback_loses_no_event_and_is_not_hidden_from_orthanc() -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the site's own")

    place = Place(House(), site=broken)
    for kind in (ChangeType.ORTHANC_STARTED, ChangeType.NEW_INSTANCE):
        with pytest.raises(RuntimeError, match="the site's own"):
            place.sdk.change(kind, "instance")
    wait_until(lambda: place.ready()[0] == 200)

    assert [event.resource_id for event in place.events.take(9, 0)] == ["instance"]
    with pytest.raises(RuntimeError, match="the site's own"):
        place.stop()
    assert place.houses[0].calls == ["start", "started", "stop"]  # type: ignore[union-attr]


def test_a_start_that_fails_is_tried_again_and_told_once() -> None:
    house = House()
    place = Place(VigilError("the disk is full"), VigilError("the disk is full"), RuntimeError("Doe^Jane"), house)
    place.start()
    wait_until(lambda: place.ready() == (200, []))

    assert place.attempts == 4
    assert [line for line in place.sdk.log if "disk" in line] == [
        "Vigil is not ready, Orthanc goes on without it: the disk is full"]
    assert not any("Doe" in line for line in place.sdk.log)
    place.stop()


@pytest.mark.parametrize(("made", "expected"), [
    (SettingsInvalid([Fault("Vigil.Port", "a number")]), "Vigil.Port: a number"),
    (None, "switched off"),
    (ModuleNotFoundError("No module named 'numpy'", name="numpy"), "the library 'numpy' cannot be imported"),
])
def test_what_only_a_person_can_mend_is_not_tried_again(made: Exception | None, expected: str) -> None:
    place = Place(made)
    place.start()
    wait_until(lambda: expected in " ".join(place.ready()[1]))
    time.sleep(0.1)

    assert place.attempts == 1
    assert place.ready()[0] == 503


def test_what_the_house_misses_is_not_ready() -> None:
    house = House()
    house.missing = lambda: ["the model 'm' does not run"]  # type: ignore[method-assign]
    place = Place(house)
    place.start()

    assert wait_until(lambda: place.ready() == (503, ["the model 'm' does not run"]))
    place.stop()


def test_orthanc_that_stops_waits_for_a_start_in_progress_and_ends_that_house_once() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        assert go_on.wait(BOUND_S)

    house = House(slow)
    place = Place(house)
    place.start()
    assert begun.wait(BOUND_S)
    threading.Timer(0.2, go_on.set).start()
    place.stop()

    assert house.calls == ["start", "started", "stop"]
    assert "Vigil watches" not in place.sdk.log, "a call into Orthanc while it stops aborts it"
    assert place.sdk.ask("/vigil/health/ready").status == 503


def test_a_start_that_comes_later_than_the_stop_waits_ends_its_own_house() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def very_slow() -> None:
        begun.set()
        assert go_on.wait(BOUND_S)

    house = House(very_slow)
    place = Place(house)
    place.start()
    assert begun.wait(BOUND_S)
    before = time.monotonic()
    place.stop()

    assert time.monotonic() - before < BOUND_S / 2, "Orthanc's stop is not held up for ever"
    assert house.calls == ["start"]
    go_on.set()
    wait_until(lambda: "stop" in house.calls)
    assert house.calls == ["start", "started", "stop"]
    assert place.sdk.log == []


def test_a_stop_before_the_start_or_between_two_attempts_ends_at_once() -> None:
    never = Place(House())
    never.stop()
    assert never.attempts == 0
    never.start()  # Orthanc does not, but a thread that was late might
    time.sleep(0.1)
    assert never.attempts == 0

    failing = Place(VigilError("not yet"))
    failing.start()
    wait_until(lambda: failing.attempts > 2)
    failing.stop()
    tried = failing.attempts
    time.sleep(0.1)
    assert failing.attempts == tried


def test_install_registers_the_callback_and_the_routes_and_starts_nothing() -> None:
    sdk = Sdk()
    threads = threading.active_count()
    install(sdk)

    assert sdk.ask("/vigil/health/ready").status == 503
    sdk.change(ChangeType.NEW_INSTANCE, "instance")
    assert threading.active_count() <= threads + 1  # the one that just answered may still be ending


def test_who_asks_a_route_when_orthanc_stops_does_not_hold_up_its_stop() -> None:
    asked, release = threading.Event(), threading.Event()

    def busy() -> bytes:
        asked.set()
        return str(release.wait(BOUND_S)).encode()

    house = House()
    house.metrics = busy  # type: ignore[method-assign]
    place = Place(house)
    place.start()
    wait_until(lambda: place.ready()[0] == 200)
    answers: list[int] = []
    asker = threading.Thread(target=lambda: answers.append(place.sdk.ask("/vigil/metrics").status))
    asker.start()
    assert asked.wait(BOUND_S)
    place.stop()
    asker.join(BOUND_S / 4)

    assert answers == [503]
    release.set()
