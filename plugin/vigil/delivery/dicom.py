"""Result objects to a PACS: one association, the C-STORE status of each object kept (PS3.4 B, PS3.7 9.1.1)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext, build_context

from vigil.delivery.association import Conversation
from vigil.delivery.destination import PacsDestination
from vigil.delivery.encoding import possible_syntaxes, reencode
from vigil.delivery.errors import DestinationRefused, MessageInvalid
from vigil.delivery.status import NOT_SUPPORTED, SYNTAX_NOT_SUPPORTED, accepted, status_text

VERIFICATION = UID("1.2.840.10008.1.1")
MOST_CONTEXTS = 128
"""PS3.8 9.3.2.2: their ids are the odd numbers up to 255."""


@dataclass(frozen=True)
class OutgoingObject:
    """One DICOM file (PS3.10) to send."""

    sop_class_uid: str
    sop_instance_uid: str
    dicom: bytes


@dataclass(frozen=True)
class ObjectStatus:
    """The receiver's answer to one object: DIMSE status (or failure reason) and its meaning."""

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


OnStatus = Callable[[str, int, str], None]
"""``on_status(sop_instance_uid, status, text)``, called as soon as the status of an object is known, so that what a receiver
took before the connection broke is not sent to it twice."""


def send(
    destination: PacsDestination,
    objects: Sequence[OutgoingObject],
    on_status: OnStatus,
    stop: threading.Event,
) -> SendOutcome:
    """Send every object over one association, each in the first encoding of ``destination.profile`` that the PACS accepts for its
    kind.

    An object whose SOP class the PACS does not take is reported with status 0x0122 (SOP class not supported), one whose class
    it takes in none of the offered transfer syntaxes with 0xC122 (transfer syntax not supported).

    Raises
    ------
    DestinationUnreachable, DestinationRefused, DestinationBusy, DestinationAborted, DestinationSilent
        As their names say; objects reported before stand.
    DestinationInvalid
        A file of its TLS cannot be used.
    MessageInvalid
        One of ``objects`` is no DICOM file.
    Stopping
        ``stop`` was set; within :attr:`PacsDestination.connect_timeout_s` plus a second.
    """
    possible = [possible_syntaxes(read_header(item), destination.profile.encodings) for item in objects]
    if not possible:
        return SendOutcome(())
    statuses: list[ObjectStatus] = []
    with Conversation(destination, _contexts(objects, possible), stop) as conversation:
        for item, syntaxes in zip(objects, possible, strict=True):
            status, text = _store(conversation, item, syntaxes)
            on_status(item.sop_instance_uid, status, text)
            statuses.append(ObjectStatus(item.sop_instance_uid, status, text))
    return SendOutcome(tuple(statuses))


def echo(destination: PacsDestination, stop: threading.Event) -> None:
    """C-ECHO: returns where the PACS answers with success, raises as :func:`send` where not."""
    with Conversation(destination, [build_context(VERIFICATION)], stop) as conversation:
        began = conversation.expect()
        response = conversation.established.send_c_echo()
        if "Status" not in response:
            raise conversation.broken(began)
        if response.Status != 0x0000:
            raise DestinationRefused(f"{destination.label} answered C-ECHO with status 0x{response.Status:04X}")


def read_header(item: OutgoingObject) -> Dataset:
    """What it is, without its pixels. Raises :class:`MessageInvalid`."""
    try:
        header = dcmread(BytesIO(item.dicom), stop_before_pixels=True)
    except InvalidDicomError as error:
        raise MessageInvalid(f"object {item.sop_instance_uid} is no DICOM file") from error
    if header.SOPInstanceUID != item.sop_instance_uid:
        raise MessageInvalid(f"object {item.sop_instance_uid} holds another SOP Instance UID")
    return header


def in_syntax(item: OutgoingObject, syntax: UID) -> Dataset:
    """The whole object, re-encoded where needed."""
    dataset = dcmread(BytesIO(item.dicom))
    reencode(dataset, syntax)
    return dataset


def _store(conversation: Conversation, item: OutgoingObject, possible: Sequence[UID]) -> tuple[int, str]:
    conversation.go_on()
    taken = conversation.accepted(item.sop_class_uid)
    syntax = next((each for each in possible if each in taken), None)
    if syntax is None:
        # No accepted context fits this object: the PACS said so at the negotiation.
        known = bool(taken) or conversation.knows(item.sop_class_uid)
        status = SYNTAX_NOT_SUPPORTED if known else NOT_SUPPORTED
        return status, f"{status_text(status)} ({UID(item.sop_class_uid).name})"
    dataset = in_syntax(item, syntax)
    began = conversation.expect()
    try:
        response = conversation.established.send_c_store(dataset, priority=1)
    except RuntimeError as error:
        raise conversation.broken(began) from error
    if "Status" not in response:
        raise conversation.broken(began)
    comment = str(response.get("ErrorComment", "") or "")
    status = int(response.Status)
    return status, status_text(status) + (f": {comment}" if comment else "")


def _contexts(objects: Sequence[OutgoingObject], possible: Sequence[Sequence[UID]]) -> list[PresentationContext]:
    """One context for each SOP class and transfer syntax, so that the PACS answers to each, and we choose. What is left out where
    they are too many are the last choices: each kind of object keeps its first."""
    ranked = [(rank, item.sop_class_uid, syntax) for item, syntaxes in zip(objects, possible, strict=True)
              for rank, syntax in enumerate(syntaxes)]
    pairs = dict.fromkeys((sop_class, syntax) for _, sop_class, syntax in sorted(ranked, key=lambda entry: entry[0]))
    return [build_context(sop_class, syntax) for sop_class, syntax in pairs][:MOST_CONTEXTS]
