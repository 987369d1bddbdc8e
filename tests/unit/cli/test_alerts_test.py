"""``vigil alerts test`` against a RIS of python-hl7: what a person sees when it works, and when it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hl7
import pytest
from inference_cases import text_of
from manifest_cases import looking_aside, manifest, segmentation
from typer.testing import CliRunner, Result

from hospital.network import free_port
from hospital.ris import Ris
from vigil.cli.main import app
from vigil.delivery.errors import DestinationUnreachable
from vigil.domain.errors import VigilError


@pytest.fixture
def ris(tmp_path: Path) -> Iterator[Ris]:
    with Ris(tmp_path / "ris") as running:
        yield running


def alerts_test(tmp_path: Path, port: int, *arguments: str, **receiver: Any) -> Result:
    entry = {"Host": "127.0.0.1", "Port": port, "TimeoutSeconds": 5, **receiver}
    config = tmp_path / "orthanc.json"
    config.write_text(json.dumps({"Vigil": {"SchemaVersion": 1, "StateDirectory": str(tmp_path), "Ris": {"ris": entry}}}))
    return CliRunner().invoke(app, ["alerts", "test", *(arguments or ("ris",)), "--config", str(config)])


def test_the_message_and_the_answer_are_shown(tmp_path: Path, ris: Ris) -> None:
    result = alerts_test(tmp_path, ris.port)
    assert result.exit_code == 0, result.output
    received = ris.received()[0].read_bytes().decode()
    message = hl7.parse(received)
    assert str(message.segment("MSH")(11)) == "T"
    assert "TEST MESSAGE" in received
    assert "VIGIL-TEST" in str(message.segment("PID")(3))
    for line in received.rstrip("\r").split("\r"):
        assert line in result.output
    assert f"127.0.0.1:{ris.port} answered AA after 0." in result.output
    assert "accepted by the receiver; that is no person" in result.output


def test_a_refusal_is_told_in_the_receiver_s_words_and_by_the_exit_code(tmp_path: Path, ris: Ris) -> None:
    ris.answer("AR")
    result = alerts_test(tmp_path, ris.port)
    assert result.exit_code == 1
    assert "answered AR" in result.output
    assert 'It says: "told to refuse"' in result.output


def test_programs_get_json(tmp_path: Path, ris: Ris) -> None:
    told = json.loads(alerts_test(tmp_path, ris.port, "ris", "--json").output)
    assert told["answer"]["code"] == "AA"
    assert told["answer"]["receiver"] == f"127.0.0.1:{ris.port}"
    assert told["message"][0].startswith("MSH|")


def test_a_dry_run_sends_nothing(tmp_path: Path, ris: Ris) -> None:
    result = alerts_test(tmp_path, ris.port, "ris", "--dry-run", Profile={"Base": "legacy-2.3.1"})
    assert result.exit_code == 0, result.output
    assert "|2.3.1|" in result.output
    assert ris.received() == []


@pytest.mark.parametrize(("arguments", "words"), [
    (("ris",), "nobody listens on this port"),
    (("ehr",), "the settings have no Vigil.Ris.ehr; they have ris"),
    (("ris", "--model", "unknown"), "the model 'unknown' is not installed; installed are hyperdense-volume-ct-head"),
])
def test_what_stands_in_the_way_is_told_in_a_sentence(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    result = alerts_test(tmp_path, free_port(), *arguments)
    assert isinstance(result.exception, VigilError)
    assert words in result.exception.message
    assert isinstance(result.exception, DestinationUnreachable) is (arguments == ("ris",))


def test_unless_a_model_is_named_it_is_one_that_may_find_an_emergency_as_any_of_its_findings(tmp_path: Path) -> None:
    models = tmp_path / "models"
    graph = looking_aside()
    volume = {"name": "volume", "kind": "volume", "region": "bright"}
    plain = segmentation() | {"measurements": [volume], "operating_points": {"default": {"positive": 1.0}}}
    content = manifest({"model.onnx": graph}, **plain)
    content["finding"].pop("acr_category")
    further = content["finding"] | {
        "concept": {"value": "2", "scheme": "99T", "meaning": "Effusion"}, "decided_by": "number", "unit": "1", "acr_category": 1,
        "operating_points": {"default": {"positive": 1.0}}}
    several = content | {"further_findings": [further], "measurements": [
        volume, {"name": "number", "kind": "count", "region": "bright"}]}
    for name, told in (("first", content), ("second", several)):
        place = models / name
        place.mkdir(parents=True)
        (place / "model.onnx").write_bytes(graph)
        (place / "manifest.yaml").write_text(text_of(told | {"id": name}))
    config = tmp_path / "orthanc.json"
    config.write_text(json.dumps({"Vigil": {
        "SchemaVersion": 1, "StateDirectory": str(tmp_path), "ModelsDirectory": str(models),
        "Ris": {"ris": {"Host": "127.0.0.1", "Port": 1}}}}))
    result = CliRunner().invoke(app, ["alerts", "test", "ris", "--dry-run", "--config", str(config)])
    assert result.exit_code == 0, result.output
    assert "|second-1.0.0" in result.output
    assert "Effusion" in result.output
