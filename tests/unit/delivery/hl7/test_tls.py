"""TLS and mutual TLS to python-hl7: each way to fail is told in a sentence that names the side and the cure."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mllp_cases import destination, message

from hospital.authority import Authority
from hospital.network import free_port
from hospital.pacs import SilentNode
from hospital.ris import Certificates, Ris
from vigil.delivery.destination import TlsFiles
from vigil.delivery.errors import DeliveryError, DestinationInvalid, DestinationRefused, DestinationSilent
from vigil.delivery.hl7.mllp import MllpClient
from vigil.domain.errors import Category


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def mutual(tmp_path: Path, authority: Authority) -> Iterator[Ris]:
    """A receiver that asks for a client certificate of the authority."""
    certificates = Certificates(*authority.issue("ris"), client_authority=authority.file)
    with Ris(tmp_path / "ris", certificates=certificates) as running:
        yield running


class Greeter:
    """A server that speaks first, in plain text, as one of FTP or SMTP."""

    def __enter__(self) -> Greeter:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.sendall(b"220 ready\r\n")
            connection.recv(65536)

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(5)


def refused(ris: Ris, files: TlsFiles, stop: threading.Event) -> DeliveryError:
    """The error of a message that must not arrive."""
    with MllpClient(destination(ris.port, tls=files)) as client, pytest.raises(DeliveryError) as raised:
        client.send(message("V1"), "V1", stop)
    assert ris.received() == []
    assert raised.value.message.startswith(f"RIS 'ed' (127.0.0.1:{ris.port})")
    return raised.value


def test_a_receiver_with_mutual_tls_is_served(mutual: Ris, authority: Authority, stop: threading.Event) -> None:
    files = TlsFiles(authority.file, *authority.issue("vigil"))
    with MllpClient(destination(mutual.port, tls=files)) as client:
        for control_id in ("V1", "V2"):
            assert client.send(message(control_id), control_id, stop).accepted
    assert [path.read_bytes() for path in mutual.received()] == [message("V1"), message("V2")]


def test_a_missing_client_certificate_is_named(mutual: Ris, authority: Authority, stop: threading.Event) -> None:
    error = refused(mutual, TlsFiles(authority.file), stop)
    assert isinstance(error, DestinationRefused | DestinationSilent)
    assert "client certificate" in error.message


def test_an_expired_client_certificate_is_named(mutual: Ris, authority: Authority, stop: threading.Event) -> None:
    error = refused(mutual, TlsFiles(authority.file, *authority.issue("vigil", days_ago=1)), stop)
    assert "Our certificate (CertificateFile) expired on" in error.message


def test_a_client_certificate_of_a_stranger_is_named(
    mutual: Ris, authority: Authority, tmp_path: Path, stop: threading.Event
) -> None:
    error = refused(mutual, TlsFiles(authority.file, *Authority(tmp_path, "stranger").issue("vigil")), stop)
    assert "does not trust the authority of our certificate" in error.message


@pytest.fixture(params=["-tls1_2", "-tls1_3"])
def openssl(request: pytest.FixtureRequest, tmp_path: Path, authority: Authority) -> Iterator[int]:
    """The port of OpenSSL's own server, which asks for a client certificate and says by an alert why it refuses one."""
    port, (certificate, key) = free_port(), authority.issue("ris")
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key, "-CAfile",
         authority.file, "-Verify", "1", "-verify_return_error", request.param],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdin is not None and server.stdout is not None
    assert any(line.startswith("ACCEPT") for line in server.stdout)
    yield port
    server.terminate()
    server.wait(10)
    server.stdin.close()
    server.stdout.close()


def test_the_alert_of_a_receiver_that_refuses_our_certificate_is_told(
    openssl: int, tmp_path: Path, authority: Authority, stop: threading.Event
) -> None:
    for certificate, words in (
        (None, "asks for a client certificate and got none"),
        (authority.issue("vigil", days_ago=1), "it refused our certificate, which has expired: renew CertificateFile"),
        (Authority(tmp_path, "stranger").issue("unknown"), "it does not trust the authority of our certificate"),
    ):
        files = TlsFiles(authority.file, *(certificate or (None, None)))
        with MllpClient(destination(openssl, tls=files)) as client, pytest.raises(DestinationRefused, match=words):
            client.send(message("V1"), "V1", stop)


def test_an_expired_receiver_is_named(tmp_path: Path, authority: Authority, stop: threading.Event) -> None:
    with Ris(tmp_path / "ris", certificates=Certificates(*authority.issue("ris", days_ago=1))) as ris:
        error = refused(ris, TlsFiles(authority.file), stop)
    assert error.category is Category.DESTINATION_REFUSED
    assert "its certificate has expired: it must be renewed at the receiver" in error.message


def test_a_receiver_of_another_name_is_named_and_can_be_told(
    tmp_path: Path, authority: Authority, stop: threading.Event
) -> None:
    with Ris(tmp_path / "ris", certificates=Certificates(*authority.issue("ris", address="192.0.2.7"))) as ris:
        error = refused(ris, TlsFiles(authority.file), stop)
        assert "its certificate is for another name than 127.0.0.1" in error.message
        told = TlsFiles(authority.file, server_name="192.0.2.7")
        with MllpClient(destination(ris.port, tls=told)) as client:
            assert client.send(message("V1"), "V1", stop).accepted


def test_an_untrusted_receiver_gets_nothing(tmp_path: Path, authority: Authority, stop: threading.Event) -> None:
    with Ris(tmp_path / "ris", certificates=Certificates(*authority.issue("ris"))) as ris:
        for files in (TlsFiles(), TlsFiles(Authority(tmp_path, "stranger").file)):
            assert "from an authority that is not trusted here: name" in refused(ris, files, stop).message


def test_a_certificate_that_is_renewed_needs_no_restart(
    mutual: Ris, authority: Authority, stop: threading.Event
) -> None:
    files = TlsFiles(authority.file, *authority.issue("vigil", days_ago=1))
    with MllpClient(destination(mutual.port, tls=files)) as client:
        with pytest.raises(DeliveryError, match="expired"):
            client.send(message("V1"), "V1", stop)
        authority.issue("vigil")
        assert client.send(message("V1"), "V1", stop).accepted


def test_a_receiver_without_tls_is_named(tmp_path: Path, stop: threading.Event) -> None:
    """Two sorts: one that waits for its MLLP byte, and one that answers in plain text."""
    with (
        SilentNode() as node,
        MllpClient(destination(node.port, tls=TlsFiles())) as client,
        pytest.raises(DestinationSilent, match="does this port speak TLS"),
    ):
        client.send(message("V1"), "V1", stop)
    with Greeter() as node, pytest.raises(DestinationRefused, match="does not speak TLS: check the port, or leave Tls out"):
        MllpClient(destination(node.port, tls=TlsFiles())).send(message("V1"), "V1", stop)


def test_files_that_cannot_be_used_are_named(tmp_path: Path, authority: Authority, stop: threading.Event) -> None:
    good, key = authority.issue("vigil")
    _, other_key = authority.issue("other")
    encrypted = authority.issue("encrypted", passphrase=b"secret")
    text = tmp_path / "text.pem"
    text.write_text("not PEM")
    for files, words in (
        (TlsFiles(tmp_path / "none.pem"), "AuthorityFile .*none.pem.*no such file"),
        (TlsFiles(text), "AuthorityFile .*text.pem.*holds no certificates in PEM"),
        (TlsFiles(authority.file, good, tmp_path / "none.key"), "no such file"),
        (TlsFiles(authority.file, text, key), "CertificateFile and KeyFile .*holds no"),
        (TlsFiles(authority.file, good, other_key), "is not the key of the certificate"),
        (TlsFiles(authority.file, *encrypted), "is encrypted: store it without a passphrase"),
    ):
        with (
            MllpClient(destination(9, tls=files)) as client,
            pytest.raises(DestinationInvalid, match=words) as raised,
        ):
            client.send(message("V1"), "V1", stop)
        assert raised.value.category is Category.SETTINGS_INVALID
