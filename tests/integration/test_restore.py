"""A state that is put back from a backup: what was told after the copy is not told again by itself, and what is new is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hospital import modality
from hospital.census import analyses, take_census, wait_until
from hospital.hospital import MODEL, Hospital
from hospital.patients import head_study
from vigil.cli.main import app
from vigil.pipeline.roster import BUNDLED_MODELS
from vigil.records.entries import RESTORE
from vigil.records.errors import StateInUse

SITE = {"Retry": {"FirstDelaySeconds": 0.5, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}


@pytest.mark.timeout(240)
def test_old_alerts_are_held_new_ones_go_out_and_results_are_there_once(tmp_path: Path) -> None:
    whole = Hospital(tmp_path, vigil=SITE)
    orthanc = whole.orthanc
    sent: dict[str, tuple[str, set[str]]] = {}

    def vigil(*words: str) -> Any:
        done = CliRunner().invoke(app, [*words, "--config", str(orthanc.configuration_path), "--json"])
        assert done.exit_code == 0, (words, done.output, done.exception)
        return json.loads(done.output)

    def send(name: str) -> None:
        images = head_study(name)
        assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        sent[name] = str(images[0].StudyInstanceUID), {str(image.SOPInstanceUID) for image in images}

    def alert(name: str, state: str) -> Any:
        """The one alert of a study, when it is in that state."""
        return wait_until(f"the alert of {name} is {state}", lambda: [
            item for each in analyses(orthanc, sent[name][0]) for item in each["deliveries"]
            if item["kind"] == "hl7" and item["state"] == state])[0]

    def messages(name: str) -> list[str]:
        return [path.stem.split("-", 1)[1] for path in whole.ris.received() if sent[name][0].encode() in path.read_bytes()]

    with whole:
        send("told before")
        alert("told before", "delivered")
        whole.ris.stop()
        send("waited")
        alert("waited", "waiting")
        copy = tmp_path / "copy.tar"
        vigil("backup", str(copy))
        whole.ris.start()
        alert("waited", "delivered")
        send("told since")
        alert("told since", "delivered")
        told = {name: messages(name) for name in sent}
        assert {len(found) for found in told.values()} == {1}

        refused = CliRunner().invoke(app, ["restore", str(copy), "--by", "Ada", "--yes", "-c", str(orthanc.configuration_path)])
        assert isinstance(refused.exception, StateInUse)
        orthanc.terminate()
        put_back = vigil("restore", str(copy), "--by", "Ada", "--yes")
        assert put_back["held"] == 1
        assert Path(put_back["kept"], "ledger.sqlite").exists()
        orthanc.start()
        orthanc.wait_ready()

        for name in ("waited", "told since"):
            assert RESTORE in alert(name, "held")["reason"]["text"]
        send("new")
        alert("new", "delivered")
        assert {name: messages(name) for name in told} == told, "nobody was told twice"
        for name, (uid, images) in sent.items():
            wait_until(f"the results of {name} are in the PACS", lambda uid=uid: all(
                item["state"] == "delivered" for each in analyses(orthanc, uid) for item in each["deliveries"]
                if item["kind"] == "dicom"))
            census = take_census(whole, uid, images)
            assert census.kinds == {"positive": 1}
            assert census.in_orthanc == census.in_pacs == census.made, name

        analysis, = analyses(orthanc, sent["told since"][0])
        vigil("alerts", "resend", analysis["analysis_id"], "--by", "Ada")
        alert("told since", "delivered")
        assert messages("told since") == 2 * told["told since"], "the same message, which its receiver knows by its control id"
        entries = vigil("explain", sent["told since"][0])[0]["audit"]
        assert "alert-resent" in [entry["event"] for entry in entries]


@pytest.mark.timeout(240)
def test_what_is_analysed_only_when_a_lost_approval_is_given_again_is_held_too(tmp_path: Path) -> None:
    """Between the restore and the approval our "not analysed" is stored in the study, which makes it look newer than it is."""
    models = tmp_path / "models"
    place = models / f"{MODEL}@9.0.0"
    shutil.copytree(BUNDLED_MODELS / MODEL, place)
    manifest = place / "manifest.yaml"
    manifest.write_text(manifest.read_text("utf-8").replace("\nversion: 1.0.0\n", "\nversion: 9.0.0\n"), "utf-8")
    whole = Hospital(tmp_path, vigil={**SITE, "ModelsDirectory": str(models)}, approve=False)
    orthanc, copy = whole.orthanc, tmp_path / "copy.tar"

    def vigil(*words: str) -> None:
        done = CliRunner().invoke(app, [*words, "--config", str(orthanc.configuration_path)])
        assert done.exit_code == 0, (words, done.output, done.exception)

    def approve() -> None:
        vigil("models", "approve", MODEL, "--by", "Ada")

    def send(name: str) -> str:
        images = head_study(name)
        assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        return str(images[0].StudyInstanceUID)

    def settled(uid: str, kind: str, state: str) -> None:
        """An analysis with that answer, and its alert in that state."""
        wait_until(f"{kind}, {state}", lambda: [
            each for each in analyses(orthanc, uid) if each["answer"] and each["answer"]["kind"] == kind
            and state in {item["state"] for item in each["deliveries"] if item["kind"] == "hl7"}])

    try:
        whole.ris.start()
        whole.pacs.start()
        orthanc.start()
        wait_until("a ledger", (tmp_path / "orthanc" / "vigil" / "ledger.sqlite").exists)
        wait_until("Vigil looks", lambda: "\"action\": \"started\"" in (
            tmp_path / "orthanc" / "vigil" / "log" / "vigil.jsonl").read_text("utf-8"))
        vigil("backup", str(copy))
        approve()
        old = send("told since")
        settled(old, "positive", "delivered")
        orthanc.terminate()
        vigil("restore", str(copy), "--by", "Ada", "--yes")
        orthanc.start()
        wait_until("the refusal is stored", lambda: [
            each for each in analyses(orthanc, old) if each["state"] == "stored" and each["answer"]["kind"] != "positive"])
        approve()
        settled(old, "positive", "held")
        settled(send("new"), "positive", "delivered")
        assert sum(old.encode() in path.read_bytes() for path in whole.ris.received()) == 1, "nobody was told twice"
    finally:
        whole.kill()
