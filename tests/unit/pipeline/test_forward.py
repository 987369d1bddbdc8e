"""One attempt at forwarding, with a real ledger and real receivers: what is selected, sent, refused, confirmed and sent again."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from encoded_objects import binary_segmentation, capture, outgoing, picture, report
from pydicom import dcmread

from hospital.confirming import ConfirmingPacs
from hospital.network import free_port
from hospital.pacs import ChoosyPacs, Pacs
from vigil.delivery.commitment import CommitmentReport
from vigil.delivery.errors import DestinationAborted, DestinationSilent
from vigil.domain.answer import Analysis, Answer, AnswerKind, Finding, Reason
from vigil.domain.codes import BRAIN, HYPERDENSE_REGION, MORPHOLOGICALLY_ALTERED_STRUCTURE
from vigil.domain.errors import Category
from vigil.inference.registry import Registry
from vigil.pipeline.commit import Confirmations
from vigil.pipeline.deliver import Refused, Suppressed, Unconfirmed, purge_sealed, rank
from vigil.pipeline.forward import ToPacs
from vigil.pipeline.house import BUNDLED_MODELS
from vigil.pipeline.permission import Permission
from vigil.records.entries import DeliveryRecord
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StatePaths
from vigil.results.objects import ResultObject, Role
from vigil.settings import Settings, load
from vigil.telemetry.logs import Log

MODEL = "hyperdense-volume-ct-head"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANSWER = Answer(AnswerKind.POSITIVE, "Hyperdense volume 19.6 mL, at or above the threshold of 5.0 mL.")
DELIVERY = "deliver|pacs|a1|1"
ANALYSIS = Analysis(
    analysis_id="a1", orthanc_study_id="s", study_instance_uid="1.2", model_id=MODEL, model_version="1.0.0",
    weights_sha256="w", operating_point="default", renderer_version="1", settings_sha256="x", inputs_sha256="i",
    inputs=(), created_at=NOW, correlation_id="c", stage="live", arrived_at=NOW, study_started_at=NOW)


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


class Store:
    """What Orthanc holds, by its id."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def dicom(self, instance_orthanc_id: str) -> bytes | None:
        return self.held.get(instance_orthanc_id)


def result_objects(frames: int = 4) -> list[ResultObject]:
    made = [(Role.SUMMARY, 0, capture(picture(), "summary")),
            *((Role.KEY_SLICE, index, capture(picture(), f"slice {index}")) for index in range(3)),
            (Role.SEGMENTATION, 0, binary_segmentation(frames)), (Role.REPORT, 0, report())]
    return [ResultObject(role, index, str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(ds.SeriesInstanceUID), outgoing(ds).dicom)
            for role, index, ds in made]


class House:
    """As the real one puts them together, without Orthanc and without an engine."""

    def __init__(self, folder: Path, objects: list[ResultObject] | None = None, **section: Any) -> None:
        paths = StatePaths(folder)
        self.clock, self.store, self.stop = Clock(), Store(), threading.Event()
        self.ledger = Ledger.open(paths.ledger_url, Sealer.open(paths.key), self.clock)
        self.objects = objects or result_objects()
        self.ledger.begin_analysis(ANALYSIS)
        self.ledger.freeze_answer("a1", ANSWER, self.objects)
        self.ledger.begin_delivery(DELIVERY, "pacs", "dicom", "a1", 1, NOW)
        self.settings = self.configured(folder, **section)

    def configured(self, folder: Path, **section: Any) -> Settings:
        live = {"SchemaVersion": 1, "StateDirectory": str(folder), "Models": {MODEL: {"Stage": "live"}}}
        made = load({"Vigil": live | section})
        models = {model.model_id: model for model in Registry(BUNDLED_MODELS).installed()}
        self.confirmations = Confirmations(
            ledger=self.ledger, settings=made, clock=self.clock, stop=self.stop, log=Log(logging.getLogger("test")))
        self.to_pacs = ToPacs(
            gateway=self.store, ledger=self.ledger, settings=made,  # type: ignore[arg-type]
            permission=Permission(made, models, NOW - timedelta(days=1)), confirmations=self.confirmations, clock=self.clock,
            stop=self.stop)
        return made

    @property
    def delivery(self) -> DeliveryRecord:
        found = self.ledger.delivery(DELIVERY)
        assert found is not None
        return found

    def bring(self) -> dict[str, object]:
        return self.to_pacs(self.delivery, ANALYSIS, ANSWER)

    def uids(self, *roles: str) -> set[str]:
        return {item.sop_instance_uid for item in self.objects if item.role in roles or not roles}


def pacs(port: int, aet: str = "PACS", **more: Any) -> dict[str, Any]:
    return {"Pacs": {"pacs": {"Host": "127.0.0.1", "Port": port, "Aet": aet, "TimeoutSeconds": 3, **more}}}


@pytest.fixture
def confirming() -> Iterator[ConfirmingPacs]:
    with ConfirmingPacs() as running:
        yield running


def received(node: Pacs) -> set[str]:
    return {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in node.objects()}


def test_the_profile_decides_what_goes_and_what_stayed_is_evidence(tmp_path: Path) -> None:
    with Pacs(tmp_path / "pacs") as node:
        house = House(tmp_path, **pacs(node.port, Profile="sc-only", MostCaptures=1))
        evidence = house.bring()
        assert received(node) == house.uids("summary") | {house.objects[2].sop_instance_uid}
    assert evidence == {"objects": 2, "profile": "sc-only", "left_out": {
        "the profile 'sc-only' does not take objects of this kind": 2, "the destination takes at most 1 captures of slices": 2}}


def test_a_segmentation_over_the_limit_stays(tmp_path: Path) -> None:
    with Pacs(tmp_path / "pacs") as node:
        house = House(tmp_path, result_objects(frames=401), **pacs(node.port, Profile="weasis"))
        house.bring()
        assert received(node) == house.uids() - house.uids("segmentation")


def test_a_profile_that_takes_nothing_of_this_analysis_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(Suppressed, match="'reporting-text' takes none of the objects"):
        House(tmp_path, **pacs(free_port(), Profile="reporting-text")).bring()


def test_what_was_refused_is_told_by_kind_and_reason_and_the_rest_is_not_sent_again(tmp_path: Path) -> None:
    takes = {"SecondaryCaptureImageStorage": ("LittleEndianExplicit",), "Comprehensive3DSRStorage": ("RLELossless",)}
    with ChoosyPacs(tmp_path / "pacs", takes=takes) as node:
        house = House(tmp_path, **pacs(node.port, "CHOOSY"))
        with pytest.raises(Refused, match=r"refused 2 of 6 objects \(1 × Segmentation: SOP class not supported; "
                                          r"1 × Comprehensive 3D SR: transfer syntax not supported\)"):
            house.bring()
        with pytest.raises(Refused):
            house.bring()
        assert Counter(path.name[:2] for path in node.objects()) == {"SC": 4}
    statuses = house.ledger.object_statuses(DELIVERY)
    assert {statuses[uid] for uid in house.uids("segmentation")} == {0x0122}
    assert {statuses[uid] for uid in house.uids("report")} == {0xC122}


def test_it_is_delivered_when_the_pacs_has_confirmed_it(tmp_path: Path, confirming: ConfirmingPacs) -> None:
    house = House(tmp_path, **pacs(confirming.port, confirming.aet, StorageCommitment={}))
    assert house.bring()["objects"] == 6
    assert house.ledger.committed_objects(DELIVERY) == house.uids()
    assert house.bring()["objects"] == 6
    assert len(confirming.asked) == 1, "what is confirmed is not asked for again"
    assert set(confirming.received.values()) == {1}


def test_what_the_pacs_has_lost_is_sent_and_asked_for_again(tmp_path: Path, confirming: ConfirmingPacs) -> None:
    house = House(tmp_path, **pacs(confirming.port, confirming.aet, StorageCommitment={}))
    lost = next(iter(house.uids("report")))
    confirming.lost.add(lost)
    with pytest.raises(Unconfirmed, match="not yet confirmed 1 of them"):
        house.bring()
    assert house.ledger.object_statuses(DELIVERY)[lost] == 0x0112
    assert "storage commitment" in house.ledger.object_comment(DELIVERY, lost)
    house.bring()
    assert confirming.received == Counter({**dict.fromkeys(house.uids(), 1), lost: 2})
    assert confirming.asked[1] == (lost,)


def test_without_a_listener_an_answer_that_does_not_come_is_asked_for_at_each_attempt(tmp_path: Path) -> None:
    with ConfirmingPacs(answers=False) as node:
        house = House(tmp_path, **pacs(node.port, node.aet, StorageCommitment={"WaitSeconds": 0.1}))
        for number in (1, 2):
            with pytest.raises(Unconfirmed, match="set CommitmentListener"):
                house.bring()
            assert len(node.asked) == number
        assert set(node.received.values()) == {1}


def listening(node: ConfirmingPacs, port: int, *, wait_s: float = 0.1) -> dict[str, Any]:
    """``wait_s``: for an answer on the association of the request; short where none is expected."""
    return {**pacs(node.port, node.aet, StorageCommitment={"WaitSeconds": wait_s, "AskAgainSeconds": 600}),
            "CommitmentListener": {"Aet": "VIGIL", "Port": port, "Address": "127.0.0.1"}}


def test_with_one_the_answer_is_waited_for_and_the_request_is_made_anew_when_it_stays_out(tmp_path: Path) -> None:
    with ConfirmingPacs(answers=False) as node:
        house = House(tmp_path, **listening(node, free_port()))
        for _ in range(2):
            with pytest.raises(Unconfirmed, match=r"storage commitment is awaited$"):
                house.bring()
        assert len(node.asked) == 1
        house.clock.at += timedelta(seconds=601)
        with pytest.raises(Unconfirmed):
            house.bring()
        assert len(node.asked) == 2
        waits = house.ledger.open_commitment(DELIVERY)
        assert waits is not None
        assert house.confirmations.take(CommitmentReport(waits.transaction_uid, frozenset(house.uids()), {}))
        assert house.bring()["objects"] == 6
        assert len(node.asked) == 2


def test_a_report_on_what_nobody_asked_for_is_not_taken_and_foreign_objects_are_passed_over(tmp_path: Path) -> None:
    with ConfirmingPacs(answers=False) as node:
        house = House(tmp_path, **listening(node, free_port()))
        with pytest.raises(Unconfirmed):
            house.bring()
        waits = house.ledger.open_commitment(DELIVERY)
        assert waits is not None
        assert not house.confirmations.take(CommitmentReport("2.25.9", frozenset(house.uids()), {}))
        assert house.confirmations.take(CommitmentReport(waits.transaction_uid, frozenset({"1.2.3"}), {"1.2.4": 0x0110}))
        assert house.ledger.committed_objects(DELIVERY) == set()
        assert set(house.ledger.object_statuses(DELIVERY)) == house.uids()


def test_a_request_that_broke_off_is_made_anew_at_the_next_attempt(tmp_path: Path) -> None:
    with ConfirmingPacs(answers=False) as node:
        house = House(tmp_path, **listening(node, free_port()))
        broke = []

        def break_off() -> None:
            if not broke:
                broke.append(True)
                node._server.active_associations[-1].abort()

        node.on_asked = break_off
        with pytest.raises((DestinationAborted, DestinationSilent)):
            house.bring()
        with pytest.raises(Unconfirmed):
            house.bring()
        assert len(node.asked) == 2
        assert set(node.received.values()) == {1}


def test_a_pacs_that_knows_no_commitment_is_a_person_s_business(tmp_path: Path) -> None:
    with ConfirmingPacs(knows_commitment=False) as node:
        house = House(tmp_path, **pacs(node.port, node.aet, StorageCommitment={}))
        with pytest.raises(Refused, match="Storage Commitment"):
            house.bring()
        assert set(node.received) == house.uids(), "it has the objects"


def test_a_port_that_cannot_be_opened_is_told_and_stops_nothing(tmp_path: Path, confirming: ConfirmingPacs) -> None:
    house = House(tmp_path, **listening(confirming, confirming.port, wait_s=20.0))
    house.confirmations.start()
    assert "CommitmentListener cannot listen" in house.confirmations.missing()[0]
    assert house.bring()["objects"] == 6
    house.confirmations.stop()


def test_what_is_not_sealed_any_more_comes_from_orthanc_if_it_is_the_same(tmp_path: Path) -> None:
    with Pacs(tmp_path / "pacs") as node:
        house = House(tmp_path, **pacs(node.port))
        for number, item in enumerate(house.objects):
            house.store.held[f"o{number}"] = item.dicom
            house.ledger.mark_object_stored(item.sop_instance_uid, f"o{number}", NOW)
        house.ledger.purge_object_bytes("a1")
        original = house.store.held["o5"]
        changed = dcmread(BytesIO(original))
        changed.PatientName = "Somebody^Else"
        changed.save_as(buffer := BytesIO())
        house.store.held["o5"] = buffer.getvalue()
        with pytest.raises(Refused, match="not the one that was frozen"):
            house.bring()
        del house.store.held["o5"]
        with pytest.raises(Refused, match="neither sealed here nor in Orthanc"):
            house.bring()
        assert not node.objects()
        house.store.held["o5"] = original
        house.bring()
        assert received(node) == house.uids()


def test_a_destination_that_is_no_longer_in_the_settings_gets_nothing(tmp_path: Path) -> None:
    with pytest.raises(Suppressed, match="no longer in the settings"):
        House(tmp_path).bring()


def test_sealed_copies_go_when_nothing_is_owed_and_stay_while_something_is(tmp_path: Path) -> None:
    house = House(tmp_path)
    uid = house.objects[0].sop_instance_uid
    for state, gone in (("parked", False), ("suppressed", True)):
        house.ledger.finish_delivery(DELIVERY, state, NOW)
        purge_sealed(house.ledger, "a1")
        assert (house.ledger.object_bytes(uid) is None) == gone


def finding(category: int | None) -> Finding:
    return Finding(HYPERDENSE_REGION, MORPHOLOGICALLY_ALTERED_STRUCTURE, BRAIN, (), acr_category=category)


def test_positives_go_first_by_the_category_of_their_gravest_finding() -> None:
    def ranked(kind: AnswerKind, *categories: int | None, revision: int = 1) -> int:
        reason = None if kind.analysed else Reason(Category.SLICE_MISSING, "a slice is missing")
        answer = Answer(kind, "", reason=reason, findings=tuple(map(finding, categories)))
        return rank(replace(ANALYSIS, revision=revision), answer)

    order = [ranked(AnswerKind.POSITIVE, 2, 1), ranked(AnswerKind.POSITIVE, 2), ranked(AnswerKind.POSITIVE, 3),
             ranked(AnswerKind.POSITIVE, None), ranked(AnswerKind.NEGATIVE, revision=2), ranked(AnswerKind.INDETERMINATE),
             ranked(AnswerKind.NEGATIVE)]
    assert order == sorted(set(order))
    assert len({ranked(kind) for kind in AnswerKind if kind not in (AnswerKind.POSITIVE, AnswerKind.INDETERMINATE)}) == 1
