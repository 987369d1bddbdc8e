"""From a bare network to a package that would run: the manifest that is made names what only the author knows."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml
from manifest_cases import CODE, graph, looking_aside, of_boxes, of_brightness, segmentation
from onnx import TensorProto, helper
from typer.testing import CliRunner

from hospital import two_sequences
from vigil.authoring.new import make_package
from vigil.cli.main import app
from vigil.domain.errors import VigilError

FILLED = {
    "name": "Bright parts", "vendor": "Test", "licence": "MIT", "summary": "Outlines what is bright.", "limitations": ["none"],
}


def models(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["models", *arguments])
    return done.exit_code, done.stdout if done.exception is None or (done.exit_code == 1 and done.stdout) else str(done.exception)


def network(folder: Path, content: bytes, name: str = "My Net.onnx") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_what_is_missing_is_named_by_its_line_and_nothing_else(tmp_path: Path) -> None:
    code, said = models("new", str(network(tmp_path, looking_aside())), "--in", str(tmp_path))
    assert code == 0
    assert "taken for NCDHW, and its output for a segmentation" in said
    text = (tmp_path / "my-net" / "manifest.yaml").read_text()
    assert hashlib.sha256((tmp_path / "my-net" / "model.onnx").read_bytes()).hexdigest() in text
    code, said = models("validate", str(tmp_path / "my-net"))
    assert code == 1
    lines = text.splitlines()
    told = {int(number) for number in re.findall(r"line (\d+)", said)}
    assert told, said
    assert all("~" in lines[number - 1] or "~" in lines[number] for number in told), said


def test_completed_it_would_run(tmp_path: Path) -> None:
    folder = make_package(network(tmp_path, looking_aside()), tmp_path, "bright").folder
    made = yaml.safe_load((folder / "manifest.yaml").read_text())
    made |= FILLED
    made["regulatory"]["intended_use"] = "For the tests of the commands alone."
    made["scope"] |= {"modality": ["CT"], "body_part": {"any_of": ["HEAD"], "unknown": "refuse"}}
    made["inputs"][0] |= {"minimum_slices": 2, "minimum_coverage_mm": 1.0}
    made["preprocessing"] |= {"orientation": "LIA", "intensity": segmentation()["preprocessing"]["intensity"]}
    made["strategy"] = segmentation()["strategy"]
    made["outputs"][0]["activation"] = "softmax"
    made["operating_points"]["default"] = {"positive": 1.0, "indeterminate": 0.5}
    made["finding"] |= {"concept": dict(CODE), "site": dict(CODE), "positive": "{value} {unit}, at or above {threshold}",
                        "negative": "{value} {unit}, below {threshold}",
                        "indeterminate": "{value} {unit}, not far below {threshold}"}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(made))
    code_, said = models("validate", str(folder))
    assert code_ == 0, said


@pytest.mark.parametrize(("content", "layout", "output"), [
    (looking_aside(), "NCDHW", "segmentation"), (looking_aside("NDHWC"), "NDHWC", "segmentation"),
    (of_brightness(), "NHWC", "classification"), (of_boxes(), "NCHW", "detection"),
], ids=["volume", "channels last", "classifier", "detector"])  # fmt: skip
def test_layout_and_output_are_read_off_the_graph(tmp_path: Path, content: bytes, layout: str, output: str) -> None:
    code, said = models("new", str(network(tmp_path, content)), "--in", str(tmp_path), "--json")
    assert code == 0
    told = json.loads(said)
    assert (told["layout"], told["output"]) == (layout, output)
    assert yaml.safe_load(Path(told["manifest"]).read_text())["preprocessing"]["layout"] == layout


def nothing_in() -> bytes:
    constant = helper.make_node("Constant", [], ["out"], value=helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]))
    made: bytes = helper.make_model(
        helper.make_graph([constant], "case", [], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    return made


def test_a_graph_of_several_inputs_has_a_series_for_each_and_completed_it_would_run(tmp_path: Path) -> None:
    code, said = models("new", str(network(tmp_path, two_sequences.network())), "--in", str(tmp_path), "--id", "two", "--json")
    assert code == 0, said
    path = Path(json.loads(said)["manifest"])
    made = yaml.safe_load(path.read_text())
    assert [series["name"] for series in made["inputs"]] == ["t1", "flair"]
    assert made["preprocessing"]["channels"] == [{"input": "t1"}, {"input": "flair"}]
    assert made["network"]["inputs"] == {"t1": "t1", "flair": "flair"}
    code, said = models("validate", str(path.parent))
    assert "inputs.0.required_words" in said
    told = two_sequences.manifest(b"")
    made |= FILLED | {name: told[name] for name in ("regulatory", "scope", "outputs", "postprocessing", "measurements",
                                                    "operating_points", "finding", "limitations")}  # fmt: skip
    for series in made["inputs"]:
        series |= {"minimum_slices": 20, "minimum_coverage_mm": 98, "required_words": [series["name"]]}
    made["preprocessing"] |= {"orientation": "RAS", "intensity": [{"step": "scale", "divide": 1000}]}
    path.write_text(yaml.safe_dump(made))
    code, said = models("validate", str(path.parent))
    assert code == 0, said


def two_kinds() -> bytes:
    """A volume and a table."""
    made: bytes = helper.make_model(helper.make_graph(
        [helper.make_node("Identity", ["image"], ["out"])], "case",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, "d", "h", "w"]),
         helper.make_tensor_value_info("view", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 1, "d", "h", "w"])]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    return made


def test_names_that_are_no_words_stay_names(tmp_path: Path) -> None:
    odd = ["serving: input, [0]", "true"]
    content = helper.make_model(helper.make_graph(
        [helper.make_node("Identity", [odd[0]], [odd[1]])], "case",
        [helper.make_tensor_value_info(odd[0], TensorProto.FLOAT, ["n", 1, "d", "h", "w"])],
        [helper.make_tensor_value_info(odd[1], TensorProto.FLOAT, ["n", 1, "d", "h", "w"])]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    folder = make_package(network(tmp_path, content), tmp_path, None).folder
    made = yaml.safe_load((folder / "manifest.yaml").read_text())
    assert [made["network"]["input"], *made["network"]["outputs"]] == odd
    assert made["outputs"][0]["tensor"] == odd[1]


@pytest.mark.parametrize(("content", "said"), [
    (b"no graph", "no ONNX"),
    (graph([helper.make_node("Identity", ["image"], ["out"])], {}, ["n", 3], {"out": ["n", 3]}), "has 2 axes"),
    (nothing_in(), "has 0 inputs"), (two_kinds(), "'image' and 'view' of .* differ in axes or type"),
], ids=["rubbish", "a table", "no input", "two kinds"])  # fmt: skip
def test_what_no_manifest_describes_is_one_sentence_and_leaves_nothing(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(VigilError, match=said):
        make_package(network(tmp_path, content), tmp_path / "packages", None)
    assert not (tmp_path / "packages").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = network(tmp_path, looking_aside())
    make_package(path, tmp_path, "twice")
    (tmp_path / "twice" / "manifest.yaml").write_text("mine")
    with pytest.raises(VigilError, match="is there already"):
        make_package(path, tmp_path, "twice")
    assert (tmp_path / "twice" / "manifest.yaml").read_text() == "mine"


def test_what_a_model_costs_here(tmp_path: Path) -> None:
    repository = Path(__file__).resolve().parents[3]
    code, said = models("bench", str(repository / "models" / "hyperdense-volume-ct-head"), "--runs", "1", "--json")
    assert code == 0, said
    cost = json.loads(said)
    assert cost["run_s"] > 0
    assert cost["run_cpu_s"] > 0
    assert cost["peak_mib"] > 50
    folder = make_package(network(tmp_path, looking_aside()), tmp_path, "none").folder
    assert models("bench", str(folder))[0] == 1
