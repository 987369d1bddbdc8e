"""``vigil models validate``: a package that would run, packages that would not, and the example of the author's guide."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from inference_cases import stored
from manifest_cases import graph, install, looking_aside, of_boxes, segmentation
from onnx import TensorProto, helper
from typer.testing import CliRunner

from vigil.cli.main import app
from vigil.inference.golden_file import Golden, golden_bytes
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
    whole, added, _ = examples()
    whole = whole.replace("5f0c…", "5f" * 32)
    assert parse_manifest(whole).id == "lesions-ct-liver"
    example, more = yaml.safe_load(whole), yaml.safe_load(added)
    example["scope"] |= more["scope"]
    example["inputs"][0] |= more["inputs"][0]
    manifest = parse_manifest(yaml.safe_dump(example))
    assert manifest.inputs[0].quality.required_attributes == ("KVP", "ExposureTime")


def test_the_guide_s_second_finding_makes_of_its_classifier_a_model_of_two_that_decides_each_for_itself(tmp_path: Path) -> None:
    """The example with what the guide adds, run on a network of two labels: from its golden case to the answer."""
    example = yaml.safe_load((GUIDE.parent / "examples" / "classify-a-picture.yaml").read_text("utf-8"))
    example |= yaml.safe_load(examples()[2])
    film = np.full((1, 64, 64), 1000, np.float32)
    golden = golden_bytes(Golden({"chest": stored(film, (1.0, 1.0, 1.0), (0, 1, 2), (False,) * 3)}, {}))
    files = {"model.onnx": of_two_logits(0.2, 0.9), "case.npz": golden}
    # the second by its own fit: 1.1 * 0.9 - 0.2 is 0.79
    certainty, effusion = (round(100 / (1 + math.exp(-logit)), 1) for logit in (0.2, 0.79))
    example["golden"] = [{"name": "film", "file": "case.npz", "kind": "positive", "value": effusion, "parts": [
        {"finding": "X-OPACITY", "kind": "indeterminate", "value": certainty, "tolerance": 1e-6},
        {"finding": "60046008", "kind": "positive", "value": effusion, "tolerance": 1e-6}], "tolerance": 1e-6}]
    example["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    folder = tmp_path / example["id"]
    folder.mkdir()
    for name, content in (files | {"manifest.yaml": yaml.safe_dump(example).encode()}).items():
        (folder / name).write_bytes(content)
    done = CliRunner().invoke(app, ["models", "test", str(folder)])
    assert done.exit_code == 0, done.stdout


def examples() -> list[str]:
    """The manifests of the guide, and what it adds to them."""
    return re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


def of_two_logits(*logits: float) -> bytes:
    """Gives the same two whatever it is shown."""
    nodes = [helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
             helper.make_node("ReduceSum", ["real", "axes"], ["sum"], keepdims=0),
             helper.make_node("Mul", ["sum", "nought"], ["nothing"]),
             helper.make_node("Unsqueeze", ["nothing", "last"], ["column"]),
             helper.make_node("Add", ["column", "said"], ["logits"])]  # fmt: skip
    constants = {"axes": np.array([1, 2, 3], np.int64), "nought": np.array(0, np.float32), "last": np.array([1], np.int64),
                 "said": np.array([logits], np.float32)}
    return graph(nodes, constants, ["n", 64, 64, 1], {"logits": ["n", 2]}, TensorProto.UINT8)
