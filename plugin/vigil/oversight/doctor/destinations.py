"""Everybody who is sent something: asked now, all at once. A PACS gets a C-ECHO, a RIS a connection and no message."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlsplit

from vigil.delivery.connection import connected, network_words, tls_words
from vigil.delivery.destination import TlsFiles, WebDestination, pacs_destination, ris_destination, web_destination
from vigil.delivery.dicom import echo
from vigil.delivery.errors import DestinationUnreachable
from vigil.delivery.hl7.line import Line
from vigil.delivery.stow import WEB_TLS_KEYS
from vigil.delivery.tls import client_context
from vigil.domain.errors import VigilError
from vigil.oversight.doctor.certificates import look_at_peer, peers, reachable
from vigil.oversight.doctor.check import Check, error, good, warning
from vigil.oversight.doctor.site import Site
from vigil.settings import Settings

AT_ONCE = 8
LONGEST_S = 15.0
SKEW = timedelta(minutes=2)
SEE = {"pacs": "docs/pacs.md tells what each refusal means; vigil send-test-result sends a phantom once it answers",
       "ris": "vigil alerts test NAME sends a marked message once it answers",
       "dicomweb": "docs/pacs.md tells what each refusal means",
       "mail": "docs/alerts.md", "webhook": "docs/alerts.md"}


def look_at_destinations(site: Site, settings: Settings) -> list[Check]:
    tasks: list[Callable[[], list[Check]]] = []
    tasks += [partial(_pacs, name, settings) for name in settings.pacs]
    tasks += [partial(_ris, name, settings) for name in settings.ris]
    tasks += [partial(_web, web_destination(name, settings), site.now) for name in settings.dicom_web]
    tasks += [partial(_channel, "mail", name, entry.host, entry.port) for name, entry in settings.escalation.mail.items()]
    tasks += [partial(_channel, "webhook", name, *_place(entry.url)) for name, entry in settings.escalation.webhooks.items()]
    tasks += [partial(look_at_peer, name, host, port, site.now) for name, host, port in peers(site)]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="vigil-doctor") as pool:
        return [check for checks in pool.map(lambda task: task(), tasks) for check in checks]


def _pacs(name: str, settings: Settings) -> list[Check]:
    target = pacs_destination(name, settings)
    try:
        echo(target, threading.Event())
    except VigilError as failure:
        return [error("pacs", name, *_what_and_cure(failure, "pacs"))]
    return [good("pacs", name, f"{target.aet} at {target.host}:{target.port} answers C-ECHO")]


def _ris(name: str, settings: Settings) -> list[Check]:
    """Both addresses: one that is only tried when the first is dead is found dead too late."""
    target = ris_destination(name, settings)
    checks = []
    for address in target.addresses:
        try:
            Line(target, address).close()
        except VigilError as failure:
            checks.append(error("ris", name, *_what_and_cure(failure, "ris")))
        else:
            spoken = "with TLS" if target.tls is not None else "in clear"
            checks.append(good("ris", name, f"{address} takes an MLLP connection, {spoken}; no message was sent"))
    return checks


def _web(target: WebDestination, now: datetime) -> list[Check]:
    """Its TLS, its secret, and the time that it says it is (RFC 9110, 6.6.1): an independent clock."""
    url = urlsplit(target.url)
    try:
        target.authorization()
        with connected(target.label, *_place(target.url), min(target.timeout_s, LONGEST_S), threading.Event()) as raw:
            channel = raw
            if url.scheme == "https":
                files = TlsFiles(target.certificate_authority, target.client_certificate)
                context = client_context(files, target.label, keys=WEB_TLS_KEYS)
                channel = context.wrap_socket(raw, server_hostname=url.hostname)
            connection = http.client.HTTPConnection(str(url.hostname), timeout=LONGEST_S)
            connection.sock = channel
            connection.request("HEAD", "/", headers={"Connection": "close"})
            answered = connection.getresponse()
            date = answered.headers.get("Date")
    except VigilError as failure:
        return [error("dicomweb", target.name, *_what_and_cure(failure, "dicomweb"))]
    except ssl.SSLError as failure:
        return [error("dicomweb", target.name, f"{target.label}: {tls_words(failure)}", SEE["dicomweb"])]
    except (OSError, http.client.HTTPException) as failure:
        words = network_words(failure) if isinstance(failure, OSError) else "what answers speaks no HTTP"
        return [error("dicomweb", target.name, f"{target.label}: {words}", "check the address in Url, and that its web server "
                      "runs")]
    return [good("dicomweb", target.name, f"{target.label} answers"), *_skew(target.label, date, now)]


def _skew(label: str, date: str | None, now: datetime) -> list[Check]:
    told: datetime | None = None
    with contextlib.suppress(ValueError, TypeError):
        told = None if date is None else parsedate_to_datetime(date)
    if told is None or told.tzinfo is None or abs(told - now) <= SKEW:
        return []
    apart = round(abs(told - now).total_seconds() / 60)
    return [warning("clock", "this machine", f"is {apart} minutes {'behind' if told > now else 'ahead of'} {label}",
                    "set both by one time service (timedatectl set-ntp true): times stand in alerts, and decide what is too old")]


def _channel(kind: str, name: str, host: str, port: int) -> list[Check]:
    failure = reachable(host, port, LONGEST_S)
    if failure is not None:
        return [error(kind, name, f"{host}:{port} cannot be reached: {network_words(failure)}",
                      "check host, port, the server and the firewall; docs/alerts.md")]
    return [good(kind, name, f"{host}:{port} takes a connection; nothing was sent")]


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _what_and_cure(failure: VigilError, kind: str) -> tuple[str, str]:
    """The sentence of a delivery ends with what to do; where it does, that is the remedy."""
    what, stop, cure = failure.message.partition(". ")
    if stop and isinstance(failure, DestinationUnreachable):
        return what, cure
    what, colon, cure = failure.message.rpartition(": ")
    return (what, cure) if colon and len(cure.split()) > 2 else (failure.message, SEE[kind])
