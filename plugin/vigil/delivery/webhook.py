"""A notice to a program of the site: a JSON object by HTTP POST, signed, and its answer.

The signature is ``v1=`` and the hexadecimal HMAC-SHA256, with the shared secret, of the time (whole seconds since 1970, in
``Vigil-Timestamp``), a full stop, and the body. The time is signed with it and the body holds an id that every repetition
bears too: a receiver that refuses an old time and an id that it has seen cannot be made to take a message twice.
"""

from __future__ import annotations

import hmac
import http.client
import json
import socket
import ssl
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from vigil.delivery.connection import connected, read_secret, tls_words
from vigil.delivery.destination import TlsFiles
from vigil.delivery.errors import DestinationBusy, DestinationRefused, DestinationSilent, ProtocolError
from vigil.delivery.tls import client_context
from vigil.settings.escalation import WebhookSettings

LARGEST_ANSWER = 65_536
PASSING = frozenset({408, 425, 429})
"""Statuses below 500 that say "later" (RFC 9110, RFC 6585, RFC 8470)."""


@dataclass(frozen=True)
class Webhook:
    name: str
    settings: WebhookSettings

    @property
    def label(self) -> str:
        parts = urlsplit(self.settings.url)
        return f"webhook '{self.name}' ({parts.hostname})"


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    """The value of ``Vigil-Signature``."""
    return "v1=" + hmac.new(secret, f"{timestamp}.".encode() + body, "sha256").hexdigest()


def post(webhook: Webhook, content: dict[str, object], at: datetime, stop: threading.Event) -> str | None:
    """Sends the object. Returns the name of who acknowledges, where the answer says so (``{"acknowledged_by": "…"}``).

    Only over TLS does an answer acknowledge: over plain HTTP nobody knows who gave it.

    Raises
    ------
    DestinationUnreachable, DestinationSilent, DestinationBusy
        A later attempt may succeed: no connection, no answer in time, a status of 500 and above, 408, 425 or 429.
    DestinationRefused
        Another status that is not 2xx (it is not followed anywhere else), or TLS failed.
    DestinationInvalid, ProtocolError, Stopping
    """
    settings, label = webhook.settings, webhook.label
    secret = read_secret(label, settings.secret_file, settings.secret_variable)
    parts = urlsplit(settings.url)
    secure = parts.scheme == "https"
    context = client_context(TlsFiles(settings.authority_file), label) if secure else None
    body = json.dumps(content, ensure_ascii=False).encode()
    timestamp = int(at.timestamp())
    headers = {"Content-Type": "application/json", "User-Agent": "Vigil", "Vigil-Timestamp": str(timestamp),
               "Vigil-Signature": signature(secret, timestamp, body)}
    host = parts.hostname or ""
    with connected(label, host, parts.port or (443 if secure else 80), settings.timeout_seconds, stop) as raw:
        try:
            channel = raw if context is None else context.wrap_socket(raw, server_hostname=host)
            status, answer = _exchange(channel, parts.netloc, parts.path or "/", body, headers)
        except ssl.SSLError as error:
            raise DestinationRefused(f"{label}: {tls_words(error)}") from error
        except OSError as error:
            raise DestinationSilent(f"{label} took the connection and did not answer in time") from error
        except http.client.HTTPException as error:
            raise ProtocolError(f"{label} answered with something that is not HTTP") from error
    if status >= 500 or status in PASSING:
        raise DestinationBusy(f"{label} cannot take it for now (HTTP {status}); its own log says why")
    if not 200 <= status < 300:
        raise DestinationRefused(f"{label} refused it (HTTP {status}); its own log says why")
    return _acknowledged_by(answer) if secure else None


def _exchange(channel: socket.socket, host: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host)
    connection.sock = channel
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(LARGEST_ANSWER)
    finally:
        connection.close()


def _acknowledged_by(answer: bytes) -> str | None:
    try:
        content: Any = json.loads(answer)
    except ValueError:
        return None
    name = content.get("acknowledged_by") if isinstance(content, dict) else None
    return name if isinstance(name, str) and name else None
