"""``vigil models``: a package's life by commands, each under a name, each in the audit."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))


from inference_cases import ball, content, manifest_of, text_of

from vigil.authoring import acceptance
from vigil.cli.main import app
from vigil.domain.clock import SystemClock
from vigil.inference.providers import Accelerator
from vigil.inference.runtime import Runtime
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StatePaths

CLOT_ML = 20.0


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with a ledger and a folder of models."""
    paths = StatePaths(tmp_path / "state")
    paths.path.mkdir()
    Ledger.open(paths.ledger_url, Sealer.open(paths.key), SystemClock()).close()
    (tmp_path / "models").mkdir()
    (tmp_path / "orthanc.json").write_text(json.dumps({"Vigil": {
        "SchemaVersion": 1, "StateDirectory": str(paths.path), "ModelsDirectory": str(tmp_path / "models"),
        "Models": {"case": {"Stage": "live"}}}}))
    return tmp_path


def golden_file(**changes: Any) -> bytes:
    volume = ball(CLOT_ML)
    arrays = {"ct.voxels": volume.voxels.astype(np.int16), "ct.affine": volume.affine,
              "region.dense": (volume.voxels >= 55).astype(np.uint8), **changes}
    kept = io.BytesIO()
    np.savez_compressed(kept, **{name: array for name, array in arrays.items() if array is not None})
    return kept.getvalue()


def install(site: Path, version: str = "1.0.0", *, golden: bytes | None = None, **case: Any) -> Path:
    """A package, with a golden case unless ``case`` is empty and no file is given."""
    place = site / "models" / f"case@{version}"
    place.mkdir()
    weights = content()
    (place / "model.onnx").write_bytes(weights)
    made = manifest_of("case", weights, version=version)
    if golden is not None:
        (place / "golden.npz").write_bytes(golden)
        made["files"]["golden.npz"] = hashlib.sha256(golden).hexdigest()
        made["golden"] = [{"name": "a clot", "file": "golden.npz", "kind": "positive", "value": CLOT_ML, "tolerance": 1.0,
                           "region_tolerance": 0.05, **case}]
    (place / "manifest.yaml").write_text(text_of(made))
    return place


def vigil(site: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["models", *words, "--config", str(site / "orthanc.json")])
    assert done.exit_code == code, (done.output, done.exception)
    return str(done.exception) if code and done.exception is not None and not done.output else done.output


def uses(site: Path) -> dict[str, tuple[str, str | None, str]]:
    return {item["version"]: (item["state"], item["use"], item["stage"]) for item in json.loads(vigil(site, "list", "--json"))}


def test_a_package_s_life_from_its_test_to_its_rollback(site: Path) -> None:
    install(site, golden=golden_file())
    assert uses(site) == {"1.0.0": ("installed", None, "off")}
    told = json.loads(vigil(site, "test", "case", "--json"))
    assert told["passed"]
    assert 0 <= told["largest_difference"] < 1.0
    assert told["cases"][0]["differing"].keys() == {"dense"}
    assert uses(site)["1.0.0"][0] == "installed", "a test by itself changes nothing"

    assert "takes it up" in vigil(site, "approve", "case", "--by", "Dr. Ada")
    assert uses(site) == {"1.0.0": ("approved", "main", "live")}
    install(site, "1.1.0", golden=golden_file())
    vigil(site, "approve", "case@1.1.0", "--by", "Dr. Ada", "--shadow")
    assert uses(site) == {"1.0.0": ("approved", "main", "live"), "1.1.0": ("approved", "shadow", "shadow")}
    vigil(site, "approve", "case@1.1.0", "--by", "Dr. Bob")
    assert uses(site) == {"1.0.0": ("approved", None, "off"), "1.1.0": ("approved", "main", "live")}
    assert "1.0.0 is in use again" in vigil(site, "rollback", "case", "--by", "Dr. Ada")
    assert uses(site)["1.0.0"] == ("approved", "main", "live")
    vigil(site, "retire", "case@1.1.0", "--by", "Dr. Ada")
    assert uses(site)["1.1.0"] == ("retired", None, "off")

    shown = json.loads(vigil(site, "show", "case", "--json"))
    assert [(item["event"], item["version"], item["by"]) for item in shown["events"] if item["event"] != "validated"] == [
        ("approved", "1.0.0", "Dr. Ada"), ("approved", "1.1.0", "Dr. Ada"), ("approved", "1.1.0", "Dr. Bob"),
        ("rolled-back", "1.0.0", "Dr. Ada"), ("retired", "1.1.0", "Dr. Ada")]
    assert shown["events"][1]["evidence"]["passed"] is True
    assert "Dr. Bob" in vigil(site, "show", "case")
    assert "in use" in vigil(site, "list")
    paths = StatePaths(site / "state")
    ledger = Ledger.open(paths.ledger_url, Sealer.open(paths.key), SystemClock())
    assert Audit(ledger).verify().whole
    ledger.close()


@pytest.mark.parametrize(("golden", "case", "category"), [
    (golden_file(), {"value": 30.0}, "golden-case-differs"),
    (golden_file(), {"kind": "negative"}, "golden-case-differs"),
    (golden_file(**{"region.dense": (ball().voxels > 0).astype(np.uint8)}), {}, "golden-case-differs"),
    (golden_file(**{"ct.voxels": ball().voxels}), {}, "all-background"),
    (golden_file(**{"ct.voxels": None}), {}, "model-invalid"),
    (golden_file(**{"ct.affine": np.zeros((4, 4))}), {}, "model-invalid"),
    (golden_file(**{"ct.voxels": np.full((4, 4, 4), np.nan, np.float32), "region.dense": None}), {}, "inference-failed"),
    (b"no archive", {}, "model-invalid"),
], ids=["value", "kind", "region", "all-background", "no-voxels", "no-place", "no-number", "no-archive"])  # fmt: skip
def test_a_package_that_answers_otherwise_here_is_not_approved(
    site: Path, golden: bytes, case: dict[str, Any], category: str
) -> None:
    install(site, golden=golden, **case)
    told = json.loads(vigil(site, "test", "case", "--json", code=1))
    assert (told["passed"], told["cases"][0]["category"]) == (False, category)
    assert "is not approved" in vigil(site, "approve", "case", "--by", "Dr. Ada", code=1)
    assert uses(site)["1.0.0"] == ("installed", None, "off")


def test_an_installed_package_is_tried_on_the_gpu_that_the_site_gives_it(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, golden=golden_file())
    path = site / "orthanc.json"
    held = json.loads(path.read_text())
    held["Vigil"]["Runtime"] = {"Provider": "cuda", "DeviceId": 1, "GpuMemoryLimitMiB": 512, "Tf32": True, "MemoryBudgetMiB": 300}
    path.write_text(json.dumps(held))
    asked: list[tuple[Accelerator, int]] = []

    class Elsewhere(Runtime):
        def __init__(self, *, accelerator: Accelerator, memory_budget_mib: int, **named: Any) -> None:
            asked.append((accelerator, memory_budget_mib))
            super().__init__(**named | {"provider": "cpu"}, accelerator=Accelerator(), memory_budget_mib=memory_budget_mib)

    monkeypatch.setattr(acceptance, "Runtime", Elsewhere)
    vigil(site, "test", "case")
    vigil(site, "bench", "case", "--runs", "1")
    vigil(site, "approve", "case", "--by", "Dr. Ada")
    assert asked == [(Accelerator("cuda", 1, 512, tf32=True), 300)] * 3


def test_a_package_without_a_golden_case_needs_a_reason_that_is_kept(site: Path) -> None:
    install(site)
    assert "no golden case" in vigil(site, "test", "case", code=1)
    assert "--without-golden-case" in vigil(site, "approve", "case", "--by", "Dr. Ada", code=1)
    vigil(site, "approve", "case", "--by", "Dr. Ada", "--without-golden-case", "compared by hand on 40 studies")
    approval = json.loads(vigil(site, "show", "case", "--json"))["events"][-1]
    assert approval["evidence"]["without_golden_case"].startswith("compared")


def test_a_package_that_does_not_load_is_not_approved_for_any_reason(site: Path) -> None:
    (install(site) / "model.onnx").unlink()
    assert "is not approved" in vigil(site, "approve", "case", "--by", "Dr. Ada", "--without-golden-case", "hurry", code=1)


def test_what_cannot_be_done_is_said(site: Path) -> None:
    install(site, golden=golden_file())
    assert "no package 'other'" in vigil(site, "retire", "other", "--by", "Dr. Ada", code=1)
    assert "no version before" in vigil(site, "rollback", "case", "--by", "Dr. Ada", code=1)
    vigil(site, "approve", "case", "--by", "Dr. Ada")
    assert "already" in vigil(site, "approve", "case", "--by", "Dr. Ada", code=1)
    place = install(site, "1.1.0", golden=golden_file())
    assert "name one: case@1.0.0, case@1.1.0" in vigil(site, "retire", "case", "--by", "Dr. Ada", code=1)
    vigil(site, "approve", "case@1.1.0", "--by", "Dr. Ada")
    (site / "models" / "case@1.0.0" / "model.onnx").write_bytes(b"changed")
    assert "cannot run" in vigil(site, "rollback", "case", "--by", "Dr. Ada", code=1)
    assert place.exists()


def test_a_folder_is_tested_without_a_site(site: Path) -> None:
    place = install(site, golden=golden_file())
    done = CliRunner().invoke(app, ["models", "test", str(place)])
    assert done.exit_code == 0
    assert "largest difference of a value" in done.output


def test_a_golden_case_must_be_whole_in_the_manifest(site: Path) -> None:
    place = install(site, golden=golden_file())
    text = yaml.safe_load((place / "manifest.yaml").read_text())
    del text["files"]["golden.npz"]
    (place / "manifest.yaml").write_text(text_of(text))
    assert "golden.file 'golden.npz' has no SHA-256" in vigil(site, "list")
