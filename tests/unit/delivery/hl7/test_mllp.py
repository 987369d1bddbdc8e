"""MLLP to a receiver of python-hl7 in a process of its own, and to one that cuts the line."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mllp_cases import destination, message

from hospital.network import free_port
from hospital.pacs import SilentNode
from hospital.ris import Ris
from vigil.delivery.destination import Address, Connection, RisDestination
from vigil.delivery.errors import DestinationSilent, DestinationUnreachable, ProtocolError
from vigil.delivery.hl7.mllp import MllpClient
from vigil.delivery.hl7.profile import Hl7Profile
from vigil.domain.errors import Stopping


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


COMMIT = Hl7Profile(accept_acknowledgement="AL", application_acknowledgement="NE")
COMMIT_AND_ANSWER = Hl7Profile(accept_acknowledgement="AL", application_acknowledgement="AL")


@pytest.mark.parametrize(("code", "accepted", "rejected"), [("CA", True, False), ("CE", False, False), ("CR", False, True)])
def test_in_enhanced_mode_the_commit_is_the_answer(
    ris: Ris, stop: threading.Event, code: str, accepted: bool, rejected: bool
) -> None:
    ris.answer(code)
    with MllpClient(destination(ris.port, profile=COMMIT)) as client:
        acknowledgement = client.send(message("V1"), "V1", stop)
    assert (acknowledgement.code, acknowledgement.accepted, acknowledgement.rejected) == (code, accepted, rejected)


@pytest.mark.parametrize("code", ["AA", "AE"])
def test_in_enhanced_mode_the_application_s_answer_is_waited_for_where_it_was_asked_for(
    ris: Ris, stop: threading.Event, code: str
) -> None:
    ris.answer(f"CA-{code}")
    with MllpClient(destination(ris.port, profile=COMMIT_AND_ANSWER)) as client:
        assert client.send(message("V1"), "V1", stop).code == code
        ris.answer("AA")
        assert client.send(message("V2"), "V2", stop).code == "AA"
    assert [path.read_bytes() for path in ris.received()] == [message("V1"), message("V2")]


def test_an_application_s_answer_that_asks_for_it_is_answered_with_a_commit(ris: Ris, stop: threading.Event) -> None:
    ris.answer("CA-AA")
    with MllpClient(destination(ris.port, profile=COMMIT_AND_ANSWER)) as client:
        client.send(message("V1"), "V1", stop)
        answered = ris.wait_for_accept()
    assert str(answered.segment("MSA")(1)) == "CA"
    assert len(str(answered.segment("MSA")(2))) == 20


def test_a_commit_without_the_application_s_answer_is_a_delivery(ris: Ris, stop: threading.Event) -> None:
    ris.answer("CA")
    with MllpClient(destination(ris.port, timeout_s=1.0, profile=COMMIT_AND_ANSWER)) as client:
        assert client.send(message("V1"), "V1", stop).code == "CA"
    assert len(ris.received()) == 1


def pair(first: int, second: int, timeout_s: float = 5.0) -> RisDestination:
    return destination(first, timeout_s=timeout_s, second=Address("127.0.0.1", second))


def test_the_second_address_takes_over_from_one_that_is_down_and_is_named(ris: Ris, stop: threading.Event) -> None:
    with MllpClient(pair(free_port(), ris.port)) as client:
        for control_id in ("V1", "V2"):
            acknowledgement = client.send(message(control_id), control_id, stop)
            assert (acknowledgement.code, acknowledgement.receiver) == ("AA", f"127.0.0.1:{ris.port}")
    assert len(ris.received()) == 2


def test_a_first_address_that_takes_and_does_not_answer_gives_way_at_the_next_attempt(
    ris: Ris, stop: threading.Event
) -> None:
    with SilentNode() as node, MllpClient(pair(node.port, ris.port, timeout_s=0.5)) as client:
        with pytest.raises(DestinationSilent):
            client.send(message("V1"), "V1", stop)
        assert client.send(message("V1"), "V1", stop).receiver == f"127.0.0.1:{ris.port}"


def test_the_first_address_is_used_again_when_the_second_fails(ris: Ris, tmp_path: Path, stop: threading.Event) -> None:
    first = free_port()
    with MllpClient(pair(first, ris.port)) as client:
        assert client.send(message("V1"), "V1", stop).receiver.endswith(f":{ris.port}")
        ris.stop()
        with Ris(tmp_path / "first", port=first):
            assert client.send(message("V2"), "V2", stop).receiver == f"127.0.0.1:{first}"


def test_the_first_address_is_tried_again_after_a_while(
    ris: Ris, tmp_path: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vigil.delivery.hl7.mllp.FAIL_BACK_S", 0.0)
    first = free_port()
    with MllpClient(pair(first, ris.port)) as client:
        assert client.send(message("V1"), "V1", stop).receiver.endswith(f":{ris.port}")
        with Ris(tmp_path / "first", port=first):
            assert client.send(message("V2"), "V2", stop).receiver == f"127.0.0.1:{first}"


def test_where_neither_address_answers_both_are_told(stop: threading.Event) -> None:
    first, second = free_port(), free_port()
    with MllpClient(pair(first, second)) as client, pytest.raises(DestinationUnreachable) as raised:
        client.send(message("V1"), "V1", stop)
    assert f":{first})" in raised.value.message
    assert f":{second})" in raised.value.message
