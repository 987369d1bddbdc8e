"""A DICOM association with one receiver: a time limit on everything, and every way that it can end has a name."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext

from vigil.delivery.destination import PacsDestination
from vigil.delivery.errors import (
    DestinationAborted,
    DestinationBusy,
    DestinationRefused,
    DestinationSilent,
    DestinationUnreachable,
)
from vigil.delivery.tls import client_context, closed_unheard, failure
from vigil.delivery.watch import GRACE_S, ConnectionWatch
from vigil.domain.errors import Stopping

TRANSIENT = 2
"""Result of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""


class Conversation:
    """An association, opened by entering it and released by leaving it. ``handlers``: further ones of pynetdicom.

    Entering raises DestinationInvalid (a file of its TLS), DestinationUnreachable, DestinationRefused, DestinationBusy,
    DestinationAborted, DestinationSilent and Stopping, as their names say.
    """

    def __init__(
        self,
        destination: PacsDestination,
        contexts: Sequence[PresentationContext],
        stop: threading.Event,
        handlers: Sequence[tuple[Any, Any]] = (),
    ) -> None:
        self._destination = destination
        self._contexts = list(contexts)
        self._stop = stop
        self._tls_failure: OSError | None = None
        self._handlers = list(handlers)
        self._opened: Association | None = None
        self._aborted_by_peer = False
        self._rejected: A_ASSOCIATE_RJ | None = None
        self._watch = ConnectionWatch("vigil-dicom-watch", self._raw_socket, stop)
        self._association: Association | None = None

    def __enter__(self) -> Conversation:
        if self._stop.is_set():
            raise self.stopping()
        self._watch.start()
        try:
            self._associate()
        except BaseException:
            self._watch.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        association = self._association
        try:
            if association is not None and association.is_established:
                self.expect()
                if error is None and _pauses(association, self._destination.timeout_s):
                    association.release()
                else:
                    association.abort()
        finally:
            self._watch.end()

    @property
    def established(self) -> Association:
        if self._association is None:
            raise RuntimeError("the association is opened by entering the conversation")
        return self._association

    def accepted(self, sop_class_uid: str) -> frozenset[UID]:
        """The transfer syntaxes in which the receiver takes this kind of object."""
        return frozenset(
            syntax for context in self.established.accepted_contexts if context.abstract_syntax == sop_class_uid
            for syntax in context.transfer_syntax
        )

    def knows(self, sop_class_uid: str) -> bool:
        """Whether it takes this kind of object at all, if in none of the transfer syntaxes offered (PS3.8 9.3.3.2: it answers
        3 where the kind is unknown to it, and 4 where only the syntax is)."""
        return any(context.abstract_syntax == sop_class_uid and context.result == 4
                   for context in self.established.rejected_contexts)

    def expect(self, seconds: float | None = None) -> float:
        """Sets the watch for one step; returns now."""
        return self._watch.expect(self._destination.timeout_s if seconds is None else seconds)

    def go_on(self) -> None:
        """Raises :class:`Stopping` where no further step may begin."""
        if self._stop.is_set():
            raise self.stopping()

    def broken(self, began: float) -> DestinationAborted | DestinationSilent | Stopping:
        """What an association that ended without an answer means."""
        if self._stop.is_set():
            return self.stopping()
        label, limit = self._destination.label, self._destination.timeout_s
        if time.monotonic() - began >= limit * 0.95:
            return DestinationSilent(
                f"{label} took the connection and did not answer within {limit:g} s: check that it is not overloaded or "
                "stopped"
            )
        how = "aborted the association" if self._aborted_by_peer else "closed the connection"
        unheard = "" if self._destination.tls is None or self._aborted_by_peer else f". {closed_unheard(self._destination.tls)}"
        return DestinationAborted(f"{label} {how} instead of answering: its log should say why{unheard}")

    def stopping(self) -> Stopping:
        return Stopping(f"{self._destination.label}: stopped; what it has not taken is sent after the next start")

    def _associate(self) -> None:
        target = self._destination
        ae = AE(ae_title=target.calling_aet)
        ae.connection_timeout = target.connect_timeout_s
        ae.acse_timeout = ae.dimse_timeout = target.timeout_s
        ae.network_timeout = target.timeout_s + GRACE_S
        tls = self._tls()
        began = self.expect(target.connect_timeout_s + target.timeout_s)
        association = ae.associate(
            self._address(),
            target.port,
            contexts=self._contexts,
            ae_title=target.aet,
            evt_handlers=[(evt.EVT_CONN_OPEN, self._on_open), (evt.EVT_PDU_RECV, self._on_pdu), *self._handlers],
            tls_args=tls,
        )
        self._association = association
        if association.is_established:
            return
        if self._stop.is_set():
            raise self.stopping()
        if self._tls_failure is not None and not isinstance(self._tls_failure, TimeoutError):
            assert tls is not None  # noqa: S101 - who failed at it had it
            raise DestinationRefused(f"{target.label}: {failure(self._tls_failure, tls[1])}")
        if self._opened is None:
            raise DestinationUnreachable(
                f"{target.label} cannot be reached within {target.connect_timeout_s:g} s. Check host and port, that it "
                "runs, and the firewall" + (", and TLS on both sides" if tls else "")
            )
        if self._rejected is not None:
            refused = DestinationBusy if self._rejected.result == TRANSIENT else DestinationRefused
            raise refused(f"{target.label} rejected the association: {self._rejection(self._rejected)}")
        if association.rejected_contexts and not association.accepted_contexts:
            names = sorted({UID(context.abstract_syntax or "").name for context in association.rejected_contexts})
            raise DestinationRefused(
                f"{target.label} takes none of the kinds of object offered ({', '.join(names)}): allow these SOP "
                "classes there"
            )
        raise self.broken(began)

    def _tls(self) -> tuple[ssl.SSLContext, str] | None:
        """The context, and the name that the receiver's certificate must bear. pynetdicom keeps the error of a handshake to
        itself, so it is noted where it happens."""
        files = self._destination.tls
        if files is None:
            return None
        context = client_context(files, self._destination.label)
        note = self._note_tls_failure

        class Noting(ssl.SSLSocket):
            def do_handshake(self, block: bool = False) -> None:
                try:
                    super().do_handshake(block)
                except OSError as error:
                    note(error)
                    raise

        context.sslsocket_class = Noting
        return context, files.server_name or self._destination.host

    def _note_tls_failure(self, error: OSError) -> None:
        self._tls_failure = error

    def _address(self) -> str:
        """The host as an address. IPv4 before IPv6: only one is tried, and hardly a PACS listens on IPv6 alone."""
        target = self._destination
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise DestinationUnreachable(
                f"{target.label} cannot be reached: the host name is unknown. Check 'host' and the name service"
            ) from error
        return str(min(found, key=lambda entry: entry[0] is not socket.AF_INET)[4][0])

    def _rejection(self, pdu: A_ASSOCIATE_RJ) -> str:
        """PS3.8 9.3.4 in words, with what to do."""
        target = self._destination
        if pdu.source == 1 and pdu.reason_diagnostic == 7:
            return (
                f"it does not know '{target.aet}' (called AE title), or not for '{target.calling_aet}' at our address: "
                "correct 'aet', or add both there"
            )
        if pdu.source == 1 and pdu.reason_diagnostic == 3:
            return f"it does not know '{target.calling_aet}' (calling AE title): add this title and our address there"
        return f"{pdu.reason_str} ({pdu.source_str})" + ("; it may take it later" if pdu.result == TRANSIENT else "")

    def _on_open(self, event: evt.Event) -> None:
        self._opened = event.assoc
        # Command and data set are two writes; held back for each other they cost 40 ms an object.
        if (raw := self._raw_socket()) is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_pdu(self, event: evt.Event) -> None:
        if isinstance(event.pdu, A_ABORT_RQ):
            self._aborted_by_peer = True
        elif isinstance(event.pdu, A_ASSOCIATE_RJ):
            # Kept from the wire: a node that closes right after it can make the library forget that it was rejected.
            self._rejected = event.pdu

    def _raw_socket(self) -> socket.socket | None:
        wrapper = self._opened.dul.socket if self._opened is not None else None
        return wrapper.socket if wrapper is not None else None


def _pauses(association: Association, timeout_s: float) -> bool:
    """Whether pynetdicom's own thread stands still, which its release waits for without an end (seen once in 3.0.4: the thread
    stood still and did not say so). What was to be said has been said by then, so the association may as well be aborted."""
    association._reactor_checkpoint.clear()
    ends = time.monotonic() + timeout_s
    while not association._is_paused and time.monotonic() < ends:
        time.sleep(0.001)
    return association._is_paused
