"""The running Orthanc, asked over its own REST API on this machine. That it does not answer is a finding and not a fault."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vigil.oversight.doctor.check import Check, error, warning

SUBJECT, WHERE = "orthanc", "this machine"
ANSWER_WITHIN_S = 15.0
UNAUTHORIZED = 401


@dataclass(frozen=True)
class Running:
    """What it said. ``health``: of /vigil/health/ready, and ``environment``: of /vigil/environment; None where it has no such
    address, or did not let us in. ``refused``: it asks for a user that the configuration does not name. ``unasked``: why it was
    not asked, where TLS stands in the way."""

    system: Mapping[str, Any] = field(default_factory=dict)
    plugin_version: str | None = None
    health: Mapping[str, Any] | None = None
    environment: Mapping[str, Any] | None = None
    refused: bool = False
    unasked: Check | None = None


def ask_running(configuration: Mapping[str, Any], folder: Path) -> Running | None:
    """None where nobody answers at Orthanc's port. ``folder``: of the configuration, which Orthanc's paths count from."""
    try:
        return _asked(_Door(configuration, folder))
    except _Unasked as why:
        return Running(unasked=why.check)


def _asked(door: _Door) -> Running | None:
    status, system = door.get("/system")
    if status is None:
        return None
    if status == UNAUTHORIZED:
        return Running(refused=True)
    if not isinstance(system, dict):
        return None
    plugin = door.get("/plugins/python")[1]
    health, environment = door.get("/vigil/health/ready")[1], door.get("/vigil/environment")[1]
    return Running(
        system, str(plugin["Version"]) if isinstance(plugin, dict) and "Version" in plugin else None,
        health if isinstance(health, dict) and "ready" in health else None,
        environment if isinstance(environment, dict) and "libraries" in environment else None)


class _Door:
    def __init__(self, configuration: Mapping[str, Any], folder: Path) -> None:
        port = configuration.get("HttpPort", 8042)
        self._port = port if isinstance(port, int) else 8042
        self._certificate = folder / str(configuration.get("SslCertificate", "certificate.pem"))
        self._asks_certificate = configuration.get("SslVerifyPeers") is True
        self._encrypted = configuration.get("SslEnabled") is True
        users = configuration.get("RegisteredUsers")
        self._headers: dict[str, str] = {}
        if isinstance(users, dict) and users:
            name, password = next(iter(users.items()))
            self._headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode("ascii")

    def get(self, path: str) -> tuple[int | None, Any]:
        """Status and JSON; (None, None) where nobody answers. Raises: _Unasked."""
        try:
            connection = self._connection()
        except ssl.SSLError as failure:
            raise _Unasked(self._broken_off()) from failure
        except ConnectionResetError as failure:
            raise _Unasked(self._broken_off()) from failure
        except OSError:
            return None, None
        try:
            connection.request("GET", path, headers=self._headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as failure:
            if self._asks_certificate:  # with TLS 1.3 a missing one is told after the handshake, by an alert or by a reset
                raise _Unasked(self._broken_off()) from failure
            return None, None
        finally:
            connection.close()
        try:
            return response.status, json.loads(body)
        except ValueError:
            return response.status, None

    def _connection(self) -> http.client.HTTPConnection:
        """With TLS only to whoever shows Orthanc's own certificate: what is sent next is a password."""
        if not self._encrypted:
            return http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_WITHIN_S)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # held to the file below instead
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=ANSWER_WITHIN_S, context=context)
        connection.connect()
        shown = ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True) or b"")
        if (problem := self._not_its_own(shown)) is not None:
            connection.close()
            raise _Unasked(problem)
        return connection

    def _not_its_own(self, shown: str) -> Check | None:
        try:
            own = self._certificate.read_text("ascii", "replace")
        except OSError as failure:
            return error(SUBJECT, WHERE, f"speaks TLS, and {self._certificate} cannot be read ({failure.strerror}) to know it by",
                         "run this as root or as the user of Orthanc, or correct SslCertificate")
        if "".join(shown.split()) in "".join(own.split()):
            return None
        return error(SUBJECT, WHERE, f"shows another certificate than {self._certificate} (SslCertificate): it was asked nothing",
                     "restart Orthanc if that file was renewed since its start; else see which program has the port")

    def _broken_off(self) -> Check:
        if self._asks_certificate:
            return warning(SUBJECT, WHERE, "runs, and lets nobody in without a client certificate (SslVerifyPeers)",
                           "ask it with yours: curl --cacert FILE --cert FILE https://HOST:PORT/vigil/health/ready")
        return error(SUBJECT, WHERE, "answers, and does not speak the TLS that SslEnabled promises",
                     "restart Orthanc if SslEnabled was set since its start; else see which program has the port")


class _Unasked(Exception):
    def __init__(self, check: Check) -> None:
        super().__init__(check.what)
        self.check = check
