"""The bill of a bundle: valid CycloneDX, and each part with its version, licence, hash and package URL."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from bundling.sbom import bill
from bundling.wheels import described, licence_texts

REPOSITORY = Path(__file__).resolve().parents[3]
MOMENT = datetime(2026, 11, 26, tzinfo=UTC)
BY_CLASSIFIER = "License: UNKNOWN\nClassifier: License :: OSI Approved :: BSD License\n"


def wheel(
    folder: Path, name: str = "sample", version: str = "1.2", metadata: str = "License-Expression: MIT\n",
    tag: str = "py3-none-any",
) -> Path:
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        info = f"{name}-{version}.dist-info"
        archive.writestr(f"{info}/METADATA", f"Name: {name}\nVersion: {version}\nSummary: A sample.\n{metadata}\n")
        archive.writestr(f"{info}/licenses/LICENSE.txt", "Do as you like.")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle as far as a bill looks into it: our code, and the models."""
    folder = tmp_path / "vigil-1.0.0"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "plugin", folder / "plugin", ignore=ignored)
    shutil.copytree(REPOSITORY / "scripts" / "installer", folder / "installer", ignore=ignored)
    shutil.copytree(REPOSITORY / "models", folder / "models", ignore=ignored)
    return folder


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [wheel(tmp_path), wheel(tmp_path, "other", "2.0+cpu", BY_CLASSIFIER),
            wheel(tmp_path, "in_two", "3.1", tag="cp311-cp311-manylinux_2_28_x86_64"),
            wheel(tmp_path, "in_two", "3.1", tag="cp313-cp313-manylinux_2_28_x86_64")]


@pytest.fixture
def written(folder: Path, paths: list[Path]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(bill("1.0.0", MOMENT, list(described(paths)), folder))
    return content


def schema_says(content: dict[str, Any]) -> str | None:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(content))
    return None if error is None else str(error)


def test_it_is_what_cyclonedx_says_a_bill_is(written: dict[str, Any]) -> None:
    assert schema_says(written) is None


@pytest.mark.parametrize("damage", [
    {"bomFormat": "SPDX"}, {"components": [{"type": "wheel", "name": "x"}]}, {"serialNumber": "4711"}, {"colour": "red"}])
def test_what_is_no_bill_is_found(written: dict[str, Any], damage: dict[str, Any]) -> None:
    assert schema_says(written | damage) is not None


def test_each_part_has_its_version_licence_hash_and_package_url(written: dict[str, Any]) -> None:
    own = written["metadata"]["component"]
    for part in (own, *written["components"]):
        url = PackageURL.from_string(part["purl"])
        assert (url.name.replace("-", "_"), url.version) == (part["name"].replace("-", "_"), part["version"])
        assert part["licenses"]
        hashed = part.get("hashes") or [digest for file in part["components"] for digest in file["hashes"]]
        assert all(digest["alg"] == "SHA-256" and len(digest["content"]) == 64 for digest in hashed)
        assert hashed
    references = [own["bom-ref"], *(part["bom-ref"] for part in written["components"]),
                  *(file["bom-ref"] for part in written["components"] for file in part["components"])]
    assert len(set(references)) == len(references)
    assert set(written["dependencies"][0]["dependsOn"]) == {part["bom-ref"] for part in written["components"]}


def test_every_wheel_is_there_with_the_hash_of_its_file(written: dict[str, Any], paths: list[Path]) -> None:
    files = {file["name"]: (part["name"], file["hashes"][0]["content"]) for part in written["components"]
             if part["type"] == "library" for file in part["components"]}
    assert files == {path.name: (path.name.split("-")[0], hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths}
    licences = {part["name"]: part["licenses"] for part in written["components"] if part["type"] == "library"}
    assert licences["sample"] == [{"expression": "MIT"}]
    assert licences["other"] == [{"license": {"name": "BSD License"}}]


def test_every_model_is_there_with_the_hashes_of_its_files(written: dict[str, Any], folder: Path) -> None:
    models = {part["name"]: part for part in written["components"] if part["type"] == "machine-learning-model"}
    assert set(models) == {"brain-volume-t1-mr", "hyperdense-volume-ct-head"}
    for name, part in models.items():
        home = folder / "models" / name
        assert part["hashes"][0]["content"] == hashlib.sha256((home / "manifest.yaml").read_bytes()).hexdigest()
        for file in part["components"]:
            assert file["hashes"][0]["content"] == hashlib.sha256((home / file["name"]).read_bytes()).hexdigest()


def test_the_hash_of_our_code_is_the_one_that_a_shell_finds(written: dict[str, Any], folder: Path) -> None:
    said = subprocess.run("find installer plugin -type f | LC_ALL=C sort | xargs sha256sum | sha256sum", shell=True,
                          cwd=folder, check=True, capture_output=True, text=True).stdout
    assert written["metadata"]["component"]["hashes"][0]["content"] == said.split()[0]


def test_the_same_contents_are_the_same_bytes(folder: Path, paths: list[Path]) -> None:
    known = list(described(paths))
    first = bill("1.0.0", MOMENT, known, folder)
    assert bill("1.0.0", MOMENT, list(reversed(known)), folder) == first
    (folder / "plugin" / "vigil" / "__init__.py").write_text("changed")
    assert json.loads(bill("1.0.0", MOMENT, known, folder))["serialNumber"] != json.loads(first)["serialNumber"]


def test_the_texts_of_a_licence_are_found_in_its_wheel(paths: list[Path]) -> None:
    other = next(item for item in described(paths) if item.name == "other")
    assert dict(licence_texts(other)) == {"LICENSE.txt": b"Do as you like."}
