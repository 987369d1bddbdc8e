"""The commands beside Orthanc that change something: what they say, what they write, and what they refuse."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vigil.cli.main import app
from vigil.delivery.escalation.errors import NameInvalid
from vigil.domain.answer import Analysis, Answer, AnswerKind, Finding, Reason
from vigil.domain.clock import SystemClock
from vigil.domain.codes import BRAIN, HYPERDENSE_REGION, MORPHOLOGICALLY_ALTERED_STRUCTURE
from vigil.domain.errors import Category
from vigil.pipeline.errors import AlertUnchanged, AlertUnknown
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StatePaths

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ALERT = "a1b2c3d4e5f6a7b8"
DOWN = Reason(Category.DESTINATION_UNREACHABLE, "nobody listens")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Open beside the command, as Orthanc has it: with an alert whose message was parked."""
    paths = StatePaths(tmp_path)
    with_alert = Ledger.open(paths.ledger_url, Sealer.open(paths.key), SystemClock())
    with_alert.begin_analysis(Analysis(
        analysis_id=ALERT, orthanc_study_id="study-1", study_instance_uid="1.2.3", model_id="m", model_version="1.0.0",
        weights_sha256="w", operating_point="default", renderer_version="1", settings_sha256="x", inputs_sha256="i", inputs=(),
        created_at=NOON, correlation_id="c", stage="live"))
    finding = Finding(HYPERDENSE_REGION, MORPHOLOGICALLY_ALTERED_STRUCTURE, BRAIN, (), acr_category=1)
    with_alert.freeze_answer(ALERT, Answer(AnswerKind.POSITIVE, "Hyperdense volume 19.9 mL.", findings=(finding,)), [])
    with_alert.begin_critical(ALERT, 1, NOON)
    for name, kind in (("ris", "hl7"), ("pacs", "dicom")):
        with_alert.begin_delivery(f"deliver|{name}|{ALERT}|1", name, kind, ALERT, 1, NOON)  # type: ignore[arg-type]
        with_alert.finish_delivery(f"deliver|{name}|{ALERT}|1", "parked", NOON, DOWN)
    yield with_alert
    with_alert.close()


@pytest.fixture
def vigil(tmp_path: Path) -> Callable[..., str]:
    config = tmp_path / "orthanc.json"
    config.write_text(json.dumps({"Vigil": {"SchemaVersion": 1, "StateDirectory": str(tmp_path)}}))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--config", str(config)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return run


def state(ledger: Ledger, name: str) -> str:
    delivery = ledger.delivery(f"deliver|{name}|{ALERT}|1")
    assert delivery is not None
    return delivery.state


def test_the_first_who_acknowledges_is_said_to_the_second(ledger: Ledger, vigil: Callable[..., str]) -> None:
    assert "received by Dr. Ann Roe" in vigil("alerts", "acknowledge", "a1b2c3", "--by", "Dr. Ann Roe")
    assert "received by Dr. Ann Roe" in vigil("alerts", "acknowledge", "a1b2c3", "--by", "Dr. Ito")
    acknowledged = ledger.acknowledged_by(ALERT)
    assert acknowledged is not None
    assert (acknowledged.by, acknowledged.method) == ("Dr. Ann Roe", "command")
    assert vigil("alerts", "list", "--open") == "no alert\n"


@pytest.mark.parametrize(("arguments", "error"), [
    (("acknowledge", "a1b2c3", "--by", "0815"), NameInvalid), (("acknowledge", "ffffff", "--by", "Dr. Roe"), AlertUnknown),
    (("show", "a1"), AlertUnknown),
])
def test_what_is_refused_is_refused_in_words(
    ledger: Ledger, vigil: Callable[..., str], arguments: tuple[str, ...], error: type[Exception],
) -> None:
    with pytest.raises(error):
        vigil("alerts", *arguments)
    assert ledger.acknowledged_by(ALERT) is None


def test_a_parked_alert_is_sent_again_alone(ledger: Ledger, vigil: Callable[..., str]) -> None:
    assert "HL7 to ris: waiting" in vigil("alerts", "resend", "a1b2c3", "--by", "Dr. Roe")
    assert (state(ledger, "ris"), state(ledger, "pacs")) == ("waiting", "parked")
    with pytest.raises(AlertUnchanged, match="on their way already"):
        vigil("alerts", "resend", "a1b2c3", "--by", "Dr. Roe")


def test_holding_and_letting_go(ledger: Ledger, vigil: Callable[..., str]) -> None:
    assert "category 1, held" in vigil("alerts", "hold", "a1b2c3", "--by", "Dr. Roe")
    assert json.loads(vigil("alerts", "show", "a1b2c3", "--json"))["held"]["by"] == "Dr. Roe"
    assert json.loads(vigil("alerts", "resend", "a1b2c3", "--by", "Dr. Roe", "--json"))["held"] is None


def test_after_the_final_report(ledger: Ledger, vigil: Callable[..., str]) -> None:
    assert "final report known, by Dr. Roe" in vigil("alerts", "reported", "a1b2c3", "--by", "Dr. Roe")
    with pytest.raises(AlertUnchanged, match="final report"):
        vigil("alerts", "resend", "a1b2c3", "--by", "Dr. Roe")


def test_a_delivery_to_a_pacs_is_listed_and_sent_again(ledger: Ledger, vigil: Callable[..., str]) -> None:
    listed = vigil("deliveries", "list")
    assert f"deliver|pacs|{ALERT}|1  dicom to pacs: parked after 0 attempts: nobody listens" in listed
    assert json.loads(vigil("deliveries", "list", "--state", "delivered", "--json")) == []
    assert "within 60 seconds" in vigil("deliveries", "resend", f"deliver|pacs|{ALERT}|1", "--by", "Dr. Roe")
    assert state(ledger, "pacs") == "waiting"
    with pytest.raises(AlertUnchanged, match="it is waiting"):
        vigil("deliveries", "resend", f"deliver|pacs|{ALERT}|1", "--by", "Dr. Roe")
    with pytest.raises(AlertUnknown):
        vigil("deliveries", "resend", "none", "--by", "Dr. Roe")


def test_what_people_did_stands_in_the_audit_by_name(ledger: Ledger, vigil: Callable[..., str]) -> None:
    vigil("alerts", "hold", "a1b2c3", "--by", "Dr. Roe")
    vigil("alerts", "resend", "a1b2c3", "--by", "Dr. Ito")
    vigil("deliveries", "resend", f"deliver|pacs|{ALERT}|1", "--by", "Ann Other")
    assert [(entry.event, entry.actor, entry.role) for entry in reversed(Audit(ledger).entries(ALERT))] == [
        ("alert-held", "Dr. Roe", "person"), ("alert-resent", "Dr. Ito", "person"), ("delivery-resent", "Ann Other", "person")]
    assert Audit(ledger).verify().whole


def test_a_spreadsheet_takes_no_text_for_a_formula(ledger: Ledger, vigil: Callable[..., str]) -> None:
    ledger.begin_delivery("d", "-2+3", "hl7", ALERT, 2, NOON)
    rows = list(csv.DictReader(io.StringIO(vigil("alerts", "export", "--csv"))))
    assert [row["told_to"] for row in rows] == ["ris", "'-2+3"]
    assert vigil("alerts", "export", "--csv", "--since", "2026-11-27").splitlines()[1:] == []


def test_a_model_is_taken_out_of_quarantine(tmp_path: Path, vigil: Callable[..., str]) -> None:
    crashes = tmp_path / "crashes.json"
    crashes.write_text('{"bleed": 2, "other": 1}')
    assert "bleed is released" in vigil("models", "release", "bleed")
    left: Any = json.loads(crashes.read_text())
    assert left == {"other": 1}
