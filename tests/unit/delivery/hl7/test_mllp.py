"""MLLP to a receiver of python-hl7 in a process of its own, and to one that cuts the line."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hospital.network import free_port
from hospital.pacs import SilentNode
from hospital.ris import Certificates, Ris
from vigil.delivery.destination import Connection, RisDestination
from vigil.delivery.errors import DestinationRefused, DestinationSilent, DestinationUnreachable, ProtocolError
from vigil.delivery.hl7.mllp import MllpClient
from vigil.delivery.hl7.profile import Hl7Profile
from vigil.domain.errors import Stopping


def message(control_id: str, text: str = "Müller 山田") -> bytes:
    lines = [
        f"MSH|^~\\&|VIGIL|HOSP|EHR|HOSP|20261122204500||ORU^R01^ORU_R01|{control_id}|P|2.5.1||||||UNICODE UTF-8",
        f"NTE|1||{text}",
    ]
    return ("\r".join(lines) + "\r").encode()


def destination(port: int, connection: Connection = Connection.PERSISTENT, timeout_s: float = 5.0) -> RisDestination:
    return RisDestination(
        "ed", "127.0.0.1", port, Hl7Profile(), timeout_s=timeout_s, connect_timeout_s=2.0, connection=connection
    )


@pytest.fixture
def ris(tmp_path: Path) -> Iterator[Ris]:
    with Ris(tmp_path / "ris") as running:
        yield running


@pytest.mark.parametrize("connection", list(Connection))
def test_a_message_arrives_as_it_was_and_is_acknowledged(
    ris: Ris, stop: threading.Event, connection: Connection
) -> None:
    with MllpClient(destination(ris.port, connection)) as client:
        for number in range(3):
            acknowledgement = client.send(message(f"V{number}"), f"V{number}", stop)
            assert (acknowledgement.code, acknowledgement.control_id) == ("AA", f"V{number}")
            assert acknowledgement.accepted
    assert [path.read_bytes() for path in ris.received()] == [message(f"V{number}")[:] for number in range(3)]


def test_a_large_message_arrives_whole(ris: Ris, stop: threading.Event) -> None:
    large = message("V1", "x" * 2_000_000)
    with MllpClient(destination(ris.port)) as client:
        assert client.send(large, "V1", stop).accepted
    assert ris.received()[0].read_bytes() == large


@pytest.mark.parametrize("code", ["AE", "AR"])
def test_a_refusal_is_told_with_its_reason(ris: Ris, stop: threading.Event, code: str) -> None:
    ris.answer(code)
    with MllpClient(destination(ris.port)) as client:
        acknowledgement = client.send(message("V1"), "V1", stop)
    assert (acknowledgement.code, acknowledgement.text) == (code, "told to refuse")
    assert not acknowledgement.accepted


def test_an_acknowledgement_that_comes_byte_by_byte_is_understood(ris: Ris, stop: threading.Event) -> None:
    ris.answer("bytes")
    with MllpClient(destination(ris.port)) as client:
        assert client.send(message("V1"), "V1", stop).accepted


def test_the_acknowledgement_of_another_message_is_passed_over(ris: Ris, stop: threading.Event) -> None:
    ris.answer("other-first")
    with MllpClient(destination(ris.port)) as client:
        assert client.send(message("V1"), "V1", stop).control_id == "V1"


def test_only_another_messages_acknowledgement_is_no_acknowledgement(ris: Ris, stop: threading.Event) -> None:
    ris.answer("wrong-id")
    with (
        MllpClient(destination(ris.port, timeout_s=1.0)) as client,
        pytest.raises(DestinationSilent, match=r"acknowledged 1 other message.*MSA-2"),
    ):
        client.send(message("V1"), "V1", stop)


def test_a_lost_acknowledgement_is_silence_within_the_timeout(ris: Ris, stop: threading.Event) -> None:
    ris.answer("silent")
    began = time.monotonic()
    with MllpClient(destination(ris.port, timeout_s=1.0)) as client:
        with pytest.raises(DestinationSilent, match="did not acknowledge it within 1 s"):
            client.send(message("V1"), "V1", stop)
        assert 0.9 < time.monotonic() - began < 20  # a bound against a hang
        ris.answer("AA")
        assert client.send(message("V1"), "V1", stop).accepted
    assert [path.read_bytes() for path in ris.received()] == [message("V1")] * 2


def test_a_late_acknowledgement_does_not_answer_the_next_message(ris: Ris, stop: threading.Event) -> None:
    ris.answer("late")
    with MllpClient(destination(ris.port, timeout_s=1.0)) as client:
        with pytest.raises(DestinationSilent):
            client.send(message("V1"), "V1", stop)
        ris.answer("silent")
        with pytest.raises(DestinationSilent):
            client.send(message("V2"), "V2", stop)


def test_an_acknowledgement_that_is_only_slow_is_waited_for(ris: Ris, stop: threading.Event) -> None:
    ris.answer("late")
    with MllpClient(destination(ris.port, timeout_s=5.0)) as client:
        assert client.send(message("V1"), "V1", stop).accepted


def test_something_that_is_not_hl7_is_a_protocol_error(ris: Ris, stop: threading.Event) -> None:
    ris.answer("garbage")
    with MllpClient(destination(ris.port, timeout_s=1.0)) as client, pytest.raises(ProtocolError, match="not HL7"):
        client.send(message("V1"), "V1", stop)


def test_a_connection_closed_before_the_acknowledgement_is_silence_at_once(ris: Ris, stop: threading.Event) -> None:
    ris.answer("close")
    began = time.monotonic()
    with (
        MllpClient(destination(ris.port)) as client,
        pytest.raises(DestinationSilent, match="closed the connection before it acknowledged"),
    ):
        client.send(message("V1"), "V1", stop)
    assert time.monotonic() - began < 20  # a bound against a hang


def test_a_persistent_connection_that_the_receiver_closed_is_opened_again(ris: Ris, stop: threading.Event) -> None:
    ris.answer("accept-close")
    with MllpClient(destination(ris.port)) as client:
        for number in range(3):
            assert client.send(message(f"V{number}"), f"V{number}", stop).accepted
            time.sleep(0.1)
    assert len(ris.received()) == 3


def test_a_receiver_that_was_restarted_gets_the_next_message(ris: Ris, stop: threading.Event) -> None:
    with MllpClient(destination(ris.port)) as client:
        assert client.send(message("V1"), "V1", stop).accepted
        ris.stop()
        with pytest.raises(DestinationUnreachable):
            client.send(message("V2"), "V2", stop)
        ris.start()
        assert client.send(message("V2"), "V2", stop).accepted
    assert len(ris.received()) == 2


@dataclass
class Cutter:
    """A listener that reads a few bytes of a message and resets the connection; then hands over to nobody."""

    taken: int = 10

    def __enter__(self) -> Cutter:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.recv(self.taken)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            connection.close()


def test_a_connection_cut_in_the_middle_of_the_message_is_silence(stop: threading.Event) -> None:
    with (
        Cutter() as cutter,
        MllpClient(destination(cutter.port)) as client,
        pytest.raises(DestinationSilent, match="may have received it"),
    ):
        client.send(message("V1", "x" * 3_000_000), "V1", stop)


@dataclass
class OneMessageEach:
    """A listener that answers the first message of each connection and drops the second: such receivers exist."""

    def __enter__(self) -> OneMessageEach:
        self.received: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                block = connection.recv(65536)
                self.received.append(block[1:-2])
                control_id = block.split(b"|")[9]
                connection.sendall(b"\x0bMSH|^~\\&|\rMSA|AA|" + control_id + b"\r\x1c\x0d")
                connection.recv(65536)


def test_a_receiver_that_drops_the_second_message_of_a_connection_gets_it_over_another(stop: threading.Event) -> None:
    with OneMessageEach() as receiver, MllpClient(destination(receiver.port)) as client:
        for control_id in ("V1", "V2"):
            assert client.send(message(control_id), control_id, stop).control_id == control_id
        assert receiver.received == [message("V1"), message("V2")]


def test_a_message_after_a_silence_goes_over_a_new_connection(stop: threading.Event) -> None:
    with SilentNode() as node, MllpClient(destination(node.port, timeout_s=0.3)) as client:
        for control_id in ("V1", "V2"):
            with pytest.raises(DestinationSilent):
                client.send(message(control_id), control_id, stop)
        assert node.connections == 2


def test_a_receiver_that_reads_nothing_does_not_hold_us(stop: threading.Event) -> None:
    began = time.monotonic()
    with (
        SilentNode() as node,
        MllpClient(destination(node.port, timeout_s=1.0)) as client,
        pytest.raises(DestinationSilent, match="reads nothing"),
    ):
        client.send(message("V1", "x" * 20_000_000), "V1", stop)
    assert time.monotonic() - began < 20  # a bound against a hang


def test_a_closed_port_and_an_unknown_host_are_unreachable(stop: threading.Event) -> None:
    with MllpClient(destination(free_port())) as client, pytest.raises(DestinationUnreachable, match="nobody listens"):
        client.send(message("V1"), "V1", stop)
    nowhere = RisDestination("ed", "nowhere.invalid", 2575, Hl7Profile())
    with MllpClient(nowhere) as client, pytest.raises(DestinationUnreachable, match="host name is unknown"):
        client.send(message("V1"), "V1", stop)


def test_a_stop_ends_the_wait_at_once(ris: Ris, stop: threading.Event) -> None:
    ris.answer("silent")
    threading.Timer(0.4, stop.set).start()
    began = time.monotonic()
    with MllpClient(destination(ris.port, timeout_s=30.0)) as client, pytest.raises(Stopping):
        client.send(message("V1"), "V1", stop)
    assert time.monotonic() - began < 20  # a bound against a hang
    assert len(ris.received()) == 1


def test_nothing_is_sent_once_stopping(ris: Ris, stop: threading.Event) -> None:
    stop.set()
    with MllpClient(destination(ris.port)) as client, pytest.raises(Stopping):
        client.send(message("V1"), "V1", stop)
    assert ris.received() == []


def test_messages_of_several_threads_go_one_after_the_other(ris: Ris, stop: threading.Event) -> None:
    codes: list[str] = []
    with MllpClient(destination(ris.port)) as client:
        threads = [
            threading.Thread(target=lambda n=n: codes.append(client.send(message(f"V{n}"), f"V{n}", stop).control_id))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert sorted(codes) == [f"V{n}" for n in range(8)]
    assert len(ris.received()) == 8


def test_the_small_ris_keeps_counting_after_a_restart(ris: Ris, stop: threading.Event) -> None:
    with MllpClient(destination(ris.port, Connection.PER_MESSAGE)) as client:
        client.send(message("V1"), "V1", stop)
        ris.stop()
        ris.start()
        client.send(message("V2"), "V2", stop)
    assert [path.name for path in ris.received()] == ["0001-V1.hl7", "0002-V2.hl7"]


@dataclass(frozen=True)
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    folder: Path

    def file(self) -> Path:
        path = self.folder / "authority.pem"
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(self, name: str) -> tuple[Path, Path]:
        """Files of a certificate for 127.0.0.1 and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key.public_key(), self.certificate.subject, self.key, authority=False)
        certificate_file, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate_file, key_file


def _certificate(
    name: str, key: ec.EllipticCurvePublicKey, issuer: x509.Name | None, issuer_key: ec.EllipticCurvePrivateKey,
    authority: bool,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(_certificate("Test authority", key.public_key(), None, key, authority=True), key, tmp_path)


def test_a_receiver_with_mutual_tls_is_served(tmp_path: Path, authority: Authority, stop: threading.Event) -> None:
    certificates = Certificates(*authority.issue("ris"), client_authority=authority.file())
    context = ssl.create_default_context(cafile=authority.file())
    context.load_cert_chain(*authority.issue("vigil"))
    with Ris(tmp_path / "ris", certificates=certificates) as ris, MllpClient(destination(ris.port), context) as client:
        for control_id in ("V1", "V2"):
            assert client.send(message(control_id), control_id, stop).accepted


def test_a_missing_client_certificate_is_named(tmp_path: Path, authority: Authority, stop: threading.Event) -> None:
    certificates = Certificates(*authority.issue("ris"), client_authority=authority.file())
    context = ssl.create_default_context(cafile=authority.file())
    with (
        Ris(tmp_path / "ris", certificates=certificates) as ris,
        MllpClient(destination(ris.port), context) as client,
        pytest.raises((DestinationRefused, DestinationSilent), match="client certificate"),
    ):
        client.send(message("V1"), "V1", stop)


def test_an_untrusted_receiver_gets_nothing(tmp_path: Path, authority: Authority, stop: threading.Event) -> None:
    with (
        Ris(tmp_path / "ris", certificates=Certificates(*authority.issue("ris"))) as ris,
        MllpClient(destination(ris.port), ssl.create_default_context()) as client,
        pytest.raises(DestinationRefused, match="TLS failed: certificate verify failed"),
    ):
        client.send(message("V1"), "V1", stop)
    assert ris.received() == []


def test_tls_to_a_port_without_tls_does_not_hold_us(stop: threading.Event) -> None:
    with (
        SilentNode() as node,
        MllpClient(destination(node.port), ssl.create_default_context()) as client,
        pytest.raises(DestinationSilent, match="does this port speak TLS"),
    ):
        client.send(message("V1"), "V1", stop)
