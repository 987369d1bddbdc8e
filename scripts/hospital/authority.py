"""A certificate authority for the hospital's test servers: certificates for 127.0.0.1, good for a day."""

from __future__ import annotations

import datetime as dt
import ssl
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """``name``: authorities of different names do not know each other."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test {name}")])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(_pem(self._certificate(self._name, self._key.public_key(), authority=True)))

    def issue(
        self, name: str, *, address: str = "127.0.0.1", days_ago: int = 0, passphrase: bytes | None = None,
    ) -> tuple[Path, Path]:
        """Files of a certificate and of its key. ``days_ago``: when it expired; 0: it is valid."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(_pem(self._certificate(subject, key.public_key(), address=address, days_ago=days_ago)))
        sealed = serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed))
        return certificate, key_file

    def server_context(self, name: str, address: str = "127.0.0.1") -> ssl.SSLContext:
        """For a server at ``address``, whatever its certificate says it is."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, address=address))
        return context

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, authority: bool = False,
                     address: str | None = None, days_ago: int = 0) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        last = now - dt.timedelta(days=days_ago) if days_ago else now + dt.timedelta(days=1)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(last, now) - dt.timedelta(hours=1)).not_valid_after(last)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
