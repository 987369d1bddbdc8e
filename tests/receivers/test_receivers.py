"""Alerts to HL7 receivers that the project did not write, parsed back by them field by field."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import hl7
import pytest
from delivery_cases import PROFILE, alert, answer, header, manifest
from mllp_cases import destination
from node_receiver import NodeReceiver

from hospital.ris import Ris
from vigil.delivery.destination import Connection
from vigil.delivery.hl7.alert import AlertKind
from vigil.delivery.hl7.message import write
from vigil.delivery.hl7.mllp import MllpClient
from vigil.delivery.hl7.profile import Version
from vigil.domain.answer import AnswerKind

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
ARABIC = "قباني^لنزار"
ALERTS = (
    alert(control_id="V-POSITIVE"),
    alert(control_id="V-NEGATIVE", answer=answer(AnswerKind.NEGATIVE, 1.2), patient_study=header(JAPANESE)),
    alert(AlertKind.NOT_ANALYSED, control_id="V-NONE", answer=answer(AnswerKind.NOT_ANALYSED), patient_study=header(ARABIC)),
    alert(AlertKind.CORRECTION, control_id="V-CORRECTION", revision=2, cause="late | images ^ arrived & more ~ \\ than before"),
    alert(AlertKind.WITHDRAWAL, control_id="V-WITHDRAWAL", revision=3, cause="the study was repeated"),
    alert(AlertKind.WRONG_PATIENT, control_id="V-WRONG", revision=4),
    alert(control_id="V-RESEARCH", manifest=manifest(status="research"), override="Dr A. Smith"),
)


def fields(content: bytes) -> list[list[str]]:
    """The segments of a message and their fields, split by hand."""
    return [line.split("|") for line in content.decode().split("\r") if line]


@pytest.mark.parametrize("connection", list(Connection))
@pytest.mark.parametrize("kind", ["simple-hl7", "medplum"])
def test_a_receiver_parses_every_kind_of_message_back_field_by_field(
    kind: str, connection: Connection, stop: threading.Event
) -> None:
    with NodeReceiver(kind) as receiver, MllpClient(destination(receiver.port, connection, 20.0)) as client:
        for made in ALERTS:
            content = write(made, PROFILE).content
            assert client.send(content, made.control_id, stop).code == "AA"
            assert receiver.next()["segments"] == fields(content)


@pytest.mark.parametrize("kind", ["simple-hl7", "medplum"])
@pytest.mark.parametrize("version", list(Version))
def test_a_receiver_parses_every_version_back(kind: str, version: Version, stop: threading.Event) -> None:
    with NodeReceiver(kind) as receiver, MllpClient(destination(receiver.port, timeout_s=20.0)) as client:
        content = write(alert(), replace(PROFILE, version=version, zds=True)).content
        assert client.send(content, alert().control_id, stop).code == "AA"
        assert receiver.next()["segments"] == fields(content)


def test_a_receiver_that_answers_everything_before_again_is_told_each_message_once(stop: threading.Event) -> None:
    """node-hl7-server keeps what came over a persistent connection and acknowledges all of it at each message."""
    with NodeReceiver("node-hl7-server") as receiver:
        with MllpClient(destination(receiver.port, Connection.PERSISTENT, 20.0)) as client:
            for made in ALERTS:
                acknowledgement = client.send(write(made, PROFILE).content, made.control_id, stop)
                assert (acknowledgement.code, acknowledgement.control_id) == ("AA", made.control_id)
        told = [receiver.next()["fields"]["MSH.10"] for _ in range(len(ALERTS) * (len(ALERTS) + 1) // 2)]
    assert told.count("V-POSITIVE") == len(ALERTS), "this receiver does not repeat itself any more: the test is moot"
    assert told[-1] == ALERTS[-1].control_id


def test_the_same_receiver_parses_each_message_back_over_a_connection_of_its_own(stop: threading.Event) -> None:
    with (
        NodeReceiver("node-hl7-server") as receiver,
        MllpClient(destination(receiver.port, Connection.PER_MESSAGE, 20.0)) as client,
    ):
        for made in ALERTS:
            content = write(made, PROFILE).content
            assert client.send(content, made.control_id, stop).code == "AA"
            family, given = fields(content)[1][5].split("~")[0].split("^")[:2]
            assert receiver.next()["fields"] == {
                "MSH.10": made.control_id, "PID.3.1": "PAT-1", "PID.5.1": family, "PID.5.2": given,
                "OBR.3.1": made.filler_order_number, "OBR.18": "ACC1",
            }


@pytest.mark.parametrize("connection", list(Connection))
def test_python_hl7_parses_every_kind_of_message_back_field_by_field(
    tmp_path: Path, connection: Connection, stop: threading.Event
) -> None:
    with Ris(tmp_path / "ris") as ris, MllpClient(destination(ris.port, connection, 20.0)) as client:
        for made in ALERTS:
            assert client.send(write(made, PROFILE).content, made.control_id, stop).code == "AA"
        for made, received in zip(ALERTS, ris.received(), strict=True):
            message = hl7.parse(received.read_bytes().decode())
            assert [[str(field) for field in segment] for segment in message] == [
                [name, "|", *rest] if name == "MSH" else [name, *rest] for name, *rest in fields(write(made, PROFILE).content)
            ]
