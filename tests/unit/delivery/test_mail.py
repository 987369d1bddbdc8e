"""Notices by mail, handed to aiosmtpd: with STARTTLS, TLS and login, and in every way in which it may say no."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hospital.authority import Authority
from hospital.mailbox import Mailbox
from hospital.network import free_port
from vigil.delivery.errors import (
    DestinationBusy,
    DestinationInvalid,
    DestinationRefused,
    DestinationSilent,
    DestinationUnreachable,
)
from vigil.delivery.escalation.notice import Notice
from vigil.delivery.mail import MailServer, mail, send_mail
from vigil.domain.errors import Stopping
from vigil.settings.escalation import MailSettings

FOUND = datetime(2026, 11, 26, 21, 30, tzinfo=UTC)
NOTICE = Notice("a1b2c3d4e5f6a7b8", 1, FOUND, ZoneInfo("Europe/Berlin"), link="https://orthanc.example/vigil/acknowledge/TOKEN")
TO = ("oncall@hospital.example", "second@hospital.example")


def server(port: int, **settings: Any) -> MailServer:
    values = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "vigil@hospital.example", "to": TO,
              "timeout_seconds": 5.0}
    return MailServer("mail", MailSettings(**(values | settings)))


def send(to: MailServer, stop: threading.Event, notice: Notice = NOTICE) -> int:
    return send_mail(to, mail(notice, "id-1", FOUND, to.settings.sender, to.settings.to), stop)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("s3cret word\n")
    return file


def test_a_notice_arrives_and_says_what_to_do(stop: threading.Event) -> None:
    with Mailbox() as mailbox:
        assert send(server(mailbox.port), stop) == 2
        received, = mailbox.received
    assert received.recipients == TO
    message = received.message
    assert message["Subject"] == "AI alert, category 1, not yet acknowledged (a1b2c3d4e5f6)"
    assert message["Message-ID"] == "<id-1@hospital.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Importance"] == "high"
    assert "https://orthanc.example/vigil/acknowledge/TOKEN" in received.text.splitlines()
    assert "Found: 2026-11-26 22:30 CET" in received.text
    assert "Not for primary diagnosis" in received.text


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_logs_in_over_tls_with_a_password_from_a_file(
    authority: Authority, password: Path, stop: threading.Event, security: str,
) -> None:
    context = authority.server_context("mail")
    box = Mailbox(**{security: context}, login=("vigil", "s3cret word"))
    with box as mailbox:
        to = server(mailbox.port, security=security, user="vigil", password_file=password, authority_file=authority.file)
        assert send(to, stop) == 2
        assert len(mailbox.received) == 1


def test_a_password_from_the_environment(authority: Authority, stop: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_MAIL", "right")
    with Mailbox(starttls=authority.server_context("mail"), login=("vigil", "right")) as mailbox:
        to = server(mailbox.port, security="starttls", user="vigil", password_variable="VIGIL_MAIL",
                    authority_file=authority.file)
        assert send(to, stop) == 2
        monkeypatch.setenv("VIGIL_MAIL", "wrong")
        with pytest.raises(DestinationRefused, match="refused user and password"):
            send(to, stop)
        monkeypatch.delenv("VIGIL_MAIL")
        with pytest.raises(DestinationInvalid, match="VIGIL_MAIL holds no secret"):
            send(to, stop)


def test_a_certificate_of_another_name_or_authority_is_refused(authority: Authority, stop: threading.Event) -> None:
    with Mailbox(starttls=authority.server_context("mail", address="127.0.0.9")) as mailbox:
        to = server(mailbox.port, security="starttls", authority_file=authority.file)
        with pytest.raises(DestinationRefused, match="certificate is not accepted"):
            send(to, stop)
    with Mailbox(tls=authority.server_context("mail")) as mailbox:
        with pytest.raises(DestinationRefused, match="AuthorityFile"):
            send(server(mailbox.port, security="tls"), stop)
        assert mailbox.received == []


def test_a_server_without_starttls_is_sent_nothing(stop: threading.Event) -> None:
    with Mailbox() as mailbox:
        with pytest.raises(DestinationRefused, match="does not offer"):
            send(server(mailbox.port, security="starttls"), stop)
        assert mailbox.received == []


@pytest.mark.parametrize(("answer", "error"), [("451 later", DestinationBusy), ("554 Doe^Jane is spam", DestinationRefused)])
def test_no_for_now_and_no_for_good_are_two_things(stop: threading.Event, answer: str, error: type[Exception]) -> None:
    with Mailbox(answer=answer) as mailbox, pytest.raises(error) as raised:
        send(server(mailbox.port), stop)
    assert type(raised.value) is error
    assert "Doe" not in str(raised.value), "the server's words may quote what was sent"


def test_one_recipient_that_is_refused_does_not_take_the_others_down(stop: threading.Event) -> None:
    with Mailbox(refused={TO[1]: "550 no such person"}) as mailbox:
        assert send(server(mailbox.port), stop) == 1
    with Mailbox(refused=dict.fromkeys(TO, "550 no such person")) as mailbox, pytest.raises(DestinationRefused, match="550"):
        send(server(mailbox.port), stop)


def test_nobody_listens(stop: threading.Event) -> None:
    with pytest.raises(DestinationUnreachable, match="nobody listens"):
        send(server(free_port()), stop)


@contextmanager
def dawdling() -> Iterator[int]:
    """Takes a connection and goes on greeting: no wait for a line ever runs out."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def dawdle() -> None:
            connection, _ = listening.accept()
            with connection:
                while not over.wait(0.1):
                    try:
                        connection.sendall(b"220-wait\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=dawdle, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        over.set()
        thread.join()


def test_a_server_that_dawdles_is_left_in_time(stop: threading.Event) -> None:
    with dawdling() as port, pytest.raises(DestinationSilent):
        send(server(port, timeout_seconds=0.5), stop)


def test_a_stop_of_orthanc_is_not_held_up(stop: threading.Event) -> None:
    with dawdling() as port:
        timer = threading.Timer(0.3, stop.set)
        timer.start()
        with pytest.raises(Stopping):
            send(server(port, timeout_seconds=600.0), stop)
        timer.join()


def test_what_the_site_does_not_let_out_is_not_in_it(stop: threading.Event) -> None:
    with Mailbox() as mailbox:
        send(server(mailbox.port), stop)
        send(server(mailbox.port), stop, Notice(
            "a1b2c3d4e5f6", 2, FOUND, UTC, finding="Hyperdense region", accession_number="ACC-1", study_description="CT Schädel"))
        bare, full = (item.text for item in mailbox.received)
    assert all(words not in bare for words in ("Finding", "Accession", "Study"))
    assert all(words in full for words in ("Finding: Hyperdense region", "Accession number: ACC-1", "Study: CT Schädel"))
    assert "vigil alerts acknowledge a1b2c3d4e5f6" in full, "without a link it says how else"
