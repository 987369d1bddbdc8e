"""Storage commitment (PS3.4 Annex J): the PACS is asked whether it keeps what it took, and says so.

It answers with an N-EVENT-REPORT, some on the association of the request, others on one that they open to us minutes later:
for these there is a listener, the one port that Vigil opens, off unless the site sets it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context
from pynetdicom.transport import ThreadedAssociationServer

from vigil.delivery.association import Conversation
from vigil.delivery.destination import CommitmentNode, PacsDestination
from vigil.delivery.errors import DestinationRefused, ListenerNotOpened
from vigil.delivery.status import PROCESSING_FAILURE, SUCCESS, status_text
from vigil.domain.errors import VigilError

PUSH_MODEL = UID("1.2.840.10008.1.20.1")
PUSH_MODEL_INSTANCE = UID("1.2.840.10008.1.20.1.1")
REQUEST = 1
"""Action type of the N-ACTION (PS3.4 table J.3-1)."""
VERIFICATION = UID("1.2.840.10008.1.1")
MOST_ASSOCIATIONS = 8
NETWORK_TIMEOUT_S = 30.0
_LOOK_S = 0.1


@dataclass(frozen=True)
class CommitmentReport:
    """What a PACS answered to one request. ``failed``: failure reason (PS3.3 C.14.1.1) by SOP Instance UID."""

    transaction_uid: str
    committed: frozenset[str]
    failed: Mapping[str, int]


OnReport = Callable[[CommitmentReport], bool]
"""Takes a report; False where its transaction is not ours."""


def request_commitment(
    destination: PacsDestination, node: CommitmentNode, transaction_uid: str, objects: Sequence[tuple[str, str]],
    on_asked: Callable[[], None], on_report: OnReport, stop: threading.Event,
) -> bool:
    """Asks for ``objects`` (SOP class and instance UID of each); True where the answer came on the same association.

    ``on_asked`` is called as soon as the PACS has accepted the request, before its answer is waited for. Raises what
    :func:`vigil.delivery.dicom.send` raises; DestinationRefused too where the PACS knows no storage commitment.
    """
    answered = threading.Event()

    def report(event: evt.Event) -> tuple[int, None]:
        status = _take(event, on_report)
        if status == SUCCESS:
            answered.set()
        return status, None

    asked = replace(destination, aet=node.aet, port=node.port)
    handlers = [(evt.EVT_N_EVENT_REPORT, report)]
    with Conversation(asked, [build_context(PUSH_MODEL)], stop, handlers=handlers) as conversation:
        began = conversation.expect()
        try:
            response, _ = conversation.established.send_n_action(
                _request(transaction_uid, objects), REQUEST, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        except RuntimeError as error:
            raise conversation.broken(began) from error
        if "Status" not in response:
            raise conversation.broken(began)
        if response.Status != SUCCESS:
            raise DestinationRefused(
                f"{asked.label} does not take the request for storage commitment: {status_text(int(response.Status))}")
        on_asked()
        ends = conversation.expect(node.wait_s) + node.wait_s
        while not answered.wait(_LOOK_S) and time.monotonic() < ends and conversation.established.is_established:
            pass
        conversation.go_on()
    return answered.is_set()


class Listener:
    """Takes reports on associations that a PACS opens to us, from known titles only."""

    def __init__(self, *, aet: str, address: str, port: int, callers: Collection[str], on_report: OnReport) -> None:
        self._place = (address, port)
        self._aet = aet
        self._callers = sorted(callers)
        self._on_report = on_report
        self._server: ThreadedAssociationServer | None = None

    def start(self) -> None:
        """Raises :class:`ListenerNotOpened`."""
        ae = AE(ae_title=self._aet)
        ae.require_called_aet = True
        ae.require_calling_aet = self._callers
        ae.maximum_associations = MOST_ASSOCIATIONS
        ae.network_timeout = ae.acse_timeout = ae.dimse_timeout = NETWORK_TIMEOUT_S
        # The PACS opens the association and is the provider on it: its role is negotiated (PS3.7 D.3.3.4)
        ae.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
        ae.add_supported_context(VERIFICATION)
        try:
            self._server = ae.start_server(
                self._place, block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._answer)])
        except OSError as error:
            raise ListenerNotOpened(
                f"the CommitmentListener cannot listen on {self._place[0]} port {self._place[1]} "
                f"({error.strerror or 'no such address'}); give an address of this machine and a port that is free") from error

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _answer(self, event: evt.Event) -> tuple[int, None]:
        return _take(event, self._on_report), None


def _take(event: evt.Event, on_report: OnReport) -> int:
    """The status that the report is answered with: a PACS that is told of a failure tries again."""
    try:
        found = read_report(event.event_information)
        return SUCCESS if on_report(found) else PROCESSING_FAILURE
    except (VigilError, AttributeError, ValueError, TypeError):
        # A ledger that is locked, or a report that is none
        return PROCESSING_FAILURE


def read_report(dataset: Dataset) -> CommitmentReport:
    """Raises AttributeError where it names no transaction."""
    failed = {str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason") or PROCESSING_FAILURE)
              for item in dataset.get("FailedSOPSequence") or ()}
    committed = {str(item.ReferencedSOPInstanceUID) for item in dataset.get("ReferencedSOPSequence") or ()}
    return CommitmentReport(str(dataset.TransactionUID), frozenset(committed - set(failed)), failed)


def _request(transaction_uid: str, objects: Sequence[tuple[str, str]]) -> Dataset:
    dataset = Dataset()
    dataset.TransactionUID = transaction_uid
    items = []
    for sop_class_uid, sop_instance_uid in objects:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        items.append(item)
    dataset.ReferencedSOPSequence = items
    return dataset
