"""Webhooks, taken by an HTTP server that checks signature, time and id by itself."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hospital.authority import Authority
from hospital.network import free_port
from hospital.pager import Page, Pager
from vigil.delivery.errors import (
    DestinationBusy,
    DestinationInvalid,
    DestinationRefused,
    DestinationSilent,
    DestinationUnreachable,
    ProtocolError,
)
from vigil.delivery.escalation.notice import Notice, webhook_object
from vigil.delivery.webhook import Webhook, post
from vigil.domain.errors import Stopping
from vigil.settings.escalation import WebhookSettings

SECRET = b"shared between two"
FOUND = datetime(2026, 11, 26, 21, 30, tzinfo=UTC)
CONTENT = webhook_object(Notice("a1b2c3d4e5f6a7b8", 1, FOUND, UTC), "id-1")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_bytes(SECRET + b"\n")
    return file


def webhook(port: int, secret: Path, *, scheme: str = "http", **settings: Any) -> Webhook:
    return Webhook("pager", WebhookSettings(**{
        "url": f"{scheme}://127.0.0.1:{port}/in", "secret_file": secret, "timeout_seconds": 5.0, **settings}))


def send(to: Webhook, stop: threading.Event, content: dict[str, object] = CONTENT) -> str | None:
    return post(to, content, datetime.now(UTC), stop)


def test_a_signed_object_arrives(secret: Path, stop: threading.Event) -> None:
    with Pager(SECRET) as pager:
        assert send(webhook(pager.port, secret), stop) is None
        page, = pager.pages
    assert pager.unsigned == []
    assert page.content == CONTENT
    assert page.headers["content-type"] == "application/json"
    assert (page.content["accession_number"], page.content["study_description"], page.content["finding"]) == (None, None, None)


def test_a_repetition_bears_the_same_id_and_is_seen_as_one(secret: Path, stop: threading.Event) -> None:
    with Pager(SECRET) as pager:
        send(webhook(pager.port, secret), stop)
        send(webhook(pager.port, secret), stop)
        assert (len(pager.pages), pager.unsigned) == (1, ["seen before"])


def test_neither_time_nor_body_can_be_changed_on_the_way(secret: Path, stop: threading.Event) -> None:
    with Pager(SECRET) as pager:
        send(webhook(pager.port, secret), stop)
        page, = pager.pages
        pager.take(Page(page.headers | {"vigil-timestamp": str(int(time.time()) + 1)}, page.body))
        pager.take(Page(page.headers, page.body.replace(b"a1b2", b"b2a1")))
        old = datetime.now(UTC) - timedelta(hours=1)
        post(webhook(pager.port, secret), CONTENT | {"id": "id-2"}, old, stop)
        assert pager.unsigned == ["signature", "signature", "old"]


def test_another_secret_is_not_believed(tmp_path: Path, stop: threading.Event) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"guessed")
    with Pager(SECRET) as pager:
        send(webhook(pager.port, wrong), stop)
        assert pager.unsigned == ["signature"]
    with pytest.raises(DestinationInvalid, match="cannot be read"):
        send(webhook(pager.port, tmp_path / "absent"), stop)


@pytest.mark.parametrize(("answer", "name"), [
    ('{"acknowledged_by": "Dr. Ito"}', "Dr. Ito"), ('{"acknowledged_by": ""}', None), ('{"acknowledged_by": 7}', None),
    ("[]", None), ("no JSON", None), ("", None),
])
def test_an_answer_over_tls_may_acknowledge(
    authority: Authority, secret: Path, stop: threading.Event, answer: str, name: str | None,
) -> None:
    with Pager(SECRET, tls=authority.server_context("pager"), answer=answer) as pager:
        assert send(webhook(pager.port, secret, scheme="https", authority_file=authority.file), stop) == name


def test_an_answer_that_anybody_could_give_acknowledges_nothing(secret: Path, stop: threading.Event) -> None:
    with Pager(SECRET, answer='{"acknowledged_by": "Dr. Ito"}') as pager:
        assert send(webhook(pager.port, secret), stop) is None


@pytest.mark.parametrize(("status", "error"), [
    (500, DestinationBusy), (503, DestinationBusy), (429, DestinationBusy), (400, DestinationRefused), (404, DestinationRefused),
    (302, DestinationRefused),
])
def test_statuses(secret: Path, stop: threading.Event, status: int, error: type[Exception]) -> None:
    with Pager(SECRET, status=status) as pager, pytest.raises(error, match=str(status)) as raised:
        send(webhook(pager.port, secret), stop)
    assert type(raised.value) is error
    assert len(pager.pages) == 1, "a redirection is not followed"


def test_a_certificate_that_is_not_known_is_refused(authority: Authority, secret: Path, stop: threading.Event) -> None:
    with Pager(SECRET, tls=authority.server_context("pager")) as pager:
        with pytest.raises(DestinationRefused, match="certificate is not accepted"):
            send(webhook(pager.port, secret, scheme="https"), stop)
        assert pager.pages == []


def test_nobody_listens_nobody_answers_and_no_http(secret: Path, stop: threading.Event) -> None:
    with pytest.raises(DestinationUnreachable, match="nobody listens"):
        send(webhook(free_port(), secret), stop)
    with Pager(SECRET, answer="silent") as pager, pytest.raises(DestinationSilent):
        send(webhook(pager.port, secret, timeout_seconds=0.5), stop)
    with Pager(SECRET, answer="garbage") as pager, pytest.raises(ProtocolError):
        send(webhook(pager.port, secret), stop)


def test_a_stop_of_orthanc_is_not_held_up(secret: Path, stop: threading.Event) -> None:
    with Pager(SECRET, answer="silent") as pager:
        timer = threading.Timer(0.3, stop.set)
        timer.start()
        with pytest.raises(Stopping):
            send(webhook(pager.port, secret, timeout_seconds=600.0), stop)
        timer.join()
