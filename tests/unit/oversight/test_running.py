"""Asking an Orthanc that speaks HTTPS: held to its own certificate, and what is said where TLS stands in the way."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hospital.authority import Authority
from vigil.oversight.doctor.check import Level
from vigil.oversight.doctor.running import Running, ask_running


class Orthanc(BaseHTTPRequestHandler):
    asked: list[str | None] = []  # noqa: RUF012 - of the one server of a test

    def do_GET(self) -> None:
        self.asked.append(self.headers["Authorization"])
        body = json.dumps({"Version": "1.12.7"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(context: ssl.SSLContext | None) -> Iterator[int]:
    Orthanc.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Orthanc)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] - handshakes that fail are meant to
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Running | None]:
    def asked(port: int, certificate: Path, **changes: object) -> Running | None:
        return ask_running({"HttpPort": port, "SslEnabled": True, "SslCertificate": certificate.name,
                            "RegisteredUsers": {"ann": "secret"}, **changes}, tmp_path)

    return asked


Ask = Callable[..., Running | None]


def test_the_one_with_its_own_certificate_is_asked_with_a_password(authority: Authority, ask: Ask) -> None:
    certificate, key = authority.issue("orthanc")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(context) as port:
        running = ask(port, certificate)
    assert running is not None
    assert running.system == {"Version": "1.12.7"}
    assert Orthanc.asked[0] == "Basic YW5uOnNlY3JldA=="


def test_one_with_another_certificate_is_told_no_password(authority: Authority, ask: Ask) -> None:
    with serving(authority.server_context("another")) as port:
        running = ask(port, authority.issue("orthanc")[0])
    assert running is not None
    assert running.unasked is not None
    assert running.unasked.level is Level.ERROR
    assert "shows another certificate than" in running.unasked.what
    assert "restart Orthanc if that file was renewed" in running.unasked.remedy
    assert Orthanc.asked == []


def test_one_whose_certificate_cannot_be_read_is_told_no_password(authority: Authority, ask: Ask) -> None:
    with serving(authority.server_context("orthanc")) as port:
        running = ask(port, Path("absent.pem"))
    assert running is not None
    assert running.unasked is not None
    assert "absent.pem cannot be read (No such file" in running.unasked.what
    assert Orthanc.asked == []


def test_one_that_speaks_no_tls_is_told_no_password(authority: Authority, ask: Ask) -> None:
    with serving(None) as port:
        running = ask(port, authority.issue("orthanc")[0])
    assert running is not None
    assert running.unasked is not None
    assert "does not speak the TLS that SslEnabled promises" in running.unasked.what
    assert Orthanc.asked == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_one_that_wants_a_client_certificate_runs(authority: Authority, ask: Ask, version: ssl.TLSVersion) -> None:
    certificate, key = authority.issue("orthanc")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(context) as port:
        running = ask(port, certificate, SslVerifyPeers=True)
    assert running is not None
    assert running.unasked is not None
    assert running.unasked.level is Level.WARNING
    assert "nobody in without a client certificate" in running.unasked.what


def test_where_nobody_listens_nobody_runs(authority: Authority, ask: Ask) -> None:
    with serving(None) as port:
        pass
    assert ask(port, authority.issue("orthanc")[0]) is None
