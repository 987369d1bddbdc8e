"""Requests to an Orthanc on another machine, over HTTP(S) with basic authentication."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
from urllib.parse import urlsplit

from vigil.delivery.tls import trusting
from vigil.host.errors import OrthancRefused, OrthancUnreachable

NOT_FOUND = 404
SUCCESS = range(200, 300)


class HttpTransport:
    """Satisfies :class:`vigil.host.rest_gateway.Transport`. One connection a thread."""

    def __init__(self, address: str, *, user: str = "", password: str = "", timeout_s: float = 30.0,
                 tls: ssl.SSLContext | None = None) -> None:
        """``address``: scheme, host and port, for example ``http://127.0.0.1:8042``."""
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OrthancUnreachable(f"'{address}' is no address of an Orthanc; write http://HOST:PORT or https://HOST:PORT")
        self._host, self._port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._tls = (tls or trusting(None)) if parts.scheme == "https" else None
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}"} if user else {}
        self._local = threading.local()

    def get(self, path: str) -> bytes | None:
        return self._request("GET", path, None)

    def post(self, path: str, body: bytes) -> bytes:
        answer = self._request("POST", path, body)
        if answer is None:
            raise OrthancRefused(f"Orthanc does not know {path}")
        return answer

    def put(self, path: str, body: bytes) -> bytes | None:
        return self._request("PUT", path, body)

    def dicom(self, instance_orthanc_id: str) -> bytes | None:
        return self.get(f"/instances/{instance_orthanc_id}/file")

    def _request(self, method: str, path: str, body: bytes | None) -> bytes | None:
        try:
            try:
                status, answer = self._exchange(method, path, body)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A kept connection that Orthanc closed in the meantime. Asking again is safe: Orthanc stores a UID once.
                status, answer = self._exchange(method, path, body)
        except ssl.SSLCertVerificationError as error:
            self._close()
            raise OrthancUnreachable(
                f"the certificate of Orthanc at {self._host}:{self._port} is not trusted here ({error.verify_message}); name the "
                "authority that signed it, and the host by the name that stands in it") from error
        except (OSError, http.client.HTTPException) as error:
            self._close()
            raise OrthancUnreachable(
                f"Orthanc at {self._host}:{self._port} did not answer ({type(error).__name__}); see that it runs and that "
                "the address is right") from error
        if status == NOT_FOUND:
            return None
        if status not in SUCCESS:
            hint = "; see user and password" if status in (401, 403) else ""
            raise OrthancRefused(f"Orthanc answered {method} {path.split('?', maxsplit=1)[0]} with HTTP status {status}{hint}")
        return answer

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = (http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)
                          if self._tls else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s))
            self._local.connection = connection
        try:
            connection.request(method, self._prefix + path, body=body, headers=self._headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._close()
            raise

    def _close(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
