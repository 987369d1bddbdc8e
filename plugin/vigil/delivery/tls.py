"""TLS to any receiver, and a plain sentence for each way in which it fails: what is wrong, at which side, and what to do."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import ssl
from pathlib import Path

from cryptography import x509

from vigil.delivery.destination import TlsFiles
from vigil.delivery.errors import DestinationInvalid

_RECEIVERS_CERTIFICATE = {
    9: "its certificate is not valid yet: check the clocks of both sides, and the certificate's first day",
    10: "its certificate has expired: it must be renewed at the receiver",
    18: "its certificate is signed by itself alone: name that certificate as AuthorityFile, or let an authority sign it",
    19: "its certificate comes from an authority that is not trusted here: name the authority's certificate as AuthorityFile",
    20: "its certificate comes from an authority that is not trusted here: name the authority's certificate as AuthorityFile",
    21: "its certificate comes from an authority that is not trusted here: name the authority's certificate as AuthorityFile",
    23: "its certificate was revoked: it must be replaced at the receiver",
}
"""X509_V_ERR_ codes of OpenSSL (openssl-verification-options(1))."""
_NAME_DIFFERS = (62, 63, 64)

_OUR_CERTIFICATE = {
    "CERTIFICATE_REQUIRED": "it asks for a client certificate and got none: give CertificateFile and KeyFile",
    "CERTIFICATE_EXPIRED": "it refused our certificate, which has expired: renew CertificateFile",
    "CERTIFICATE_REVOKED": "it refused our certificate, which was revoked: replace CertificateFile",
    "UNKNOWN_CA": "it does not trust the authority of our certificate: add that authority there",
    "BAD_CERTIFICATE": "it refused our certificate as broken, or asks for one and got none: check CertificateFile",
    "UNSUPPORTED_CERTIFICATE": "it refused the kind or the purpose of our certificate: it must allow client authentication",
    "CERTIFICATE_UNKNOWN": "it refused our certificate: its log says why",
    "ACCESS_DENIED": "it knows our certificate and lets it not in: allow it there",
    "HANDSHAKE_FAILURE": "it broke off the handshake: it asks for a client certificate and got none, or shares no cipher with us",
    "PROTOCOL_VERSION": "it speaks no version of TLS that is allowed here (1.2 or 1.3): update the receiver",
    "UNRECOGNIZED_NAME": "it knows no certificate for the name that we asked for: check ServerName",
}
"""TLS alerts (RFC 8446, 6.2) that the receiver sends, without their prefix."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_MESSAGE")
_OLD_TLS = ("UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW")


def trusting(authority_file: str | Path | None) -> ssl.SSLContext:
    """A client's context that trusts these authorities, or the system's, by the same rules on every Python. Since 3.13 Python
    asks of certificates all that RFC 5280 does, such as an authority key identifier, which a hospital's own authority may lack:
    alerts must not be refused because the system below was updated. Signature, time, name and chain are checked everywhere."""
    context = ssl.create_default_context(cafile=authority_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def client_context(
    files: TlsFiles, label: str, *, keys: tuple[str, str, str] = ("AuthorityFile", "CertificateFile", "KeyFile"),
) -> ssl.SSLContext:
    """TLS 1.2 or 1.3, the receiver's certificate and name checked, ours shown where there is one. ``keys``: how the settings call
    the files.

    Raises
    ------
    DestinationInvalid
        A file is missing, unreadable or not what it should be.
    """
    try:
        context = trusting(files.authority)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(label, keys[0], files.authority, error, "certificates in PEM") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = files.certificate, files.key or files.certificate
    if certificate is not None:
        both = " and ".join(dict.fromkeys(keys[1:]))
        try:
            context.load_cert_chain(certificate, files.key, password=_no_passphrase)
        except _Encrypted as error:
            raise DestinationInvalid(
                f"{label}: the key in {keys[2]} ({key}) is encrypted: store it without a passphrase, readable by the user of "
                "Orthanc alone"
            ) from error
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise DestinationInvalid(
                    f"{label}: {keys[2]} ({key}) is not the key of the certificate in {keys[1]}") from error
            raise _unusable(label, both, certificate, error, "a certificate and its key in PEM") from error
        except OSError as error:
            raise _unusable(label, both, certificate, error, "PEM") from error
    return context


def failure(error: OSError, asked_for: str) -> str:
    """Why TLS failed, in words. ``asked_for``: the name that the receiver's certificate must bear."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _NAME_DIFFERS:
            return f"its certificate is for another name than {asked_for}: correct Host, or give the right name as ServerName"
        return _RECEIVERS_CERTIFICATE.get(error.verify_code, f"its certificate was not accepted ({error.verify_message})")
    reason = (getattr(error, "reason", None) or "").upper()
    told = re.sub(r"^.*?ALERT_|^TLSV1_", "", reason)
    if told in _OUR_CERTIFICATE:
        return _OUR_CERTIFICATE[told]
    if reason in _NO_TLS:
        return "what answers at this port does not speak TLS: check the port, or leave Tls out"
    if reason in _OLD_TLS:
        return _OUR_CERTIFICATE["PROTOCOL_VERSION"]
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return f"{(error.reason or 'TLS error').replace('_', ' ').lower()}: check the certificates of both sides"
    return "it broke off the handshake: does this port speak TLS, and does it ask for a client certificate?"


def closed_unheard(files: TlsFiles) -> str:
    """What may have happened where the receiver closed after the handshake without a word. Some send no TLS alert, and with
    TLS 1.3 the handshake is over for us before the receiver has looked at our certificate."""
    if files.certificate is None:
        return "A receiver that asks for a client certificate and gets none closes like this: see its log"
    last_day = _last_day(files.certificate)
    if last_day is not None and last_day < dt.datetime.now(dt.UTC):
        return f"Our certificate (CertificateFile) expired on {last_day:%Y-%m-%d}: renew it"
    return "A receiver that does not trust the authority of our certificate closes like this: add that authority there"


def _last_day(certificate: Path) -> dt.datetime | None:
    with contextlib.suppress(OSError, ValueError):
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    return None


class _Encrypted(Exception):
    """Instead of a question for a passphrase at a terminal that nobody watches."""


def _no_passphrase() -> str:
    raise _Encrypted


def _unusable(label: str, key: str, path: Path | None, error: OSError, wanted: str) -> DestinationInvalid:
    why = f"holds no {wanted}" if isinstance(error, ssl.SSLError) else (error.strerror or "cannot be read").lower()
    return DestinationInvalid(f"{label}: {key} ({path}): {why}; Vigil reads it as the user of Orthanc")
