"""Result objects to a PACS: one association, the C-STORE status of each object kept (PS3.4 B, PS3.7 9.1.1)."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext, build_context

from vigil.delivery.destination import PacsDestination
from vigil.delivery.errors import (
    DestinationAborted,
    DestinationBusy,
    DestinationRefused,
    DestinationSilent,
    DestinationUnreachable,
    MessageInvalid,
)
from vigil.delivery.status import NOT_SUPPORTED, accepted, status_text
from vigil.domain.errors import Stopping

VERIFICATION = UID("1.2.840.10008.1.1")
TRANSIENT = 2
"""Result of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
_LOOK_S = 0.1
_GRACE_S = 1.0
"""What the watch allows beyond the library's own time limits before it cuts the connection."""


@dataclass(frozen=True)
class OutgoingObject:
    """One DICOM file (PS3.10) to send."""

    sop_class_uid: str
    sop_instance_uid: str
    dicom: bytes


@dataclass(frozen=True)
class ObjectStatus:
    """The PACS's answer to one object: DIMSE status and its meaning."""

    sop_instance_uid: str
    status: int
    text: str

    @property
    def accepted(self) -> bool:
        return accepted(self.status)


@dataclass(frozen=True)
class SendOutcome:
    """One status for each object that was sent, in the order of sending."""

    statuses: tuple[ObjectStatus, ...]

    @property
    def refused(self) -> tuple[ObjectStatus, ...]:
        return tuple(item for item in self.statuses if not item.accepted)

    @property
    def complete(self) -> bool:
        return not self.refused


def send(
    destination: PacsDestination,
    objects: Sequence[OutgoingObject],
    on_status: Callable[[str, int, str], None],
    stop: threading.Event,
    ssl_context: ssl.SSLContext | None = None,
) -> SendOutcome:
    """Send every object over one association.

    ``on_status(sop_instance_uid, status, text)`` is called as soon as the status of an object is known, so that what a
    PACS took before the connection broke is not sent to it twice. An object whose SOP class or transfer syntax the PACS
    does not take is reported with status 0x0122 (SOP class not supported).

    Raises
    ------
    DestinationUnreachable, DestinationRefused, DestinationBusy, DestinationAborted, DestinationSilent
        As their names say; objects reported before stand.
    MessageInvalid
        One of ``objects`` is no DICOM file.
    Stopping
        ``stop`` was set; within :attr:`PacsDestination.connect_timeout_s` plus a second.
    """
    datasets = [_read(item) for item in objects]
    if not datasets:
        return SendOutcome(())
    statuses: list[ObjectStatus] = []
    with _Conversation(destination, _contexts(datasets), stop, ssl_context) as conversation:
        for item, dataset in zip(objects, datasets, strict=True):
            status, text = conversation.store(dataset)
            on_status(item.sop_instance_uid, status, text)
            statuses.append(ObjectStatus(item.sop_instance_uid, status, text))
    return SendOutcome(tuple(statuses))


def echo(
    destination: PacsDestination, stop: threading.Event, ssl_context: ssl.SSLContext | None = None
) -> None:
    """C-ECHO: returns where the PACS answers with success, raises as :func:`send` where not."""
    with _Conversation(destination, [build_context(VERIFICATION)], stop, ssl_context) as conversation:
        conversation.echo()


class _Conversation:
    """An association with a time limit on everything, and a watch that cuts the connection when ``stop`` is set.

    The watch shuts the socket itself: that is the one thing which ends every wait of the library, also a send into a
    window that the other side closed.
    """

    def __init__(
        self,
        destination: PacsDestination,
        contexts: list[PresentationContext],
        stop: threading.Event,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._destination = destination
        self._contexts = contexts
        self._stop = stop
        self._ssl = ssl_context
        self._opened: Association | None = None
        self._aborted_by_peer = False
        self._rejected: A_ASSOCIATE_RJ | None = None
        self._deadline = float("inf")
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look, name="vigil-dicom-watch", daemon=True)
        self._association: Association | None = None

    def __enter__(self) -> _Conversation:
        if self._stop.is_set():
            raise self._stopping()
        self._watch.start()
        try:
            self._associate()
        except BaseException:
            self._done.set()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        association = self._association
        try:
            if association is not None and association.is_established:
                self._expect()
                if error is None:
                    association.release()
                else:
                    association.abort()
        finally:
            self._done.set()

    def store(self, dataset: Dataset) -> tuple[int, str]:
        if self._stop.is_set():
            raise self._stopping()
        association = self._established()
        began = self._expect()
        try:
            response = association.send_c_store(dataset, priority=1)
        except ValueError:
            # No accepted context fits this object: the PACS said so at the negotiation.
            return NOT_SUPPORTED, f"{status_text(NOT_SUPPORTED)} ({UID(dataset.SOPClassUID).name})"
        except RuntimeError as error:
            raise self._broken(began) from error
        if "Status" not in response:
            raise self._broken(began)
        comment = str(response.get("ErrorComment", "") or "")
        status = int(response.Status)
        return status, status_text(status) + (f": {comment}" if comment else "")

    def echo(self) -> None:
        association = self._established()
        began = self._expect()
        response = association.send_c_echo()
        if "Status" not in response:
            raise self._broken(began)
        if response.Status != 0x0000:
            raise DestinationRefused(f"{self._destination.label} answered C-ECHO with status 0x{response.Status:04X}")

    def _associate(self) -> None:
        target = self._destination
        ae = AE(ae_title=target.calling_aet)
        ae.connection_timeout = target.connect_timeout_s
        ae.acse_timeout = ae.dimse_timeout = target.timeout_s
        ae.network_timeout = target.timeout_s + _GRACE_S
        began = self._expect(target.connect_timeout_s + target.timeout_s)
        association = ae.associate(
            self._address(),
            target.port,
            contexts=self._contexts,
            ae_title=target.aet,
            evt_handlers=[(evt.EVT_CONN_OPEN, self._on_open), (evt.EVT_PDU_RECV, self._on_pdu)],
            tls_args=(self._ssl, target.host) if self._ssl is not None else None,
        )
        self._association = association
        if association.is_established:
            return
        if self._stop.is_set():
            raise self._stopping()
        if self._opened is None:
            raise DestinationUnreachable(
                f"{target.label} cannot be reached within {target.connect_timeout_s:g} s. Check host and port, that it "
                "runs, and the firewall" + (", and TLS on both sides" if self._ssl else "")
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
        raise self._broken(began)

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

    def _broken(self, began: float) -> DestinationAborted | DestinationSilent | Stopping:
        """What an association that ended without an answer means."""
        if self._stop.is_set():
            return self._stopping()
        label, limit = self._destination.label, self._destination.timeout_s
        if time.monotonic() - began >= limit * 0.95:
            return DestinationSilent(
                f"{label} took the connection and did not answer within {limit:g} s: check that it is not overloaded or "
                "stopped"
            )
        how = "aborted the association" if self._aborted_by_peer else "closed the connection"
        return DestinationAborted(f"{label} {how} instead of answering: its log should say why")

    def _established(self) -> Association:
        if self._association is None:
            raise RuntimeError("the association is opened by entering the conversation")
        return self._association

    def _expect(self, seconds: float | None = None) -> float:
        """Set the watch for one step; returns now."""
        now = time.monotonic()
        self._deadline = now + (self._destination.timeout_s if seconds is None else seconds) + _GRACE_S
        return now

    def _stopping(self) -> Stopping:
        return Stopping(f"{self._destination.label}: stopped; what it has not taken is sent after the next start")

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

    def _look(self) -> None:
        while not self._done.wait(_LOOK_S):
            if self._stop.is_set() or time.monotonic() > self._deadline:
                raw = self._raw_socket()
                if raw is not None:
                    with contextlib.suppress(OSError):
                        raw.shutdown(socket.SHUT_RDWR)


def _read(item: OutgoingObject) -> Dataset:
    try:
        dataset = dcmread(BytesIO(item.dicom))
    except InvalidDicomError as error:
        raise MessageInvalid(f"object {item.sop_instance_uid} is no DICOM file") from error
    if dataset.SOPInstanceUID != item.sop_instance_uid:
        raise MessageInvalid(f"object {item.sop_instance_uid} holds another SOP Instance UID")
    return dataset


def _contexts(datasets: Sequence[Dataset]) -> list[PresentationContext]:
    """One context for each SOP class and transfer syntax in use. An uncompressed object is offered in implicit VR too,
    the one encoding that every node must take (PS3.5 10.1)."""
    pairs: list[tuple[str, UID]] = []
    for dataset in datasets:
        syntax = dataset.file_meta.TransferSyntaxUID
        offers = [syntax] if syntax.is_compressed else [syntax, ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        pairs.extend((str(dataset.SOPClassUID), offer) for offer in offers)
    return [build_context(sop_class, syntax) for sop_class, syntax in dict.fromkeys(pairs)][:128]
