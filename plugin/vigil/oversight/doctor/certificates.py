"""Certificates and the days that they are good for: those in our files, and those that others show us."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from vigil.oversight.doctor.check import Check, error, good, warning
from vigil.oversight.doctor.site import Site, section
from vigil.oversight.doctor.state import files_named

SUBJECT = "certificate"
SOON = timedelta(days=30)
OURS = ("CertificateFile", "ClientCertificate")
AUTHORITIES = ("AuthorityFile", "CertificateAuthority")
ORTHANCS = ("SslCertificate", "DicomTlsCertificate", "DicomTlsTrustedCertificates", "SslTrustedClientCertificates")
PEER_WITHIN_S = 5.0


def look_at_certificates(site: Site) -> list[Check]:
    """Every certificate that the configuration names, also where the settings are not valid."""
    files = [*files_named(site.vigil, (*OURS, *AUTHORITIES), "Vigil")]
    for key in ORTHANCS:
        named = site.configuration.get(key)
        if isinstance(named, str) and named and (not key.startswith("Ssl") or site.configuration.get("SslEnabled") is True):
            files.append((key, site.folder / named))
    checks = []
    for key, file in files:
        checks += _file(key, file, site.now)
    return checks


def peers(site: Site) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of everybody who speaks TLS to us from the first byte."""
    for kind in ("Pacs", "Ris"):
        for name, entry in section(site.vigil, kind).items():
            if isinstance(entry, dict) and isinstance(entry.get("Tls"), dict):
                yield from _address(f"Vigil.{kind}.{name}", entry.get("Host"), entry.get("Port"))
    for name, entry in section(section(site.vigil, "Escalation"), "Mail").items():
        if isinstance(entry, dict) and entry.get("Security") == "tls":
            yield from _address(f"Vigil.Escalation.Mail.{name}", entry.get("Host"), entry.get("Port", 587))
    for place, servers in (("DicomWeb", section(site.vigil, "DicomWeb")),
                           ("Escalation.Webhooks", section(section(site.vigil, "Escalation"), "Webhooks"))):
        for name, entry in servers.items():
            url = urlsplit(entry["Url"]) if isinstance(entry, dict) and isinstance(entry.get("Url"), str) else None
            if url is not None and url.scheme == "https":
                yield from _address(f"Vigil.{place}.{name}", url.hostname, url.port or 443)


def look_at_peer(name: str, host: str, port: int, now: datetime) -> list[Check]:
    """Whether a certificate that is good now is good for long. One that is not good now is told with its destination."""
    try:
        shown = ssl.get_server_certificate((host, port), timeout=PEER_WITHIN_S)
        certificate = x509.load_pem_x509_certificate(shown.encode())
    except (OSError, ValueError):
        return []  # told with the destination
    return [_lasts(name, f"the certificate that {host}:{port} shows", certificate, now, "it must be renewed there")]


def _address(name: str, host: object, port: object) -> Iterator[tuple[str, str, int]]:
    if isinstance(host, str) and isinstance(port, int):
        yield name, host, port


def _file(key: str, file: Path, now: datetime) -> list[Check]:
    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as failure:
        return [error(SUBJECT, key, f"{file} cannot be read ({failure.strerror})", "put the file there, readable by the user "
                      "of Orthanc")]
    except ValueError:
        return [error(SUBJECT, key, f"{file} holds no certificate in PEM", "convert it: openssl x509 -inform der -out FILE.pem")]
    cure = ("get the authority's new certificate" if key.rpartition(".")[2] in AUTHORITIES or "Trusted" in key
            else "renew it; Vigil reads it again for each connection, Orthanc at its start")
    return [_lasts(key, str(file), certificate, now, cure) for certificate in certificates]


def _lasts(where: str, what: str, certificate: x509.Certificate, now: datetime, cure: str) -> Check:
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if last < now:
        return error(SUBJECT, where, f"{what} expired on {last:%Y-%m-%d}", cure)
    if first > now:
        return error(SUBJECT, where, f"{what} is not valid before {first:%Y-%m-%d %H:%M} UTC", "check the clock, and the "
                     "certificate")
    if last < now + SOON:
        return warning(SUBJECT, where, f"{what} expires on {last:%Y-%m-%d}", cure)
    return good(SUBJECT, where, f"{what} is good until {last:%Y-%m-%d}")


def reachable(host: str, port: int, timeout_s: float) -> OSError | None:
    """None where a connection is made; nothing is sent over it."""
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError as failure:
        return failure
    return None
