"""A program of the site that takes webhooks: an HTTP server of the standard library, that checks each signature by itself."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from hospital.network import free_port

FRESH_S = 300


@dataclass(frozen=True)
class Page:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass
class Pager:
    """``status`` and ``answer`` are what it says; "silent" as an answer: nothing, until it is stopped."""

    secret: bytes
    port: int = field(default_factory=free_port)
    tls: ssl.SSLContext | None = None
    status: int = 200
    answer: str = "{}"
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""

    def __post_init__(self) -> None:
        self.pages: list[Page] = []
        self.unsigned: list[str] = []
        """Why a request was not believed."""
        self._seen: set[str] = set()
        self._came = threading.Condition()
        self._over = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> Self:
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                pager.take(Page({name.lower(): value for name, value in self.headers.items()}, body))
                if pager.answer == "silent":
                    pager._over.wait(60)
                    return
                if pager.answer == "garbage":
                    self.wfile.write(b"\x15\x03 this is no HTTP\r\n\r\n")
                    return
                answer = pager.answer.encode()
                self.send_response(pager.status)
                if 300 <= pager.status < 400:
                    self.send_header("Location", f"http://127.0.0.1:{pager.port}/elsewhere")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._over.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        self._over.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, page: Page) -> None:
        """Believes a page whose signature is right, whose time is fresh and whose id it has not seen."""
        stamp = page.headers.get("vigil-timestamp", "0")
        wanted = "v1=" + hmac.new(self.secret, f"{stamp}.".encode() + page.body, hashlib.sha256).hexdigest()
        with self._came:
            if not hmac.compare_digest(wanted, page.headers.get("vigil-signature", "")):
                self.unsigned.append("signature")
            elif abs(self.clock() - int(stamp)) > FRESH_S:
                self.unsigned.append("old")
            elif page.content["id"] in self._seen:
                self.unsigned.append("seen before")
            else:
                self._seen.add(page.content["id"])
                self.pages.append(page)
            self._came.notify_all()

    def wait_for(self, count: int, timeout_s: float = 30.0) -> list[Page]:
        with self._came:
            self._came.wait_for(lambda: len(self.pages) >= count, timeout_s)
            return list(self.pages)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
