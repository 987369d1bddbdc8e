"""What a person and a monitor see of a running hospital: command line, metrics, log; and what none of them may see."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hospital import modality
from hospital.census import analyses, wait_settled, wait_until
from hospital.ct_series import Patient
from hospital.hospital import MODEL, Hospital
from hospital.orthanc import REPOSITORY, RUNTIME
from hospital.patients import head_study

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}
PATIENT = Patient(name="Unmistakable^Zoë^Q", patient_id="UNMISTAKABLE-4711", issuer="UNMISTAKABLE-CLINIC")
ACCESSION = "UNMISTACC815"


@dataclass(frozen=True)
class Lived:
    """A hospital in which one study went all the way, past a PACS that was down and a RIS that refused; another is too old."""

    hospital: Hospital
    study_uid: str
    old_study: str

    @property
    def analysis(self) -> dict[str, Any]:
        return analyses(self.hospital.orthanc, self.study_uid)[0]

    @property
    def state(self) -> Path:
        return self.hospital.orthanc.folder / "vigil"

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.state / "log" / "vigil.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    with Hospital(tmp_path_factory.mktemp("outside"), vigil=QUICK) as hospital:
        orthanc = hospital.orthanc

        def send(seed: str, **acquisition: Any) -> str:
            images = head_study(seed, patient=PATIENT, accession=ACCESSION, **acquisition)
            assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
            return str(images[0].StudyInstanceUID)

        hospital.pacs.stop()  # type: ignore[union-attr]
        hospital.ris.answer("AE")
        uid = send("outside")
        wait_until("both have failed", lambda: [item for item in analyses(orthanc, uid) if item["deliveries"]
                                                and all(each["attempts"] for each in item["deliveries"])])
        hospital.pacs.start()
        hospital.ris.answer("AA")
        wait_settled(hospital, uid)
        old_uid = send("outside-old", started=dt.datetime.now(dt.UTC) - dt.timedelta(days=400))
        old = orthanc.post("/tools/lookup", old_uid.encode())[0]["ID"]
        wait_until("a decision", lambda: orthanc.get(f"/vigil/studies/{old}")["decisions"])
        yield Lived(hospital, uid, old)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def vigil(*arguments: str, config: Path) -> Said:
    """``python -m vigil``, as somebody at a terminal beside Orthanc runs it."""
    done = subprocess.run(
        [str(RUNTIME / "bin" / "python"), "-m", "vigil", *arguments, "--config", str(config)], check=False, capture_output=True,
        text=True, timeout=60, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "plugin"), "LANG": "C.UTF-8"})
    assert "Traceback" not in done.stdout + done.stderr
    assert "nmistak" not in done.stdout + done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def test_status_says_how_much_there_is_and_that_the_audit_is_whole(lived: Lived) -> None:
    config = lived.hospital.orthanc.configuration_path
    said = vigil("status", config=config)
    assert said.code == 0
    for words in ("analyses.stored", "deliveries.delivered", "the chain is whole", MODEL, "positive"):
        assert words in said.out
    content = json.loads(vigil("status", "--json", config=config).out)
    assert content["counts"] == {"analyses.stored": 1, "deliveries.delivered": 2}
    assert content["audit"]["whole"]


def test_explain_tells_the_whole_way_of_a_study_by_either_id(lived: Lived) -> None:
    config = lived.hospital.orthanc.configuration_path
    by_uid = vigil("explain", lived.study_uid, config=config)
    assert by_uid.code == 0
    assert vigil("explain", lived.analysis["orthanc_study_id"], config=config) == by_uid
    for words in ("Hyperdense volume", "to pacs (dicom): delivered", "to ris (hl7): delivered", "acknowledged AA",
                  "analysis-begun", "hl7-delivered", "wanted"):
        assert words in by_uid.out
    content = json.loads(vigil("explain", lived.study_uid, "--json", config=config).out)
    events = [entry["event"] for entry in content[0]["audit"]]
    assert events.index("analysis-begun") < events.index("answered") < events.index("stored") < events.index("hl7-delivered")


def test_explain_says_why_an_old_study_was_left_alone(lived: Lived) -> None:
    said = vigil("explain", lived.old_study, config=lived.hospital.orthanc.configuration_path)
    assert said.code == 0
    assert "too-old: the study is older than 24 hours" in said.out


@pytest.mark.parametrize("study", ["00000000-11111111-22222222-33333333-44444444", "1.2.3.4.5"])
def test_an_unknown_study_is_one_sentence(lived: Lived, study: str) -> None:
    said = vigil("explain", study, config=lived.hospital.orthanc.configuration_path)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"vigil: Vigil knows no study {study}")
    assert said.err.count("\n") == 1


def test_models_are_listed_for_people_and_programs(lived: Lived) -> None:
    config = lived.hospital.orthanc.configuration_path
    said = vigil("models", "list", config=config)
    assert said.code == 0
    assert MODEL in said.out
    model = next(item for item in json.loads(vigil("models", "list", "--json", config=config).out) if item["id"] == MODEL)
    assert (model["stage"], model["problem"], model["regulatory_status"]) == ("live", None, "research")


def test_valid_settings_are_said_to_be_valid(lived: Lived) -> None:
    config = lived.hospital.orthanc.configuration_path
    said = vigil("config", "check", config=config)
    assert said.code == 0
    assert "The settings are valid." in said.out
    content = json.loads(vigil("config", "check", "--json", config=config).out)
    assert content["settings_sha256"] == lived.analysis["settings_sha256"]


def test_wrong_settings_are_told_by_key_value_and_cure(lived: Lived, tmp_path: Path) -> None:
    content = json.loads(lived.hospital.orthanc.configuration_path.read_text())
    content["Vigil"]["Pacs"]["pacs"]["Port"] = 104_000
    content["Vigil"]["MaxStudyAgeHuors"] = 12
    wrong = tmp_path / "orthanc.json"
    wrong.write_text(json.dumps(content))
    for command in (["config", "check"], ["status"], ["models", "list"]):
        said = vigil(*command, config=wrong)
        assert (said.code, said.out) == (1, "")
        assert "Vigil.Pacs.pacs.Port: 104000 is not allowed; give a port number, 1 to 65535" in said.err
        assert 'Vigil.MaxStudyAgeHuors: is not a known key; did you mean "MaxStudyAgeHours"?' in said.err


@pytest.mark.parametrize(("text", "words"), [
    ("{ this is no JSON", "is no JSON at line 1"), ("{}", "Vigil: the section is missing"), (None, "cannot be read"),
])
def test_a_file_that_is_no_configuration_is_one_sentence(tmp_path: Path, text: str | None, words: str) -> None:
    config = tmp_path / "orthanc.json"
    if text is not None:
        config.write_text(text)
    said = vigil("config", "check", config=config)
    assert (said.code, said.out) == (1, "")
    assert words in said.err


def test_the_metrics_are_prometheus_s_and_tell_latency_answers_queues_and_failures(lived: Lived) -> None:
    text = lived.hospital.orthanc.request("GET", "/vigil/metrics").decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}

    def value(name: str, **labels: str) -> float:
        return sum(sample.value for family in families.values() for sample in family.samples
                   if sample.name == name and labels.items() <= sample.labels.items())

    assert families["vigil_stage_seconds"].type == "histogram"
    for stage in ("evaluate", "read", "infer", "render", "store", "forwarded", "alerted"):
        assert value("vigil_stage_seconds_count", stage=stage) >= 1, stage
    for what in ("stored", "forwarded", "alerted"):
        assert value("vigil_time_to_notification_seconds_count", what=what) == 1
        assert value("vigil_time_to_notification_seconds_sum", what=what) > 0
    assert value("vigil_answers_total", model=MODEL, kind="positive") == 1
    assert families["vigil_queue_depth"].type == "gauge"
    assert value("vigil_queue_depth") == 0
    assert value("vigil_dead_tasks") == 0
    assert value("vigil_delivery_failures_total", destination="pacs", category="destination-unreachable") >= 1
    assert value("vigil_delivery_failures_total", destination="ris", category="destination-refused") >= 1
    assert value("vigil_deliveries_total", destination="pacs", state="delivered") == 1
    assert value("vigil_decisions_total", model=MODEL, verdict="too-old") == 1
    assert value("vigil_ready") == 1
    assert not {"study", "patient"} & {label for family in families.values() for each in family.samples for label in each.labels}


def test_one_correlation_id_joins_the_log_of_a_study_from_the_decision_to_the_acknowledgement(lived: Lived) -> None:
    lines = [line for line in lived.log() if line.get("correlation_id") == lived.analysis["correlation_id"]]
    actions = [line["action"] for line in lines]
    order = [actions.index(action) for action in ("decided", "answered", "stored", "delivery-waits", "delivery-delivered")]
    assert order == sorted(order)
    assert {line["destination"] for line in lines if line["action"] == "delivery-delivered"} == {"pacs", "ris"}
    assert {line["correlation_id"] for line in lived.log() if line.get("analysis") == lived.analysis["analysis_id"]} == {
        lived.analysis["correlation_id"]}


def test_nothing_that_names_the_patient_stands_in_state_logs_metrics_or_routes(lived: Lived) -> None:
    marks = [b"unmistak", "Zoë".lower().encode(), "unmistak".encode("utf-16-le"), b"vigil-outside"]
    orthanc = lived.hospital.orthanc
    received = b"".join(path.read_bytes().lower() for path in lived.hospital.ris.received())
    assert all(mark in received for mark in marks[:1]), "the search would find it"
    searched = {str(path): path.read_bytes() for path in lived.state.rglob("*") if path.is_file()}
    assert {"ledger.sqlite", "ledger.sqlite-wal", "workflows.sqlite", "vigil.jsonl"} <= {Path(name).name for name in searched}
    searched["Orthanc's log"] = orthanc.log_path.read_bytes()
    for route in ("/vigil/metrics", "/vigil/analyses", f"/vigil/studies/{lived.old_study}", "/vigil/health/ready"):
        searched[route] = orthanc.request("GET", route)
    found = [(name, mark) for name, content in searched.items() for mark in marks if mark in content.lower()]
    assert found == []
    assert not [name for name in searched if "unmistak" in name.lower()]
