"""Every package is listed; a broken one says what is wrong and hides no other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from inference_cases import content, half_size, package, thresholds

from vigil.domain.errors import Category
from vigil.inference.errors import ModelHashMismatch
from vigil.inference.registry import Registry

HASHES = {"model.onnx": "0" * 64}


def change_weights(place: Path) -> None:
    (place / "model.onnx").write_bytes(content(half_size()))


def remove_weights(place: Path) -> None:
    (place / "model.onnx").unlink()


def remove_manifest(place: Path) -> None:
    (place / "manifest.yaml").unlink()


def spoil_manifest(place: Path) -> None:
    (place / "manifest.yaml").write_text("schema_version: 2\n")


def link_weights(place: Path) -> None:
    outside = place.parent.parent / "outside.onnx"
    (place / "model.onnx").rename(outside)
    (place / "model.onnx").symlink_to(outside)


def link_manifest(place: Path) -> None:
    outside = place.parent.parent / "outside.yaml"
    (place / "manifest.yaml").rename(outside)
    (place / "manifest.yaml").symlink_to(outside)


def weights_become_a_folder(place: Path) -> None:
    (place / "model.onnx").unlink()
    (place / "model.onnx").mkdir()


def weights_become_a_pipe(place: Path) -> None:
    (place / "model.onnx").unlink()
    os.mkfifo(place / "model.onnx")


@pytest.mark.parametrize(("damage", "category"), [
    (change_weights, Category.MODEL_HASH_MISMATCH),
    (remove_weights, Category.MODEL_FILE_MISSING),
    (remove_manifest, Category.MODEL_FILE_MISSING),
    (spoil_manifest, Category.MODEL_INVALID),
    (link_weights, Category.MODEL_INVALID),
    (link_manifest, Category.MODEL_INVALID),
    (weights_become_a_folder, Category.MODEL_INVALID),
    (weights_become_a_pipe, Category.MODEL_INVALID),
])  # fmt: skip
def test_a_broken_package_is_listed_with_its_problem_beside_the_whole_ones(
    tmp_path: Path, damage: Callable[[Path], None], category: Category
) -> None:
    models = tmp_path / "models"
    damage(package(models, "broken"))
    package(models, "whole")
    broken, whole = Registry(models).installed()
    assert (broken.model_id, whole.model_id) == ("broken", "whole")
    assert whole.problem is None
    assert broken.problem is not None
    assert broken.problem.category is category
    assert str(tmp_path) not in broken.problem.text
    assert ("symbolic link" in broken.problem.text) == damage.__name__.startswith("link_")


@pytest.mark.parametrize("name", ["../outside.onnx", "/etc/hostname", "a/../../outside.onnx", "", "a\\b"])
def test_a_file_name_that_leads_out_of_the_package_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside.onnx").write_bytes(content())
    package(tmp_path / "models", files={"model.onnx": "0" * 64, name: "0" * 64})
    found, = Registry(tmp_path / "models").installed()
    assert found.problem is not None
    assert found.problem.category in (Category.MODEL_INVALID, Category.MODEL_HASH_MISMATCH)
    package(tmp_path / "more", files={name: "0" * 64}, network={"file": name, "input": "hu", "outputs": ["inside"]})
    found, = Registry(tmp_path / "more").installed()
    assert found.problem is not None
    assert found.problem.category is Category.MODEL_INVALID
    assert "leads out of the package" in found.problem.text


def test_a_file_behind_a_linked_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "model.onnx").write_bytes(content())
    sha256 = hashlib.sha256(content()).hexdigest()
    linked = {"file": "data/model.onnx", "input": "hu", "outputs": ["inside", "dense", "raised"]}
    place = package(tmp_path / "models", files={"data/model.onnx": sha256}, network=linked)
    (place / "data").symlink_to(tmp_path / "elsewhere")
    found, = Registry(tmp_path / "models").installed()
    assert found.problem is not None
    assert "'data/model.onnx' is or lies behind a symbolic link" in found.problem.text
    (place / "data").unlink()
    (tmp_path / "elsewhere").rename(place / "data")
    assert Registry(tmp_path / "models").installed()[0].problem is None


def test_a_folder_that_bears_another_name_than_its_model_is_refused(tmp_path: Path) -> None:
    package(tmp_path, "one").rename(tmp_path / "other")
    found, = Registry(tmp_path).installed()
    assert found.problem is not None
    assert "says id 'one' and version 1.0.0, and its folder is 'other'" in found.problem.text


def test_verify_sees_what_changed_since_the_listing(tmp_path: Path) -> None:
    place = package(tmp_path)
    found, = Registry(tmp_path).installed()
    assert found.verify() is None
    change_weights(place)
    problem = found.verify()
    assert problem is not None
    assert problem.category is Category.MODEL_HASH_MISMATCH


def test_the_bytes_that_are_loaded_are_the_bytes_that_were_hashed(tmp_path: Path) -> None:
    place = package(tmp_path)
    found, = Registry(tmp_path).installed()
    assert found.read_network() == content(thresholds())
    change_weights(place)
    with pytest.raises(ModelHashMismatch):
        found.read_network()


def test_a_hash_in_capitals_is_the_same_hash(tmp_path: Path) -> None:
    place = package(tmp_path)
    text = (place / "manifest.yaml").read_text()
    found, = Registry(tmp_path).installed()
    assert found.manifest is not None
    (place / "manifest.yaml").write_text(text.replace(found.manifest.weights_sha256, found.manifest.weights_sha256.upper()))
    assert Registry(tmp_path).installed()[0].problem is None


def test_no_folder_and_stray_files_are_no_models(tmp_path: Path) -> None:
    assert Registry(tmp_path / "none").installed() == ()
    (tmp_path / "README.md").write_text("models")
    (tmp_path / ".git").mkdir()
    assert Registry(tmp_path).installed() == ()
