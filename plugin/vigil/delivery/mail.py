"""A notice by e-mail: SMTP (RFC 5321) with STARTTLS or TLS, through a mail server of the site."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from vigil.delivery.connection import connected, read_secret, tls_words
from vigil.delivery.destination import TlsFiles
from vigil.delivery.errors import DestinationBusy, DestinationInvalid, DestinationRefused, DestinationSilent
from vigil.delivery.escalation.notice import Notice, mail_text
from vigil.delivery.tls import client_context
from vigil.settings.escalation import MailSettings

PERMANENT = 500
"""Replies from here on say that the same again will be refused again (RFC 5321 4.2.1)."""


@dataclass(frozen=True)
class MailServer:
    """Where a notice is handed over, and to whom it goes."""

    name: str
    settings: MailSettings

    @property
    def label(self) -> str:
        return f"mail server '{self.name}' ({self.settings.host}:{self.settings.port})"


def mail(notice: Notice, message_id: str, at: datetime, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """``message_id``: the same at every attempt, so that a mailbox that gets it twice can tell."""
    subject, body = mail_text(notice)
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    if notice.category == 1:
        message["Importance"] = "high"
        message["X-Priority"] = "1"
    message.set_content(body, cte="8bit" if not body.isascii() else "7bit")
    return message


def send_mail(server: MailServer, message: EmailMessage, stop: threading.Event) -> int:
    """Hands the message over. Returns how many recipients the server took it for.

    Raises
    ------
    DestinationUnreachable, DestinationSilent, DestinationBusy
        A later attempt may succeed.
    DestinationRefused
        The server said no for good: user, sender or every recipient, or TLS failed.
    DestinationInvalid
        The password or the authorities cannot be read.
    Stopping
    """
    settings, label = server.settings, server.label
    password = None
    if settings.user is not None:
        secret = read_secret(label, settings.password_file, settings.password_variable)
        if not secret.isascii() or not settings.user.isascii():
            raise DestinationInvalid(f"{label}: user and password may hold ASCII characters only")
        password = secret.decode("ascii")
    context = None if settings.security == "none" else client_context(TlsFiles(settings.authority_file), label)
    with connected(label, settings.host, settings.port, settings.timeout_seconds, stop) as raw:
        try:
            return _converse(raw, settings, context, password, message)
        except smtplib.SMTPAuthenticationError as error:
            raise DestinationRefused(f"{label} refused user and password ({error.smtp_code}): correct them") from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            raise _refusal(label, "every recipient", codes[0]) from error
        except smtplib.SMTPResponseException as error:
            raise _refusal(label, "the message", error.smtp_code) from error
        except smtplib.SMTPNotSupportedError as error:
            raise DestinationRefused(f"{label} does not offer what the settings ask for: STARTTLS, or to log in") from error
        except ssl.SSLError as error:
            raise DestinationRefused(f"{label}: {tls_words(error)}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise DestinationSilent(f"{label} took the connection and did not answer as a mail server does, in time") from error


def _converse(raw: socket.socket, settings: MailSettings, context: ssl.SSLContext | None, password: str | None,
              message: EmailMessage) -> int:
    if settings.security == "tls" and context is not None:
        raw = context.wrap_socket(raw, server_hostname=settings.host)
    # The address as its own name: a look-up of the machine's name can take seconds and tells it to others.
    client = _Client(raw, settings.host, settings.port, f"[{raw.getsockname()[0]}]")
    try:
        if settings.security == "starttls":
            client.starttls(context=context)
        if settings.user is not None and password is not None:
            client.login(settings.user, password)
        refused = client.send_message(message)
        client.quit()
    finally:
        client.close()
    return len(settings.to) - len(refused)


class _Client(smtplib.SMTP):
    """Over a connection that is open already."""

    def __init__(self, raw: socket.socket, host: str, port: int, own_name: str) -> None:
        self._raw = raw
        super().__init__(host, port, local_hostname=own_name)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._raw


def _refusal(label: str, what: str, code: int) -> DestinationRefused:
    if code >= PERMANENT:
        return DestinationRefused(f"{label} refused {what} ({code}): see its log; correct sender and recipients")
    return DestinationBusy(f"{label} does not take {what} for now ({code})")
