"""A model's life in a running Orthanc: refused until a person approves it, exchanged, tried in silence, brought back; without a
restart."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from hospital import modality
from hospital.census import analyses, wait_until
from hospital.hospital import LIVE, MODEL, Hospital
from hospital.orthanc import OrthancRefused
from hospital.patients import head_study
from vigil.cli.main import app
from vigil.pipeline.roster import BUNDLED_MODELS

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}
FIRST, SECOND = "9.0.0", "9.1.0"


def install(models: Path, version: str) -> Path:
    """The bundle's model as another version, which the release does not know."""
    place = models / f"{MODEL}@{version}"
    shutil.copytree(BUNDLED_MODELS / MODEL, place)
    manifest = place / "manifest.yaml"
    text = manifest.read_text("utf-8")
    assert "\nversion: 1.0.0\n" in text
    manifest.write_text(text.replace("\nversion: 1.0.0\n", f"\nversion: {version}\n"), "utf-8")
    return place


def test_a_model_is_refused_approved_tried_exchanged_and_brought_back_while_orthanc_runs(tmp_path: Path) -> None:
    models = tmp_path / "models"
    first = install(models, FIRST)
    whole = Hospital(tmp_path, vigil={**QUICK, "ModelsDirectory": str(models), "Models": {MODEL: LIVE}}, approve=False)
    orthanc = whole.orthanc

    def vigil(*words: str) -> None:
        done = CliRunner().invoke(app, ["models", *words, "--by", "Dr. Ada", "--config", str(orthanc.configuration_path)])
        assert done.exit_code == 0, (done.output, done.exception)

    def state() -> dict[str, Any]:
        try:
            told = orthanc.get("/vigil/health/ready")
        except OrthancRefused as refused:
            return {"missing": refused.said(), "running": {}}
        return {"missing": "", "running": {item["id"]: (item["version"], item["stage"]) for item in told["models"]}}

    def answers(name: str) -> list[tuple[str, str, str]]:
        """Of a study that is sent now: model, version, kind."""
        images = head_study(name)
        assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        uid = str(images[0].StudyInstanceUID)
        sent[name] = uid
        return told(uid)

    def told(uid: str) -> list[tuple[str, str, str]]:
        def settled() -> list[dict[str, Any]] | None:
            items = analyses(orthanc, uid)
            return items if items and all(item["state"] in ("stored", "shadow") for item in items) else None

        found = wait_until("every answer", settled)
        return sorted((item["model_id"], item["model_version"], item["answer"]["kind"]) for item in found)

    sent: dict[str, str] = {}
    try:
        whole.ris.start()
        whole.pacs.start()
        orthanc.start()
        wait_until("refused", lambda: "nobody at this site approved" in state()["missing"])
        assert answers("refused") == [(MODEL, FIRST, "failed")]
        assert not whole.ris.received(), "nothing that was not approved alerts anybody"

        vigil("approve", MODEL)
        wait_until("taken up", lambda: state()["running"] == {MODEL: (FIRST, "live")})
        wait_until("the refused study is answered", lambda: (MODEL, FIRST, "positive") in told(sent["refused"]))

        second = install(models, SECOND)
        vigil("approve", f"{MODEL}@{SECOND}", "--shadow")
        wait_until("beside", lambda: state()["running"] == {
            MODEL: (FIRST, "live"), f"{MODEL}@{SECOND}": (SECOND, "shadow")})
        assert answers("both") == [(MODEL, FIRST, "positive"), (f"{MODEL}@{SECOND}", SECOND, "positive")]
        live, = (item for item in analyses(orthanc, sent["both"]) if item["model_id"] == MODEL)
        silent, = (item for item in analyses(orthanc, sent["both"]) if item["model_id"] != MODEL)
        assert (silent["state"], silent["deliveries"]) == ("shadow", [])
        assert not any(item["stored_at"] for item in silent["objects"])
        assert (live["superseded_by"], live["state"]) == (None, "stored"), "the two do not meet"

        vigil("approve", f"{MODEL}@{SECOND}")
        wait_until("exchanged", lambda: state()["running"] == {MODEL: (SECOND, "live")})
        assert answers("second") == [(MODEL, SECOND, "positive")]

        with (second / "model.onnx").open("ab") as file:
            file.write(b"\0")
        wait_until("the change is seen", lambda: "has SHA-256" in state()["missing"])
        assert answers("changed") == [(MODEL, SECOND, "failed")]

        vigil("rollback", MODEL)
        wait_until("the version before", lambda: state()["running"] == {MODEL: (FIRST, "live")})
        wait_until("answered after all", lambda: (MODEL, FIRST, "positive") in told(sent["changed"]))
        assert first.exists()

        vigil("retire", f"{MODEL}@{FIRST}")
        wait_until("retired", lambda: state()["running"] == {MODEL: (FIRST, "off")} and not state()["missing"])
        images = head_study("retired")
        assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        study = wait_until("it has arrived", lambda: [item["ID"] for item in orthanc.post(
            "/tools/lookup", str(images[0].StudyInstanceUID).encode()) if item["Type"] == "Study"])[0]
        wait_until("looked at", lambda: orthanc.get(f"/vigil/studies/{study}")["evaluated_at"])
        assert analyses(orthanc, str(images[0].StudyInstanceUID)) == []
    finally:
        whole.kill()
