"""Vigil in an Orthanc: callbacks and routes now, everything else in a thread of ours once Orthanc has started.

Only the standard library is imported here, so that a broken library becomes a sentence at /vigil/health/ready and not an
Orthanc that does not start (law 1).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vigil.host.alert_routes import register_alerts
from vigil.host.routes import UNAVAILABLE, Reply, Routes
from vigil.oversight.doctor.libraries import environment
from vigil.pipeline.events import Event, EventKind, EventQueue

if TYPE_CHECKING:
    from vigil.pipeline.house import House

SiteCallback = Callable[[Any, Any, str], None]
MakeHouse = Callable[[Any, dict[str, Any], EventQueue, threading.Event], "House | None"]
"""Gets the ``orthanc`` module, the whole configuration, the events and what is set when Orthanc stops. Returns the house, not yet
started, or None where the settings switch Vigil off. Raises :class:`vigil.domain.errors.VigilError`."""
RETRY_START_S = 10.0
STOP_WITHIN_S = 8.0
"""Orthanc itself, and a service manager behind it, want the rest."""


class Vigil:
    """One Vigil in one Orthanc process."""

    def __init__(self, sdk: Any, site_on_change: SiteCallback | None, *, make_house: MakeHouse,
                 retry_start_s: float = RETRY_START_S, stop_within_s: float = STOP_WITHIN_S) -> None:
        self._sdk = sdk
        self._site_on_change = site_on_change
        self._make_house = make_house
        self._retry_start_s = retry_start_s
        self._stop_within_s = stop_within_s
        self._events = EventQueue()
        self._routes = Routes(sdk, self._report)
        self._stop = threading.Event()
        self._house: House | None = None
        self._missing: list[str] = ["Vigil is starting"]
        self._starter: threading.Thread | None = None

    def register(self) -> None:
        routes = self._routes
        routes.add_fixed("/vigil/health/live", Reply.json({"live": True}))
        routes.add("/vigil/health/ready", self._ready)
        routes.add("/vigil/environment", lambda _: Reply.json(environment()))
        routes.add("/vigil/metrics", self._metrics)
        routes.add("/vigil/analyses", self._analyses)
        routes.add("/vigil/studies/([0-9a-f-]+)", self._study)
        register_alerts(routes, lambda: self._house, lambda: self._missing[0])
        self._sdk.RegisterOnChangeCallback(self._on_change)

    # Orthanc's threads: nothing here waits, but at the stop

    def _on_change(self, change: Any, level: Any, resource_id: str) -> None:
        try:
            if self._site_on_change is not None:
                self._site_on_change(change, level, resource_id)
        finally:
            self._take(change, level, resource_id)

    def _take(self, change: Any, level: Any, resource_id: str) -> None:
        kinds = self._sdk.ChangeType
        if change == kinds.NEW_INSTANCE:
            self._events.put(Event(EventKind.NEW_INSTANCE, resource_id))
        elif change == kinds.STABLE_STUDY:
            self._events.put(Event(EventKind.STABLE_STUDY, resource_id))
        elif change == kinds.DELETED and level == self._sdk.ResourceType.STUDY:
            self._events.put(Event(EventKind.STUDY_DELETED, resource_id))
        elif change == kinds.ORTHANC_STARTED:
            self._starter = threading.Thread(target=self._start, name="vigil-start", daemon=True)
            self._starter.start()
        elif change == kinds.ORTHANC_STOPPED:
            self._shut()

    def _shut(self) -> None:
        """A thread that still calls Orthanc while it stops aborts it, so all of ours are ended first."""
        deadline = time.monotonic() + self._stop_within_s
        self._stop.set()
        self._routes.close()
        self._events.wake()
        if self._starter is not None:
            self._starter.join(self._stop_within_s)
        if self._house is not None:
            self._house.stop(max(1.0, deadline - time.monotonic()))

    # our own threads

    def _start(self) -> None:
        while not self._stop.is_set():
            try:
                permanent = self._try_start()
            except ImportError as error:
                self._not_ready(f"the library '{error.name or error}' cannot be imported; install the bundle again")
                return
            except Exception as error:  # noqa: BLE001 - the door of the bundle: Orthanc goes on (law 1)
                self._not_ready(f"Vigil could not start ({type(error).__name__}); see its log")
                self._report(error)
                permanent = False
            if permanent or self._stop.wait(self._retry_start_s):
                return

    def _try_start(self) -> bool:
        """Returns whether there is nothing more to try: it runs, or only a person can mend it."""
        from vigil.domain.errors import VigilError
        from vigil.settings.errors import SettingsInvalid

        try:
            house = self._make_house(self._sdk, json.loads(self._sdk.GetConfiguration()), self._events, self._stop)
            if house is None:
                self._not_ready("Vigil is switched off: \"Enabled\" is false in its settings")
                return True
            house.start()
        except SettingsInvalid as error:
            self._not_ready(error.message)
            return True
        except VigilError as error:
            self._not_ready(error.message)
            return False
        if self._stop.is_set():
            house.stop(self._stop_within_s / 2)  # nobody waits longer for a start that came too late
            return True
        self._house, self._missing = house, []
        self._sdk.LogWarning("Vigil watches")
        return True

    def _not_ready(self, reason: str) -> None:
        if self._missing != [reason] and not self._stop.is_set():  # a call into Orthanc while it stops aborts it
            self._sdk.LogError("Vigil is not ready, Orthanc goes on without it: " + reason)
        self._missing = [reason]

    def _report(self, error: BaseException) -> None:
        if self._stop.is_set():
            return
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = "" if place is None else f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}"
        self._sdk.LogError(f"Vigil: {type(error).__name__}{where}")

    # routes

    def _ready(self, _: tuple[str, ...]) -> Reply:
        house = self._house
        missing = self._missing if house is None else house.missing()
        content: dict[str, object] = {"ready": not missing, "missing": missing}
        if house is not None:
            content["models"] = house.models_state()
        return Reply.json(content) if not missing else Reply.json(content, UNAVAILABLE)

    def _metrics(self, _: tuple[str, ...]) -> Reply:
        if self._house is None:
            return Reply(b"# Vigil is not ready\nvigil_ready 0\n", "text/plain; version=0.0.4")
        return Reply(self._house.metrics(), "text/plain; version=0.0.4")

    def _analyses(self, _: tuple[str, ...]) -> Reply:
        if self._house is None:
            return Reply.json({"error": self._missing[0]}, UNAVAILABLE)
        return Reply.json(self._house.account.analyses())

    def _study(self, groups: tuple[str, ...]) -> Reply:
        if self._house is None:
            return Reply.json({"error": self._missing[0]}, UNAVAILABLE)
        return Reply.json(self._house.account.study(groups[0]))


def _make_house(sdk: Any, configuration: dict[str, Any], events: EventQueue, stop: threading.Event) -> House | None:
    from vigil.host.rest_gateway import RestGateway
    from vigil.host.sdk_transport import SdkTransport
    from vigil.pipeline.house import House
    from vigil.settings import load

    settings = load(configuration)
    return House(settings, RestGateway(SdkTransport(sdk, stop)), events, stop) if settings.enabled else None


def install(sdk: Any, site_on_change: SiteCallback | None = None) -> None:
    """Registers Vigil with Orthanc. ``sdk``: the ``orthanc`` module. Orthanc knows one OnChange callback: a site that has its own
    hands it over as ``site_on_change``, and both run."""
    Vigil(sdk, site_on_change, make_house=_make_house).register()
