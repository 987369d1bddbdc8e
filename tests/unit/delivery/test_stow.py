"""STOW-RS to Orthanc's DICOMweb plugin; what it never does, a server made for the test does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoded_objects import binary_segmentation, capture, outgoing, picture, report
from pydicom import dcmread
from pydicom.uid import RLELossless
from web_servers import SaidServer, TlsDoor, said

from hospital.network import free_port
from hospital.orthanc import Orthanc, OrthancRefused
from hospital.pacs import SilentNode
from vigil.delivery import stow
from vigil.delivery.destination import WebDestination
from vigil.delivery.dicom import OutgoingObject
from vigil.delivery.errors import (
    DestinationAborted,
    DestinationBusy,
    DestinationInvalid,
    DestinationRefused,
    DestinationSilent,
    DestinationUnreachable,
    ProtocolError,
)
from vigil.delivery.stow import store
from vigil.domain.errors import Stopping
from vigil.results.viewer_profile import PROFILES, Encoding
from vigil.settings.destinations import WebAuthentication

OBJECTS = [outgoing(ds) for ds in (capture(picture()), binary_segmentation(), report())]
UIDS = [item.sop_instance_uid for item in OBJECTS]


def destination(port: int, *, timeout_s: float = 5.0, scheme: str = "http", **more: object) -> WebDestination:
    made = WebDestination("web", f"{scheme}://127.0.0.1:{port}/dicom-web", timeout_s=timeout_s, connect_timeout_s=2.0)
    return replace(made, **more)  # type: ignore[arg-type]


class Heard:
    def __init__(self) -> None:
        self.statuses: list[tuple[str, int, str]] = []

    def __call__(self, uid: str, status: int, text: str) -> None:
        self.statuses.append((uid, status, text))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with Orthanc(tmp_path_factory.mktemp("archive"), name="WEB", script=None) as orthanc:
        yield orthanc


def stored(orthanc: Orthanc, uid: str) -> bytes | None:
    found = [item["ID"] for item in orthanc.post("/tools/lookup", uid.encode()) if item["Type"] == "Instance"]
    return orthanc.get_bytes(f"/instances/{found[0]}/file") if found else None


def test_orthanc_has_every_object_as_its_bytes_were_frozen(archive: Orthanc, stop: threading.Event) -> None:
    heard = Heard()
    outcome = store(destination(archive.http_port), OBJECTS, heard, stop)
    assert outcome.complete
    assert heard.statuses == [(uid, 0, "success") for uid in UIDS]
    for item in OBJECTS:
        assert stored(archive, item.sop_instance_uid) == item.dicom


def test_what_is_there_already_is_success(archive: Orthanc, stop: threading.Event) -> None:
    for _ in range(2):
        assert store(destination(archive.http_port), OBJECTS, Heard(), stop).complete
    assert len(archive.instances()) == len(OBJECTS)


def test_the_profile_s_first_encoding_travels_where_pixels_allow_it(archive: Orthanc, stop: threading.Event) -> None:
    profile = replace(PROFILES["standard"], encodings=(Encoding.RLE,))
    made = [outgoing(capture(picture(), "compressed")), *OBJECTS[1:]]
    assert store(destination(archive.http_port, profile=profile), made, Heard(), stop).complete
    image = dcmread(BytesIO(stored(archive, made[0].sop_instance_uid) or b""))
    assert image.file_meta.TransferSyntaxUID == RLELossless
    assert np.array_equal(image.pixel_array, picture())


def test_many_objects_go_in_several_requests_on_one_connection(
    archive: Orthanc, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stow, "REQUEST_BYTES", 3 * len(OBJECTS[0].dicom))
    many = [outgoing(capture(picture(), f"many {number}")) for number in range(10)]
    assert store(destination(archive.http_port), many, Heard(), stop).complete
    assert all(stored(archive, item.sop_instance_uid) for item in many)


def test_an_object_that_orthanc_cannot_read_is_refused_and_the_others_are_stored(
    archive: Orthanc, stop: threading.Event
) -> None:
    broken = capture(picture(), "broken")
    del broken.SeriesInstanceUID  # without it no archive can file it
    made = [outgoing(broken), OBJECTS[0]]
    heard = Heard()
    outcome = store(destination(archive.http_port), made, heard, stop)
    assert [item.sop_instance_uid for item in outcome.refused] == [made[0].sop_instance_uid]
    assert heard.statuses[0][1:] == (0xC000, "cannot understand (0xC000)")
    assert heard.statuses[1] == (UIDS[0], 0, "success")


def basic(user: str, file: Path) -> WebAuthentication:
    return WebAuthentication(kind="basic", user=user, secret_file=file)


def test_a_password_in_a_file_opens_orthanc_and_a_wrong_one_is_said_to_be_wrong(
    tmp_path: Path, stop: threading.Event
) -> None:
    password = tmp_path / "password"
    password.write_text("söhr geheim\n", encoding="utf-8")
    orthanc = LockedOrthanc(tmp_path / "archive", name="LOCKED", script=None, configuration={
        "AuthenticationEnabled": True, "RegisteredUsers": {"vigil": "söhr geheim"}})
    with orthanc:
        with pytest.raises(DestinationRefused, match=r"401.*correct Authentication"):
            store(destination(orthanc.http_port), OBJECTS, Heard(), stop)
        right = destination(orthanc.http_port, authentication=basic("vigil", password))
        assert "geheim" not in repr(right)
        assert store(right, OBJECTS, Heard(), stop).complete
        password.write_text("wrong", encoding="utf-8")
        with pytest.raises(DestinationRefused, match="401") as refused:
            store(right, OBJECTS, Heard(), stop)
        assert "wrong" not in refused.value.message


class LockedOrthanc(Orthanc):
    """Answers nobody without a password, so that its start is seen by its "unauthorized" alone."""

    def get(self, path: str) -> Any:
        try:
            return super().get(path)
        except OrthancRefused as refused:
            if refused.status == 401:
                return {"Name": self.name}
            raise


def test_a_token_is_read_from_the_environment_at_each_request(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = WebAuthentication(kind="bearer", secret_environment="VIGIL_TEST_TOKEN")
    with SaidServer(lambda _: said(200, stored=dict.fromkeys(UIDS, 0))) as server:
        for value in ("first", "second"):
            monkeypatch.setenv("VIGIL_TEST_TOKEN", value)
            store(destination(server.port, authentication=token), OBJECTS, Heard(), stop)
            assert server.requests[-1][1]["Authorization"] == f"Bearer {value}"
        monkeypatch.delenv("VIGIL_TEST_TOKEN")
        with pytest.raises(DestinationInvalid, match="environment variable VIGIL_TEST_TOKEN of Orthanc holds no"):
            store(destination(server.port, authentication=token), OBJECTS, Heard(), stop)
        assert len(server.requests) == 2, "nothing is asked without the secret"
    with pytest.raises(DestinationInvalid, match="SecretFile /nowhere/token cannot be read"):
        destination(1, authentication=basic("vigil", Path("/nowhere/token"))).authorization()


def test_tls_reaches_whom_the_site_trusts_and_nobody_else(
    archive: Orthanc, tmp_path: Path, stop: threading.Event
) -> None:
    with TlsDoor(tmp_path, archive.http_port) as door:
        trusted = destination(door.port, scheme="https", certificate_authority=door.authority)
        assert store(trusted, OBJECTS, Heard(), stop).complete
        with pytest.raises(DestinationRefused, match=r"no trusted connection \(self-signed certificate.*CertificateAuthority"):
            store(destination(door.port, scheme="https"), OBJECTS, Heard(), stop)
    (tmp_path / "other").mkdir()
    with TlsDoor(tmp_path / "other", archive.http_port, name="192.0.2.1") as elsewhere, pytest.raises(
            DestinationRefused, match="IP address mismatch"):
        store(destination(elsewhere.port, scheme="https", certificate_authority=elsewhere.authority), OBJECTS, Heard(), stop)
    with pytest.raises(DestinationInvalid, match=r"CertificateAuthority \(.*none.pem\): no such file"):
        store(destination(door.port, scheme="https", certificate_authority=tmp_path / "none.pem"), OBJECTS, Heard(), stop)


def test_a_server_that_asks_for_our_certificate_gets_it(archive: Orthanc, tmp_path: Path, stop: threading.Event) -> None:
    with TlsDoor(tmp_path, archive.http_port, ask_client=True) as door:
        trusted = destination(door.port, scheme="https", certificate_authority=door.authority)
        with pytest.raises((DestinationRefused, DestinationAborted)):
            store(trusted, OBJECTS, Heard(), stop)
        assert store(replace(trusted, client_certificate=door.authority), OBJECTS, Heard(), stop).complete


def test_each_object_has_the_outcome_that_the_server_names(stop: threading.Event) -> None:
    heard = Heard()
    with SaidServer(lambda _: said(202, stored={UIDS[0]: 0xB000}, failed={UIDS[1]: 0x0122})) as server:
        outcome = store(destination(server.port), OBJECTS, heard, stop)
    assert [status for _, status, _ in heard.statuses] == [0xB000, 0x0122, 0x0110]
    assert heard.statuses[1][2] == "SOP class not supported"
    assert heard.statuses[2][2] == "processing failure: the server's answer does not name it"
    assert [item.sop_instance_uid for item in outcome.refused] == UIDS[1:]
    with SaidServer(lambda _: said(409, failed=dict.fromkeys(UIDS, 0xA700))) as server:
        assert {item.status for item in store(destination(server.port), OBJECTS, Heard(), stop).refused} == {0xA700}


def test_a_request_is_what_the_standard_says(stop: threading.Event) -> None:
    with SaidServer(lambda _: (200, b"")) as server:
        assert store(destination(server.port), OBJECTS, Heard(), stop).complete
    path, headers, body = server.requests[0]
    assert path == "/dicom-web/studies"
    assert headers["Accept"] == "application/dicom+json"
    kind, parameters = headers["Content-Type"].split(";", 1)
    assert kind == "multipart/related"
    assert 'type="application/dicom"' in parameters
    boundary = parameters.split("boundary=")[1].encode()
    parts = body.split(b"--" + boundary)
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    assert len(parts) == len(OBJECTS) + 2
    for part, item in zip(parts[1:-1], OBJECTS, strict=True):
        head, _, content = part.partition(b"\r\n\r\n")
        assert head == b"\r\nContent-Type: application/dicom"
        assert content == item.dicom + b"\r\n"


@pytest.mark.parametrize(("status", "error", "words"), [
    (400, DestinationRefused, "names a DICOMweb service"), (403, DestinationRefused, "may not store"),
    (404, DestinationRefused, "correct Url"), (413, DestinationRefused, "limit"), (415, DestinationRefused, "TransferSyntaxes"),
    (307, DestinationRefused, "points elsewhere"), (418, DestinationRefused, "its log should say why"),
    (429, DestinationBusy, "later"), (500, DestinationBusy, "later"), (503, DestinationBusy, "later"),
    (409, DestinationRefused, "409"), (200, ProtocolError, "not with the outcome of each object"),
])
def test_every_answer_has_its_meaning_and_the_server_s_words_are_not_repeated(
    status: int, error: type[Exception], words: str, stop: threading.Event
) -> None:
    with SaidServer(lambda _: (status, b"Doe^Jane was not stored")) as server, pytest.raises(error) as refused:
        store(destination(server.port), OBJECTS, Heard(), stop)
    assert isinstance(refused.value, DestinationBusy) == (error is DestinationBusy)
    assert words in str(refused.value)
    assert "Doe" not in str(refused.value)


def test_who_is_away_silent_or_breaks_off_is_told_apart(stop: threading.Event) -> None:
    with pytest.raises(DestinationUnreachable, match="cannot be reached"):
        store(destination(free_port()), OBJECTS, Heard(), stop)
    with pytest.raises(DestinationUnreachable):
        store(WebDestination("web", "http://nowhere.invalid/dicom-web", timeout_s=1.0), OBJECTS, Heard(), stop)
    with SilentNode() as silent, pytest.raises(DestinationSilent, match=r"within 0\.5 s"):
        store(destination(silent.port, timeout_s=0.5), OBJECTS, Heard(), stop)
    with SilentNode() as silent, pytest.raises((DestinationUnreachable, DestinationSilent)):
        store(destination(silent.port, scheme="https", timeout_s=0.5, connect_timeout_s=0.5), OBJECTS, Heard(), stop)
    with SaidServer(lambda _: None) as server, pytest.raises(DestinationAborted, match="closed the connection"):
        store(destination(server.port), OBJECTS, Heard(), stop)


def test_what_was_stored_before_the_server_went_away_is_known(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stow, "REQUEST_BYTES", 1)
    heard = Heard()
    answers = iter([said(200, stored={UIDS[0]: 0}), None])
    with SaidServer(lambda _: next(answers)) as server, pytest.raises(DestinationAborted):
        store(destination(server.port), OBJECTS, heard, stop)
    assert heard.statuses == [(UIDS[0], 0, "success")]


def test_a_server_that_stops_reading_a_large_object_does_not_hold_us(stop: threading.Event) -> None:
    large = OutgoingObject(*_head(), dicom=outgoing(capture(np.zeros((3000, 3000, 3), np.uint8))).dicom)
    began = time.monotonic()
    with SilentNode() as silent, pytest.raises(DestinationSilent):
        store(destination(silent.port, timeout_s=1.0), [large], Heard(), stop)
    assert time.monotonic() - began < 20  # a bound against a hang


def _head() -> tuple[str, str]:
    made = outgoing(capture(picture()))
    return made.sop_class_uid, made.sop_instance_uid


def test_a_stop_ends_the_wait(stop: threading.Event) -> None:
    with SilentNode() as silent:
        threading.Timer(0.5, stop.set).start()
        began = time.monotonic()
        with pytest.raises(Stopping):
            store(destination(silent.port, timeout_s=60.0), OBJECTS, Heard(), stop)
        assert time.monotonic() - began < 20  # a bound against a hang
    with pytest.raises(Stopping):
        store(destination(free_port()), OBJECTS, Heard(), stop)


def test_nothing_to_store_opens_no_connection(stop: threading.Event) -> None:
    assert store(destination(free_port()), [], Heard(), stop).complete
