"""A small message, destinations on this machine, and certificates of every kind for the tests of MLLP."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vigil.delivery.destination import Connection, RisDestination
from vigil.delivery.hl7.profile import Hl7Profile

HOUR = dt.timedelta(hours=1)


def message(control_id: str, text: str = "Müller 山田") -> bytes:
    lines = [
        f"MSH|^~\\&|VIGIL|HOSP|EHR|HOSP|20261122204500||ORU^R01^ORU_R01|{control_id}|P|2.5.1||||||UNICODE UTF-8",
        f"NTE|1||{text}",
    ]
    return ("\r".join(lines) + "\r").encode()


def destination(
    port: int, connection: Connection = Connection.PERSISTENT, timeout_s: float = 5.0, **changes: Any
) -> RisDestination:
    return RisDestination(
        "ed", "127.0.0.1", port, changes.pop("profile", Hl7Profile()), timeout_s=timeout_s, connect_timeout_s=2.0,
        connection=connection, **changes,
    )


@dataclass(frozen=True)
class Authority:
    """Issues certificates into a folder. ``name`` makes authorities that do not know each other."""

    folder: Path
    name: str = "authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def subject(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])

    def file(self) -> Path:
        """The authority's own certificate."""
        now = dt.datetime.now(dt.UTC)
        certificate = self._signed(self.subject, self.key.public_key(), now - 48 * HOUR, now + HOUR, "127.0.0.1", authority=True)
        path = self.folder / f"{self.name}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(
        self, name: str, *, days_ago: int = 0, address: str = "127.0.0.1", passphrase: bytes | None = None
    ) -> tuple[Path, Path]:
        """Files of a certificate and of its key. ``days_ago``: when it expired; 0: it is valid."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        last = now - dt.timedelta(days=days_ago) if days_ago else now + HOUR
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key.public_key(), min(last, now) - HOUR, last, address, authority=False)
        certificate_file, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        sealed = serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
        key_file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)
        )
        return certificate_file, key_file

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, first: dt.datetime, last: dt.datetime, address: str,
        authority: bool,
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(first)
            .not_valid_after(last)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
