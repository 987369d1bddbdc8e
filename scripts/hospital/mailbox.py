"""A mail server in small: aiosmtpd in a thread, keeps what came, and answers as it is told."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any, Self, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from hospital.network import free_port


@dataclass(frozen=True)
class Received:
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=default)

    @property
    def text(self) -> str:
        return str(self.message.get_content())


@dataclass
class Mailbox:
    """``answer``: the reply to a message, or to one recipient (``refused``); may be changed while it runs."""

    port: int = field(default_factory=free_port)
    starttls: ssl.SSLContext | None = None
    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    answer: str = "250 taken"
    refused: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.received: list[Received] = []
        self._came = threading.Condition()
        self._controller: Controller | None = None

    def start(self) -> Self:
        secure: dict[str, Any] = {}
        if self.starttls is not None:
            secure = {"tls_context": self.starttls, "require_starttls": True}
        if self.login is not None:
            secure |= {"authenticator": self._authenticate, "auth_required": True, "auth_require_tls": self.tls is None}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ssl_context=self.tls, **secure)
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def wait_for(self, count: int, timeout_s: float = 30.0) -> list[Received]:
        with self._came:
            self._came.wait_for(lambda: len(self.received) >= count, timeout_s)
            return list(self.received)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # what aiosmtpd calls

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str],
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            with self._came:
                self.received.append(Received(tuple(envelope.rcpt_tos), cast(bytes, envelope.content)))
                self._came.notify_all()
        return self.answer

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self.login, handled=False)
