"""Forwarding from a whole Orthanc with the bundle: by profile, by STOW-RS, with storage commitment, past silent nodes."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from hospital import modality
from hospital.census import analyses, take_census, wait_settled, wait_until
from hospital.confirming import ConfirmingPacs
from hospital.hospital import LIVE, MODEL, Hospital
from hospital.network import free_port
from hospital.orthanc import Orthanc
from hospital.pacs import ChoosyPacs, Pacs, SilentNode
from hospital.patients import head_study
from vigil.domain.clock import SystemClock
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StatePaths

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}


def send(hospital: Hospital, images: list[Dataset]) -> str:
    orthanc = hospital.orthanc
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
    return str(images[0].StudyInstanceUID)


def delivery(hospital: Hospital, uid: str, destination: str) -> dict[str, Any]:
    found = analyses(hospital.orthanc, uid)
    return next((item for item in found[0]["deliveries"] if item["destination"] == destination), {}) if found else {}


def made(hospital: Hospital, uid: str, *roles: str) -> set[str]:
    return {item["sop_instance_uid"] for item in analyses(hospital.orthanc, uid)[0]["objects"]
            if not roles or item["role"] in roles}


def held(node: Orthanc) -> Counter[str]:
    return Counter(item["MainDicomTags"]["SOPInstanceUID"] for item in node.instances())


def sealed(hospital: Hospital, uids: set[str]) -> set[str]:
    """Those whose bytes still lie in the ledger."""
    paths = StatePaths(hospital.orthanc.folder / "vigil")
    ledger = Ledger.open(paths.ledger_url, Sealer.open(paths.key), SystemClock())
    try:
        return {uid for uid in uids if ledger.object_bytes(uid) is not None}
    finally:
        ledger.close()


def test_each_destination_gets_what_its_profile_says_in_what_it_takes_and_orthanc_confirms(tmp_path: Path) -> None:
    """A standard PACS that confirms (Orthanc), a DICOMweb archive (Orthanc), an older PACS that takes RLE captures alone, and a
    reporting system, for which a flat report is made."""
    listens = free_port()
    archive = Orthanc(tmp_path / "archive", name="ARCHIVE", script=None, configuration={"DicomModalities": {
        "vigil": {"AET": "VIGIL", "Host": "127.0.0.1", "Port": listens, "AllowStorageCommitment": True}}})
    older = ChoosyPacs(tmp_path / "older", takes={"SecondaryCaptureImageStorage": ("RLELossless",)})
    hospital = Hospital(tmp_path / "hospital", vigil=QUICK | {
        "CommitmentListener": {"Aet": "VIGIL", "Port": listens, "Address": "127.0.0.1"}})
    reporting = Pacs(tmp_path / "reporting", aet="REPORTING")
    with archive, older, reporting, hospital_with(hospital, {
        "Pacs": {
            "archive": {"Host": "127.0.0.1", "Port": archive.dicom_port, "Aet": "ARCHIVE", "StorageCommitment": {}},
            "older": {"Host": "127.0.0.1", "Port": older.port, "Aet": "CHOOSY", "Profile": "sc-only"},
            "reporting": {"Host": "127.0.0.1", "Port": reporting.port, "Aet": "REPORTING", "Profile": "reporting-text"}},
        "DicomWeb": {"web": {"Url": f"http://127.0.0.1:{archive.http_port}/dicom-web", "Profile": "ohif"}},
    }):
        images = head_study("by-profile")
        uid = send(hospital, images)
        wait_settled(hospital, uid)
        every = made(hospital, uid)
        states = {item["destination"]: (item["kind"], item["state"]) for item in analyses(hospital.orthanc, uid)[0]["deliveries"]}
        assert states == {"archive": ("dicom", "delivered"), "older": ("dicom", "delivered"), "web": ("stow-rs", "delivered"),
                          "reporting": ("dicom", "delivered"), "ris": ("hl7", "delivered")}
        text = made(hospital, uid, "text-report")
        assert len(text) == 1
        assert {str(dcmread(path).SOPInstanceUID) for path in reporting.objects()} == text
        assert delivery(hospital, uid, "archive")["committed"] == len(every - text)
        assert set(held(archive)) == every - text
        assert len(older.objects()) == len(made(hospital, uid, "summary", "key-slice"))
        assert sealed(hospital, every) == set(), "everything was delivered, so nothing is kept sealed"


def hospital_with(hospital: Hospital, section: dict[str, Any]) -> Hospital:
    """With other destinations than its own PACS."""
    hospital.orthanc.vigil |= section
    return hospital


def test_four_silent_destinations_delay_the_live_one_by_nothing(tmp_path: Path) -> None:
    """Each would take a connection and hold it for 60 s, by DICOM or by HTTP: longer than the test waits for the live one."""
    hospital = Hospital(tmp_path, vigil=QUICK)
    with ExitStack() as stack:
        silent = [stack.enter_context(SilentNode()) for _ in range(4)]
        nodes = {f"silent-{number}": {"Host": "127.0.0.1", "Port": node.port, "Aet": "SILENT", "TimeoutSeconds": 60}
                 for number, node in enumerate(silent[:3])}
        web = {"silent-3": {"Url": f"http://127.0.0.1:{silent[3].port}/dicom-web", "TimeoutSeconds": 60}}
        live = dict(hospital.orthanc.vigil["Pacs"])  # type: ignore[call-overload]
        stack.enter_context(hospital_with(hospital, {"Pacs": {**nodes, **live}, "DicomWeb": web}))
        first = send(hospital, head_study("silent-first"))
        wait_until("all four are in the middle of a wait", lambda: all(node.connections for node in silent))
        second = send(hospital, head_study("silent-second"))
        for uid in (first, second):
            wait_until("the live one has it", lambda uid=uid: delivery(hospital, uid, "pacs").get("state") == "delivered", 45)
            assert delivery(hospital, uid, "pacs")["attempts"] == 1
            assert delivery(hospital, uid, "ris")["state"] == "delivered"
        for number in range(4):
            waits = delivery(hospital, first, f"silent-{number}")
            assert (waits["state"], waits["attempts"]) == ("waiting", 0), "its first attempt is still under way"
        assert all(node.connections == 1 for node in silent)


def test_a_kill_in_the_middle_of_a_request_to_confirm_sends_nothing_twice(tmp_path: Path) -> None:
    with ConfirmingPacs(aet="PACS") as node:
        hospital = Hospital(tmp_path, vigil=QUICK | {"Pacs": {"pacs": {
            "Host": "127.0.0.1", "Port": node.port, "Aet": "PACS", "StorageCommitment": {"WaitSeconds": 5}}}})

        def kill() -> None:
            node.on_asked = None
            hospital.orthanc.kill()

        node.on_asked = kill
        with hospital:
            images = head_study("killed-while-asking")
            uid = send(hospital, images)
            wait_until("it was killed", lambda: not hospital.orthanc.running)
            assert node.received
            before = Counter(node.received)
            hospital.orthanc.start()
            hospital.orthanc.wait_ready()
            wait_settled(hospital, uid)

            assert delivery(hospital, uid, "pacs")["state"] == "delivered"
            assert set(node.received) == made(hospital, uid)
            assert set(node.received.values()) == {1}
            assert node.received == before
            assert len(node.asked) == 2, "asked again after the restart, as nobody knows whether the first was heard"
            assert delivery(hospital, uid, "pacs")["committed"] == len(before)
            census = take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})
            assert census.in_orthanc == census.made
            assert len(set(census.control_ids)) == 1


def test_nothing_stays_sealed_in_shadow_or_where_there_is_no_destination(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, vigil=QUICK)
    with hospital_with(hospital, {"Pacs": {}, "Ris": {}, "Models": {MODEL: LIVE}}):
        images = head_study("nowhere-to-go")
        uid = send(hospital, images)
        wait_until("stored", lambda: (found := analyses(hospital.orthanc, uid)) and found[0]["state"] == "stored")
        objects = made(hospital, uid)
        assert objects
        wait_until("nothing is sealed", lambda: not sealed(hospital, objects))
        assert len(hospital.orthanc.instances(hospital.orthanc.studies()[0])) == len(images) + len(objects)
        hospital.orthanc.vigil["Models"] = {MODEL: {"Stage": "shadow"}}
        hospital.orthanc.restart()
        hospital.orthanc.wait_ready()
        silent = send(hospital, head_study("in-shadow"))
        wait_until("answered", lambda: (found := analyses(hospital.orthanc, silent)) and found[0]["state"] == "shadow")
        wait_until("nothing is sealed", lambda: not sealed(hospital, made(hospital, silent)))
        assert made(hospital, silent), "what was made is still known"
