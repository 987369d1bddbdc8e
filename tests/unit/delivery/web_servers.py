"""DICOMweb servers for the tests: one that answers what it is told to, and a door of TLS before a real one."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = tuple[int, bytes]


class SaidServer:
    """Answers every POST with ``answer(body)``; None closes the connection instead. ``requests``: headers and bodies."""

    def __init__(self, answer: Callable[[bytes], Answer | None]) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), body))
                said = answer(body)
                if said is None:
                    self.close_connection = True
                    return
                self.send_response(said[0])
                self.send_header("Content-Type", "application/dicom+json")
                self.send_header("Content-Length", str(len(said[1])))
                self.end_headers()
                self.wfile.write(said[1])

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def said(status: int, **lists: dict[str, int]) -> Answer:
    """``stored`` and ``failed``: reason by SOP Instance UID, 0 for none."""
    content: dict[str, Any] = {}
    for name, tag, reason_tag in (("stored", "00081199", "00081196"), ("failed", "00081198", "00081197")):
        items = [{"00081155": {"vr": "UI", "Value": [uid]}} | ({reason_tag: {"vr": "US", "Value": [reason]}} if reason else {})
                 for uid, reason in lists.get(name, {}).items()]
        if items:
            content[tag] = {"vr": "SQ", "Value": items}
    return status, json.dumps(content).encode()


class TlsDoor:
    """Takes TLS on a port of its own and passes what it hears on to ``inner_port``, in clear. ``authority``: the PEM file that
    trusts it, and with ``ask_client`` the only one whose certificates it lets in."""

    def __init__(self, folder: Path, inner_port: int, *, name: str = "127.0.0.1", ask_client: bool = False) -> None:
        self.authority = folder / "server.pem"
        _self_signed(self.authority, name)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.authority)
        if ask_client:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(self.authority)
        self._inner_port = inner_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                outer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(outer,), daemon=True).start()

    def _serve(self, outer: socket.socket) -> None:
        try:
            with self._context.wrap_socket(outer, server_side=True) as secure, socket.create_connection(
                    ("127.0.0.1", self._inner_port), timeout=10) as inner:
                secure.settimeout(0.05)
                inner.settimeout(0.05)
                ends = time.monotonic() + 60
                while time.monotonic() < ends:
                    for source, target in ((secure, inner), (inner, secure)):
                        try:
                            block = source.recv(65536)
                        except TimeoutError:
                            continue
                        if not block:
                            return
                        target.settimeout(10)
                        target.sendall(block)
                        target.settimeout(0.05)
        except OSError:
            return


def _self_signed(file: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Vigil test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256()))
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM))
