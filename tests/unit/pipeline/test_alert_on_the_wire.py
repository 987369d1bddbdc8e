"""An alert on its way to a RIS of python-hl7: frozen before its first attempt, whatever the receiver and the clock do then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from hospital.network import free_port
from hospital.ris import Ris
from vigil.domain.answer import Answer, AnswerKind, Finding, Measurement
from vigil.domain.codes import (
    BRAIN,
    HYPERDENSE_REGION,
    HYPERDENSE_VOLUME,
    MILLILITRE,
    MORPHOLOGICALLY_ALTERED_STRUCTURE,
)
from vigil.inference.registry import InstalledModel
from vigil.pipeline.alert import ToRis
from vigil.pipeline.deliver import Courier
from vigil.pipeline.desk import AlertDesk
from vigil.pipeline.errors import AlertUnchanged
from vigil.pipeline.permission import Permission
from vigil.pipeline.reference import References
from vigil.records.audit import Audit
from vigil.records.entries import AnalysisRecord, DeliveryRecord
from vigil.records.ledger import Ledger
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics


@dataclass
class OneImage:
    """As much of Orthanc as an alert needs."""

    def dicom(self, instance: str) -> bytes:
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
        image.PatientName, image.PatientID, image.AccessionNumber, image.Modality = "Sample^Sam", "S-1", "A-1", "CT"
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        buffer = BytesIO()
        dcmwrite(buffer, image, enforce_file_format=True)
        return buffer.getvalue()


def positive(*volumes_ml: float) -> Answer:
    findings = tuple(
        Finding(HYPERDENSE_REGION, MORPHOLOGICALLY_ALTERED_STRUCTURE, BRAIN,
                (Measurement(HYPERDENSE_VOLUME, volume, MILLILITRE),), acr_category=1)
        for volume in volumes_ml)
    return Answer(AnswerKind.POSITIVE, "Hyperdense volume found.", measured=findings[0].measurements[0], findings=findings)


class NoImages:
    """The study has been deleted."""

    def dicom(self, instance: str) -> None:
        return None


def fields(path: Path) -> dict[str, list[list[str]]]:
    """The fields of each kind of segment."""
    found: dict[str, list[list[str]]] = {}
    for line in path.read_bytes().decode().split("\r"):
        found.setdefault(line[:3], []).append(line.split("|"))
    return found


NEGATIVE = Answer(AnswerKind.NEGATIVE, "Hyperdense volume 1.0 mL. This does not exclude a haemorrhage.",
                  measured=Measurement(HYPERDENSE_VOLUME, 1.0, MILLILITRE))


@pytest.fixture
def ris(tmp_path: Path) -> Iterator[Ris]:
    with Ris(tmp_path / "ris") as running:
        yield running


@pytest.fixture
def desk(ledger: Ledger, clock: Any) -> AlertDesk:
    return AlertDesk(ledger, Audit(ledger), clock)


@pytest.fixture
def bring(
    ledger: Ledger, models: dict[str, InstalledModel], settings: Callable[..., Settings], clock: Any, log: Log,
) -> Iterator[Callable[..., DeliveryRecord]]:
    """One attempt at the alert of an analysis to the RIS at this port; what the ledger says of it afterwards."""
    opened: list[ToRis] = []

    def attempt(analysis: str, port: int, revision: int = 1, *, gateway: object = None, kind: str = "deliver",
                **receiver: Any) -> DeliveryRecord:
        site = settings(Ris={"ris": {"Host": "127.0.0.1", "Port": port, "TimeoutSeconds": 5, **receiver}})
        to_ris = ToRis(
            references=References(gateway or OneImage(), ledger, site), ledger=ledger, settings=site,  # type: ignore[arg-type]
            permission=Permission(site, models, clock.now() - timedelta(days=9)), models=models, clock=clock,
            stop=threading.Event())
        opened.append(to_ris)
        courier = Courier(bring=to_ris, notified="alerted", ledger=ledger, audit=Audit(ledger), retry=site.retry, clock=clock,
                          log=log, metrics=Metrics())
        name = f"{kind}|ris|{analysis}|{revision}"
        if kind == "deliver":
            ledger.begin_delivery(name, "ris", "hl7", analysis, revision, clock.now())
        courier(name, 1)
        found = ledger.delivery(name)
        assert found is not None
        return found

    yield attempt
    for each in opened:
        each.close()


def test_an_ae_is_followed_by_the_same_bytes_and_an_aa_ends_it(
    bring: Callable[..., DeliveryRecord], answered: Callable[..., AnalysisRecord], ris: Ris, clock: Any,
) -> None:
    answered("a1", positive(19.9))
    ris.answer("AE")
    assert bring("a1", ris.port).state == "waiting"
    clock.move(60)
    ris.answer("AA")
    assert bring("a1", ris.port).state == "delivered"
    first, second = (path.read_bytes() for path in ris.received())
    assert first == second
    assert bring("a1", ris.port).attempts == 2, "what is delivered is not tried again"


def test_a_clock_that_was_put_back_changes_nothing_in_the_message(
    bring: Callable[..., DeliveryRecord], answered: Callable[..., AnalysisRecord], ris: Ris, clock: Any,
) -> None:
    answered("a1", positive(19.9))
    ris.answer("close")
    assert bring("a1", ris.port).state == "waiting"
    clock.move(-3 * 3600)
    ris.answer("AA")
    assert bring("a1", ris.port).state == "delivered"
    assert len({path.read_bytes() for path in ris.received()}) == 1


def test_the_address_that_took_it_stands_in_the_audit(
    bring: Callable[..., DeliveryRecord], answered: Callable[..., AnalysisRecord], ris: Ris, ledger: Ledger,
) -> None:
    answered("a1", positive(19.9))
    assert bring("a1", free_port(), Second={"Host": "127.0.0.1", "Port": ris.port}).state == "delivered"
    entry = next(entry for entry in Audit(ledger).entries("a1") if entry.event == "hl7-delivered")
    assert entry.as_dict()["evidence"]["receiver"] == f"127.0.0.1:{ris.port}"


def test_a_correction_takes_back_every_finding_of_what_this_receiver_was_told(
    bring: Callable[..., DeliveryRecord], answered: Callable[..., AnalysisRecord], ris: Ris, ledger: Ledger, clock: Any,
) -> None:
    before = answered("a1", positive(19.9, 7.7), study="one")
    assert bring("a1", ris.port).state == "delivered"
    later = replace(before.analysis, analysis_id="a2", predecessor_id="a1", revision=2, inputs_sha256="more")
    ledger.begin_analysis(later)
    ledger.freeze_answer("a2", NEGATIVE, [])
    assert bring("a2", ris.port, 2).state == "delivered"
    first, second = (path.read_bytes().decode() for path in ris.received())
    numbers = [line.split("|") for line in second.split("\r") if line.startswith("OBX") and line.split("|")[2] == "NM"]
    assert [(row[4], row[5], row[11]) for row in numbers] == [("1", "1.0", "R"), ("2", "", "D"), ("3", "", "D")]
    assert "CORRECTED AI RESULT" in second
    assert first.split("|")[9] != second.split("|")[9], "another revision has another control id"


@pytest.mark.parametrize(("kind", "status", "headline"), [
    ("withdrawal", "D", "AI RESULT WITHDRAWN"), ("wrong-patient", "W", "WRONG PATIENT")])
def test_what_was_told_is_taken_back_of_the_same_patient_and_order_also_when_the_images_are_gone(
    bring: Callable[..., DeliveryRecord], answered: Callable[..., AnalysisRecord], ris: Ris, desk: AlertDesk,
    kind: Any, status: str, headline: str,
) -> None:
    answered("a1", positive(19.9))
    bring("a1", ris.port)
    desk.withdraw("a1", "Dr. Roe", kind)
    assert bring("a1", ris.port, kind="retract", gateway=NoImages()).state == "delivered"
    assert bring("a1", ris.port, kind="retract", gateway=NoImages()).attempts == 1, "once"
    told, taken = map(fields, ris.received())
    assert (taken["PID"], taken["OBR"][0][2:5]) == (told["PID"], told["OBR"][0][2:5])
    assert taken["OBR"][0][25] == "X"
    assert "TQ1" not in taken, "nothing to take back is urgent"
    coded = [row for row in taken["OBX"] if row[2] in ("NM", "CWE")]
    assert coded
    assert {(row[5], row[11]) for row in coded} == {("", status)}
    assert any(row[5].startswith(headline) for row in taken["OBX"])
    assert any("Dr. Roe" in row[5] for row in taken["OBX"])
    assert taken["MSH"][0][9] != told["MSH"][0][9]


def test_what_was_withdrawn_before_it_went_out_is_told_to_nobody(
    bring: Callable[..., DeliveryRecord], answered: Callable[..., AnalysisRecord], ris: Ris, desk: AlertDesk, ledger: Ledger,
) -> None:
    answered("a1", positive(19.9))
    desk.withdraw("a1", "Dr. Roe", "withdrawal")
    assert bring("a1", ris.port).state == "suppressed"
    assert ris.received() == []
    assert [item.purpose for item in ledger.deliveries("a1")] == ["result"], "nobody was told, so nobody is owed a word"


def test_what_may_have_arrived_and_is_withdrawn_is_not_sent_again_but_taken_back(
    bring: Callable[..., DeliveryRecord], answered: Callable[..., AnalysisRecord], ris: Ris, desk: AlertDesk,
) -> None:
    answered("a1", positive(19.9))
    ris.answer("silent")
    assert bring("a1", ris.port, TimeoutSeconds=0.3).state == "waiting"
    ris.answer("AA")
    desk.withdraw("a1", "Dr. Roe", "withdrawal")
    assert bring("a1", ris.port).state == "suppressed"
    assert bring("a1", ris.port, kind="retract").state == "delivered"
    assert len(ris.received()) == 2


def test_after_a_withdrawal_a_newer_answer_is_a_result_and_no_correction(
    bring: Callable[..., DeliveryRecord], answered: Callable[..., AnalysisRecord], ris: Ris, desk: AlertDesk,
) -> None:
    answered("a1", positive(19.9), study="one")
    bring("a1", ris.port)
    desk.withdraw("a1", "Dr. Roe", "withdrawal")
    answered("a2", positive(21.0), study="one")
    assert bring("a2", ris.port, 2).state == "delivered"
    assert b"CORRECTED" not in ris.received()[-1].read_bytes()
    assert bring("a1", ris.port, kind="retract").state == "suppressed", "it would take the newer one back: one order number"
    with pytest.raises(AlertUnchanged, match="withdrawn before"):
        desk.withdraw("a1", "Dr. Roe", "withdrawal")


def test_a_positive_after_a_positive_of_the_same_study_corrects_it(
    bring: Callable[..., DeliveryRecord], answered: Callable[..., AnalysisRecord], ris: Ris, desk: AlertDesk,
) -> None:
    """A thick series was analysed at once, then a thin one of the same study arrived."""
    answered("a1", positive(19.9), study="one")
    bring("a1", ris.port)
    answered("a2", positive(21.0), study="one")
    bring("a2", ris.port, 2)
    first, second = map(fields, ris.received())
    assert first["OBR"][0][3] == second["OBR"][0][3], "one order number of ours"
    assert first["MSH"][0][9] != second["MSH"][0][9]
    assert any("CORRECTED AI RESULT (revision 2" in row[5] for row in second["OBX"])
    with pytest.raises(AlertUnchanged, match="newer analysis"):
        desk.withdraw("a1", "Dr. Roe", "withdrawal")
