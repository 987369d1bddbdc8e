"""Orthanc's own HTTPS, which ends Orthanc where the library of its web server was built for an OpenSSL that is not there.

Debian 12, 13 and forky have CivetWeb 1.15, which asks OpenSSL for SSL_get_peer_certificate at each connection and calls what it
got. OpenSSL 3 knows that name in its headers alone, so it got nothing: the first HTTPS request of anybody is a segmentation
fault of Orthanc. One that was built with a web server of its own within it is not concerned.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vigil.oversight.doctor.check import Check, error, warning
from vigil.oversight.doctor.site import LIBRARY_FOLDERS, Site
from vigil.oversight.doctor.versions import BINARIES

LIBRARY = "libcivetweb.so.1"
FUNCTION = "SSL_get_peer_certificate"
OPENSSL = "libssl.so.3"


CURE = ('set "SslEnabled" and "RemoteAccessAllowed" to false and let a proxy on this machine speak TLS '
        "(docs/security.md#tls)")


def look_at_web_server(site: Site, folders: tuple[Path, ...]) -> list[Check]:
    """Nothing where Orthanc speaks no HTTPS itself, or can."""
    library = failing_library(folders) if site.configuration.get("SslEnabled") is True else None
    if library is None:
        return []
    return [error("versions", "SslEnabled", f"ends Orthanc at the first HTTPS request of anybody: {library} calls {FUNCTION}, "
                  "which the OpenSSL of this machine has not", CURE)]


def not_to_be_asked(configuration: Mapping[str, Any], folders: tuple[Path, ...]) -> Check | None:
    """Why the running Orthanc is let alone: to ask it would end it."""
    if configuration.get("SslEnabled") is not True or failing_library(folders) is None:
        return None
    return warning("orthanc", "this machine", "was not asked whether it runs: over its own HTTPS that would end it", CURE)


def failing_library(folders: tuple[Path, ...] = LIBRARY_FOLDERS) -> Path | None:
    """The library of Orthanc's web server, where it fails with the OpenSSL of this machine."""
    library = next((file for folder in folders for file in (folder / LIBRARY, *folder.glob(f"*/{LIBRARY}"))
                    if file.is_file()), None)
    if library is None or f"\0{FUNCTION}\0".encode() not in library.read_bytes():
        return None
    if not any(binary.is_file() and LIBRARY.encode() in binary.read_bytes() for binary in BINARIES):
        return None  # this Orthanc has another web server within it
    try:
        return None if hasattr(ctypes.CDLL(OPENSSL), FUNCTION) else library
    except OSError:
        return None
