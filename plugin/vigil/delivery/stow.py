"""Result objects to a DICOMweb server: STOW-RS (PS3.18 10.5), the outcome of each object kept."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from pydicom import Dataset, dcmwrite
from pydicom.uid import UID

from vigil.delivery.destination import TlsFiles, WebDestination
from vigil.delivery.dicom import ObjectStatus, OnStatus, OutgoingObject, SendOutcome, in_syntax, read_header
from vigil.delivery.encoding import possible_syntaxes
from vigil.delivery.errors import (
    DestinationAborted,
    DestinationBusy,
    DestinationRefused,
    DestinationSilent,
    DestinationUnreachable,
    ProtocolError,
)
from vigil.delivery.status import (
    CANNOT_UNDERSTAND,
    PROCESSING_FAILURE,
    RESOURCE_LIMIT,
    SUCCESS,
    SYNTAX_NOT_SUPPORTED,
    status_text,
)
from vigil.delivery.tls import client_context
from vigil.delivery.watch import ConnectionWatch
from vigil.domain.errors import Stopping

REQUEST_BYTES = 16 * 1024 * 1024
"""Of objects in one request: large enough for speed, small enough for the limits of servers and of our memory."""
ANSWER_BYTES = 16 * 1024 * 1024
JSON = "application/dicom+json"
STORED, FAILED = "00081199", "00081198"
FAILURE_REASON, WARNING_REASON, INSTANCE = "00081197", "00081196", "00081155"
WITH_OUTCOME = (200, 202, 409)
"""All stored; some stored, or stored with a warning; none stored (PS3.18 table 10.5.3-1)."""
FAULT_OF_AN_OBJECT = {400: CANNOT_UNDERSTAND, 409: PROCESSING_FAILURE, 413: RESOURCE_LIMIT, 415: SYNTAX_NOT_SUPPORTED,
                      422: CANNOT_UNDERSTAND}
"""What a server may say of a whole request because of one object, as the failure reason of an object."""
PASSING = (408, 425, 429, 500, 502, 503, 504)
WEB_TLS_KEYS = ("CertificateAuthority", "ClientCertificate", "ClientCertificate")
"""What the settings of a DICOMweb server call the files of its TLS."""

_ADVICE = {
    400: "it does not understand the request; see that Url names a DICOMweb service (STOW-RS)",
    401: "it does not accept the user or the secret; correct Authentication",
    403: "the user may not store there; give the right on the server",
    404: "there is no such service; correct Url",
    405: "it takes no STOW-RS at this address; correct Url",
    406: "it answers in no form that we read",
    413: "the request is too large for it; raise its limit for the size of a request to 32 MiB or more",
    415: "it does not take this transfer syntax; set TransferSyntaxes",
}


def store(
    destination: WebDestination, objects: Sequence[OutgoingObject], on_status: OnStatus, stop: threading.Event,
) -> SendOutcome:
    """Stores every object, a few in a request, each in the first encoding of the destination's profile that its pixels allow:
    HTTP negotiates none.

    Raises what :func:`vigil.delivery.dicom.send` raises, DestinationInvalid where secret or certificates cannot be read, and
    ProtocolError where the server's answer is none of STOW-RS; objects reported before stand.
    """
    statuses: list[ObjectStatus] = []
    if not objects:
        return SendOutcome(())
    refusal: RequestRefused | None = None
    with _Server(destination, stop) as server:
        for group in _groups(objects):
            answer, refused = _store_group(server, destination, group)
            refusal = refusal or refused
            for item in group:
                status = answer.get(item.sop_instance_uid, PROCESSING_FAILURE)
                text = status_text(status)
                if item.sop_instance_uid not in answer:
                    text += ": the server's answer does not name it"
                on_status(item.sop_instance_uid, status, text)
                statuses.append(ObjectStatus(item.sop_instance_uid, status, text))
    outcome = SendOutcome(tuple(statuses))
    if refusal is not None and len(outcome.refused) == len(objects):
        raise refusal  # not this or that object: the service itself
    return outcome


class RequestRefused(DestinationRefused):
    """The server answered a whole request with an error that may be the fault of one object in it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _store_group(
    server: _Server, destination: WebDestination, group: Sequence[OutgoingObject],
) -> tuple[dict[str, int], RequestRefused | None]:
    """One by one where the whole was refused: one object that the server cannot read must not keep the others back."""
    files = [_file(item, destination) for item in group]
    if len(files) > 1:
        with suppress(RequestRefused):
            return server.post(files), None
    answer: dict[str, int] = {}
    refusal: RequestRefused | None = None
    for file in files:
        try:
            answer |= server.post([file])
        except RequestRefused as error:
            refusal = error
            answer[file[0]] = FAULT_OF_AN_OBJECT[error.status]
    return answer, refusal


def outcomes(status: int, body: bytes, sent: Sequence[str]) -> dict[str, int]:
    """DIMSE status by SOP Instance UID, from the answer to a request that held ``sent``. Raises ValueError."""
    if status == 200 and not body.strip():
        return dict.fromkeys(sent, SUCCESS)
    found = json.loads(body)
    answer = found[0] if isinstance(found, list) and found else found
    if not isinstance(answer, dict):
        raise ValueError("no data set")
    result: dict[str, int] = {}
    for item in _items(answer, STORED):
        result[str(_value(item, INSTANCE))] = int(_value(item, WARNING_REASON) or SUCCESS)
    for item in _items(answer, FAILED):
        result[str(_value(item, INSTANCE))] = int(_value(item, FAILURE_REASON) or PROCESSING_FAILURE)
    return result


class _Server:
    """A connection that is kept for the requests of one delivery."""

    def __init__(self, destination: WebDestination, stop: threading.Event) -> None:
        self._destination = destination
        self._stop = stop
        self._parts = urlsplit(destination.url)
        self._connection: http.client.HTTPConnection | None = None
        self._watch = ConnectionWatch("vigil-stow-watch", self._socket, stop)

    def __enter__(self) -> _Server:
        if self._stop.is_set():
            raise self._stopping()
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.end()
        if self._connection is not None:
            self._connection.close()

    def post(self, files: Sequence[tuple[str, bytes]]) -> dict[str, int]:
        """``files``: SOP Instance UID and DICOM file of each. Returns the status of each by UID."""
        target = self._destination
        boundary = f"vigil-{uuid4().hex}"
        body = _multipart(boundary, files)
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": JSON, "Content-Length": str(len(body)), "User-Agent": "Vigil for Orthanc",
        }
        if (authorization := target.authorization()) is not None:
            headers["Authorization"] = authorization
        if self._stop.is_set():
            raise self._stopping()
        status, answer = self._exchange(f"{self._parts.path}/studies", body, headers)
        if status not in WITH_OUTCOME:
            raise self._refusal(status)
        try:
            return outcomes(status, answer, [uid for uid, _ in files])
        except (ValueError, TypeError, KeyError, IndexError) as error:
            if status == 200:
                raise ProtocolError(f"{target.label} answered 200, but not with the outcome of each object as {JSON}") from error
            raise self._refusal(status) from error

    def _exchange(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        target = self._destination
        began = self._watch.expect(target.connect_timeout_s + target.timeout_s)
        connection = self._connection = self._connection or self._opened()
        try:
            if connection.sock is None:
                connection.connect()
        except ssl.SSLError as error:
            raise self._untrusted(error) from error
        except OSError as error:
            if self._stop.is_set():
                raise self._stopping() from error
            raise DestinationUnreachable(
                f"{target.label} cannot be reached within {target.connect_timeout_s:g} s. Check Url, that it runs, and the "
                "firewall") from error
        sock = connection.sock
        assert sock is not None  # noqa: S101 - it is connected
        sock.settimeout(target.timeout_s)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            answer = response.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(began) from error
        return response.status, answer

    def _opened(self) -> http.client.HTTPConnection:
        target, host, port = self._destination, self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=target.connect_timeout_s)
        files = TlsFiles(target.certificate_authority, target.client_certificate)
        context = client_context(files, target.label, keys=WEB_TLS_KEYS)
        return http.client.HTTPSConnection(host, port, timeout=target.connect_timeout_s, context=context)

    def _untrusted(self, error: ssl.SSLError) -> DestinationRefused:
        why = getattr(error, "verify_message", "") or error.reason or "TLS failed"
        return DestinationRefused(
            f"{self._destination.label}: no trusted connection ({why}). Check its certificate, and CertificateAuthority")

    def _broken(self, began: float) -> DestinationAborted | DestinationSilent | Stopping:
        target = self._destination
        if self._stop.is_set():
            return self._stopping()
        if time.monotonic() - began >= target.timeout_s * 0.95:
            return DestinationSilent(
                f"{target.label} took the connection and did not answer within {target.timeout_s:g} s: check that it is not "
                "overloaded or stopped")
        return DestinationAborted(f"{target.label} closed the connection instead of answering: its log should say why")

    def _refusal(self, status: int) -> DestinationRefused:
        """An answer without an outcome for each object. Not the server's own words, which may quote a patient."""
        if status in PASSING:
            return DestinationBusy(f"{self._destination.label} answered {status} ({_phrase(status)}); it may take it later")
        if 300 <= status < 400:
            return DestinationRefused(f"{self._destination.label} points elsewhere ({status}); give the final address as Url")
        advice = _ADVICE.get(status, "its log should say why")
        told = f"{self._destination.label} answered {status} ({_phrase(status)}): {advice}"
        return RequestRefused(told, status) if status in FAULT_OF_AN_OBJECT else DestinationRefused(told)

    def _stopping(self) -> Stopping:
        return Stopping(f"{self._destination.label}: stopped; what it has not taken is sent after the next start")

    def _socket(self) -> socket.socket | None:
        return self._connection.sock if self._connection is not None else None


def _groups(objects: Sequence[OutgoingObject]) -> Iterator[list[OutgoingObject]]:
    group: list[OutgoingObject] = []
    size = 0
    for item in objects:
        if group and size + len(item.dicom) > REQUEST_BYTES:
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item.dicom)
    if group:
        yield group


def _file(item: OutgoingObject, destination: WebDestination) -> tuple[str, bytes]:
    header = read_header(item)
    own = UID(header.file_meta.TransferSyntaxUID)
    syntax = possible_syntaxes(header, destination.profile.encodings)[0]
    if not syntax.is_compressed or syntax == own:
        return item.sop_instance_uid, item.dicom
    return item.sop_instance_uid, _bytes(in_syntax(item, syntax))


def _bytes(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _multipart(boundary: str, files: Sequence[tuple[str, bytes]]) -> bytes:
    """The transfer syntax stands in each file; said in the part's header too, it makes Orthanc pass the part over."""
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
    parts = [part for _, content in files for part in (head, content, b"\r\n")]
    return b"".join([*parts, f"--{boundary}--\r\n".encode("ascii")])


def _items(answer: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return list(answer.get(tag, {}).get("Value", []))


def _value(item: dict[str, Any], tag: str) -> Any:
    values = item.get(tag, {}).get("Value", [])
    return values[0] if values else None


def _phrase(status: int) -> str:
    with suppress(KeyError):
        return http.client.responses[status]
    return "no known status"
