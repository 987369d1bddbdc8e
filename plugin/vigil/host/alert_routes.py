"""Alerts over REST, and the page behind a one-time link.

Only the standard library is imported here, as in :mod:`vigil.host.entry`; the rest when a request comes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from vigil.host.routes import UNAVAILABLE, Posted, Reply, Routes

if TYPE_CHECKING:
    from vigil.pipeline.house import House

BAD_REQUEST, NOT_FOUND, CONFLICT, UNSUPPORTED = 400, 404, 409, 415
LARGEST_BODY = 4096
FORM = "application/x-www-form-urlencoded"


def register_alerts(routes: Routes, house: Callable[[], House | None], missing: Callable[[], str]) -> None:
    """``house``: None until it runs; ``missing``: why not."""
    def ready(act: Callable[[House], Reply]) -> Reply:
        running = house()
        return Reply.json({"error": missing()}, UNAVAILABLE) if running is None else act(running)

    routes.add("/vigil/alerts", lambda _: ready(lambda running: Reply.json(running.alerts.alerts())))
    routes.add("/vigil/alerts/([0-9a-f]+)", lambda groups: ready(lambda running: _show(running, groups[0])))
    routes.add_written("/vigil/alerts/([0-9a-f]+)/(acknowledge|hold|reported|withdraw|resend)",
                       lambda posted: ready(lambda running: _act(running, posted)))
    routes.add_written("/vigil/acknowledge/([A-Za-z0-9_-]+)",
                       lambda posted: ready(lambda running: _take(running, posted)),
                       lambda groups: ready(lambda running: _page(running, groups[0])))


def _show(house: House, alert: str) -> Reply:
    from vigil.pipeline.errors import AlertUnknown

    try:
        return Reply.json(house.alerts.alert(house.people.desk.find(alert).analysis_id))
    except AlertUnknown as error:
        return Reply.json({"error": error.message}, NOT_FOUND)


def _act(house: House, posted: Posted) -> Reply:
    from vigil.delivery.escalation.errors import NameInvalid
    from vigil.delivery.escalation.person import staff_name
    from vigil.pipeline.errors import AlertUnchanged, AlertUnknown

    alert, action = posted.groups
    if posted.media_type != "application/json":  # a form of another site cannot send this
        return Reply.json({"error": "send application/json"}, UNSUPPORTED)
    desk = house.people.desk
    try:
        said = _said(posted.body)
        by = staff_name(said["by"] if isinstance(said.get("by"), str) else "")
        subject = desk.find(alert).analysis_id
        if action == "acknowledge":
            desk.acknowledge(subject, by, "rest")
        elif action == "hold":
            desk.hold(subject, by)
        elif action == "reported":
            desk.reported(subject, by)
        elif action == "withdraw":
            desk.withdraw(subject, by, "wrong-patient" if said.get("wrong_patient") is True else "withdrawal")
        else:
            desk.resend(subject, by)
    except AlertUnknown as error:
        return Reply.json({"error": error.message}, NOT_FOUND)
    except AlertUnchanged as error:
        return Reply.json({"error": error.message}, CONFLICT)
    except NameInvalid as error:
        return Reply.json({"error": f'send {{"by": "..."}}: {error.message}'}, BAD_REQUEST)
    return Reply.json(house.alerts.alert(subject))


def _said(body: bytes) -> dict[str, Any]:
    try:
        content: Any = json.loads(body[:LARGEST_BODY])
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _page(house: House, token: str) -> Reply:
    from vigil.pipeline.link_page import open_link

    return _html(open_link(house.people, token))


def _take(house: House, posted: Posted) -> Reply:
    from vigil.pipeline.link_page import acknowledge_by_link

    form = parse_qs(posted.body[:LARGEST_BODY].decode("utf-8", "replace")) if posted.media_type == FORM else {}
    return _html(acknowledge_by_link(house.people, posted.groups[0], "".join(form.get("by", []))))


def _html(body: bytes) -> Reply:
    from vigil.delivery.escalation.page import HEADERS

    return Reply(body, "text/html; charset=utf-8", headers=HEADERS)
