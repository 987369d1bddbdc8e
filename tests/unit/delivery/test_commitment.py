"""Storage commitment: Orthanc answers on an association of its own; what it does not do, a node made for the test does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from encoded_objects import binary_segmentation, capture, outgoing, picture, report
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StorageCommitmentPushModel

from hospital.census import wait_until
from hospital.confirming import ConfirmingPacs
from hospital.network import free_port
from hospital.orthanc import Orthanc
from hospital.pacs import SilentNode
from vigil.delivery.commitment import CommitmentReport, Listener, request_commitment
from vigil.delivery.destination import CommitmentNode, PacsDestination
from vigil.delivery.dicom import send
from vigil.delivery.errors import (
    DestinationRefused,
    DestinationSilent,
    DestinationUnreachable,
    ListenerNotOpened,
    MessageInvalid,
)
from vigil.domain.errors import Stopping

OBJECTS = [outgoing(ds) for ds in (capture(picture()), binary_segmentation(), report())]
ASKED = [(item.sop_class_uid, item.sop_instance_uid) for item in OBJECTS]
UIDS = {uid for _, uid in ASKED}
TRANSACTION = "2.25.77001"


class Reports:
    """Takes reports on one transaction, as the ledger does."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.taken: list[CommitmentReport] = []
        self._breaks = breaks

    def __call__(self, found: CommitmentReport) -> bool:
        if self._breaks:
            raise MessageInvalid("the ledger is locked")
        if found.transaction_uid != TRANSACTION:
            return False
        self.taken.append(found)
        return True


def node(port: int, aet: str, *, wait_s: float = 3.0, timeout_s: float = 3.0) -> tuple[PacsDestination, CommitmentNode]:
    return (PacsDestination("main", "127.0.0.1", port, aet, timeout_s=timeout_s, connect_timeout_s=2.0),
            CommitmentNode(aet, port, wait_s, 60.0))


def ask(pacs_port: int, aet: str, reports: Reports, stop: threading.Event, **settings: float) -> tuple[bool, bool]:
    """(whether the request was accepted, whether the answer came on its association)."""
    asked = threading.Event()
    answered = request_commitment(*node(pacs_port, aet, **settings), TRANSACTION, ASKED, asked.set, reports, stop)
    return asked.is_set(), answered


def test_an_answer_on_the_association_of_the_request_is_taken(stop: threading.Event) -> None:
    reports = Reports()
    with ConfirmingPacs() as pacs:
        assert ask(pacs.port, pacs.aet, reports, stop) == (True, True)
    assert reports.taken == [CommitmentReport(TRANSACTION, frozenset(UIDS), {})]


def test_what_the_pacs_does_not_keep_is_named_with_its_reason(stop: threading.Event) -> None:
    reports = Reports()
    with ConfirmingPacs() as pacs:
        pacs.lost.add(OBJECTS[1].sop_instance_uid)
        ask(pacs.port, pacs.aet, reports, stop)
    assert reports.taken[0].failed == {OBJECTS[1].sop_instance_uid: 0x0112}
    assert reports.taken[0].committed == UIDS - {OBJECTS[1].sop_instance_uid}


def test_a_pacs_that_answers_later_was_asked(stop: threading.Event) -> None:
    with ConfirmingPacs(answers=False) as pacs:
        assert ask(pacs.port, pacs.aet, Reports(), stop, wait_s=0.2) == (True, False)


def test_a_report_that_could_not_be_kept_is_no_answer(stop: threading.Event) -> None:
    with ConfirmingPacs() as pacs:
        assert ask(pacs.port, pacs.aet, Reports(breaks=True), stop, wait_s=0.5) == (True, False)


def test_a_pacs_without_storage_commitment_is_said_to_have_none(stop: threading.Event) -> None:
    with ConfirmingPacs(knows_commitment=False) as pacs, pytest.raises(DestinationRefused, match="Storage Commitment"):
        ask(pacs.port, pacs.aet, Reports(), stop)
    with ConfirmingPacs(action_status=0x0124) as pacs, pytest.raises(DestinationRefused, match="not authorised"):
        ask(pacs.port, pacs.aet, Reports(), stop)


def test_a_pacs_that_is_silent_or_away_is_told_apart(stop: threading.Event) -> None:
    with SilentNode() as silent, pytest.raises(DestinationSilent):
        ask(silent.port, "SILENT", Reports(), stop, timeout_s=0.5)
    with pytest.raises(DestinationUnreachable):
        ask(free_port(), "AWAY", Reports(), stop, timeout_s=0.5)


def test_a_stop_ends_the_wait_for_an_answer(stop: threading.Event) -> None:
    began = time.monotonic()
    with ConfirmingPacs(answers=False, on_asked=stop.set) as pacs, pytest.raises(Stopping):
        ask(pacs.port, pacs.aet, Reports(), stop, wait_s=60.0)
    assert time.monotonic() - began < 20  # a bound against a hang


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, int]]:
    """Orthanc as a PACS that knows us, and the port where it finds us."""
    port = free_port()
    with Orthanc(tmp_path_factory.mktemp("archive"), name="ARCHIVE", script=None, configuration={"DicomModalities": {
            "vigil": {"AET": "VIGIL", "Host": "127.0.0.1", "Port": port, "AllowStorageCommitment": True}}}) as orthanc:
        yield orthanc, port


def test_orthanc_confirms_on_an_association_of_its_own(archive: tuple[Orthanc, int], stop: threading.Event) -> None:
    orthanc, port = archive
    reports = Reports()
    listener = Listener(aet="VIGIL", address="127.0.0.1", port=port, callers=["ARCHIVE"], on_report=reports)
    destination, _ = node(orthanc.dicom_port, "ARCHIVE")
    assert send(destination, OBJECTS[:2], lambda *_: None, stop).complete
    listener.start()
    try:
        assert ask(orthanc.dicom_port, "ARCHIVE", reports, stop, wait_s=0.0) == (True, False)
        found = wait_until("Orthanc's report", lambda: reports.taken, 20)[0]
    finally:
        listener.stop()
    assert found.committed == {item.sop_instance_uid for item in OBJECTS[:2]}
    assert found.failed == {OBJECTS[2].sop_instance_uid: 0x0112}, "it was never sent there"


def report_from(title: str, port: int, transaction: str, *, to: str = "VIGIL", roles: bool = True) -> int | None:
    """What a node of this title is answered when it reports on an association of its own; None where it is not let in."""
    ae = AE(ae_title=title)
    ae.acse_timeout = ae.dimse_timeout = 5
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = StorageCommitmentPushModel, False, True
    association = ae.associate("127.0.0.1", port, [build_context(StorageCommitmentPushModel)], ae_title=to,
                               ext_neg=[role] if roles else [])
    if not association.is_established:
        return None
    try:
        information = Dataset()
        information.TransactionUID = transaction
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ASKED[0]
        information.ReferencedSOPSequence = [item]
        status, _ = association.send_n_event_report(
            information, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
        return int(status.Status)
    finally:
        association.release()


def test_only_those_who_were_asked_are_let_in_and_only_what_was_asked_is_taken() -> None:
    reports = Reports()
    listener = Listener(aet="VIGIL", address="127.0.0.1", port=free_port(), callers=["ARCHIVE"], on_report=reports)
    port = listener._place[1]
    listener.start()
    try:
        assert report_from("STRANGER", port, TRANSACTION) is None
        assert report_from("ARCHIVE", port, TRANSACTION, to="OTHER") is None
        assert report_from("ARCHIVE", port, "2.25.1") == 0x0110
        assert not reports.taken
        assert report_from("ARCHIVE", port, TRANSACTION) == 0x0000
        assert reports.taken == [CommitmentReport(TRANSACTION, frozenset({ASKED[0][1]}), {})]
    finally:
        listener.stop()
    assert report_from("ARCHIVE", port, TRANSACTION) is None, "the port is closed again"


def test_a_pacs_is_told_when_its_report_could_not_be_kept_so_that_it_tries_again() -> None:
    listener = Listener(aet="VIGIL", address="127.0.0.1", port=free_port(), callers=["ARCHIVE"], on_report=Reports(breaks=True))
    listener.start()
    try:
        assert report_from("ARCHIVE", listener._place[1], TRANSACTION) == 0x0110
    finally:
        listener.stop()


def test_a_port_that_is_taken_is_named() -> None:
    with SilentNode() as taken, pytest.raises(ListenerNotOpened, match=f"port {taken.port}.*a port that is free"):
        Listener(aet="VIGIL", address="127.0.0.1", port=taken.port, callers=["A"], on_report=Reports()).start()


def test_no_threads_are_left_behind(stop: threading.Event, tmp_path: Path) -> None:
    with ConfirmingPacs() as pacs:
        before = set(threading.enumerate())
        ask(pacs.port, pacs.aet, Reports(), stop)
        wait_until("its threads have ended", lambda: set(threading.enumerate()) <= before, 10)
