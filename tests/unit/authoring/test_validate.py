"""``vigil models validate``: a package that would run, packages that would not, and the example of the author's guide."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from manifest_cases import install, looking_aside, of_boxes, segmentation
from typer.testing import CliRunner

from vigil.cli.main import app
from vigil.inference.manifest_file import parse_manifest

REPOSITORY = Path(__file__).resolve().parents[3]
GUIDE = REPOSITORY / "docs" / "model-authors.md"


def say(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["models", "validate", *arguments])
    return done.exit_code, done.stdout


def test_a_package_that_fits_would_run(tmp_path: Path) -> None:
    folder = install(tmp_path, {"model.onnx": looking_aside()}, **segmentation()).folder
    code, said = say(str(folder))
    assert code == 0
    assert said.startswith("case 1.0.0 would run (ONNX Runtime ")
    code, said = say(str(folder), "--json")
    told = json.loads(said)
    assert (told["id"], told["valid"], told["problem"]) == ("case", True, None)


@pytest.mark.parametrize(("damage", "said"), [
    (lambda folder: (folder / "model.onnx").write_bytes(of_boxes()), "has SHA-256"),
    (lambda folder: (folder / "model.onnx").unlink(), "is missing"),
    (lambda folder: (folder / "manifest.yaml").write_text("schema_version: 1\n"), "this key is required"),
], ids=["changed", "missing", "manifest"])  # fmt: skip
def test_a_package_that_is_not_whole_would_not(tmp_path: Path, damage: object, said: str) -> None:
    folder = install(tmp_path, {"model.onnx": looking_aside()}, **segmentation()).folder
    damage(folder)  # type: ignore[operator]
    code, told = say(str(folder))
    assert code == 1
    assert told.startswith("case would not run: ")
    assert said in told


def test_a_graph_that_does_not_fit_is_said_without_a_study(tmp_path: Path) -> None:
    folder = install(tmp_path, {"model.onnx": of_boxes()}, **segmentation()).folder
    code, told = say(str(folder), "--json")
    assert code == 1
    assert "the network's inputs" in json.loads(told)["problem"] or "no output" in json.loads(told)["problem"]


def test_a_model_of_the_bundle_would_run() -> None:
    """The other one's golden case is run in tests/unit/models."""
    assert say(str(REPOSITORY / "models" / "hyperdense-volume-ct-head"))[0] == 0


def test_the_guide_s_example_is_a_manifest_and_so_it_is_with_what_the_guide_adds_to_it() -> None:
    whole, added = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    whole = whole.replace("5f0c…", "5f" * 32)
    assert parse_manifest(whole).id == "lesions-ct-liver"
    example, more = yaml.safe_load(whole), yaml.safe_load(added)
    example["scope"] |= more["scope"]
    example["inputs"][0] |= more["inputs"][0]
    manifest = parse_manifest(yaml.safe_dump(example))
    assert manifest.inputs[0].quality.required_attributes == ("KVP", "ExposureTime")
