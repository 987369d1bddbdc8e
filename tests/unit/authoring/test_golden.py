"""``vigil models golden``: a case made of DICOM images, which the package then passes; and no header in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from hospital import two_sequences
from hospital.ct_series import dicom_bytes
from hospital.patients import head_study
from hospital.two_sequences import Head
from vigil.authoring.golden import named
from vigil.cli.main import app
from vigil.domain.answer import Answer, AnswerKind
from vigil.inference.manifest_file import parse_manifest
from vigil.inference.registry import read_package

PACKAGE = Path(__file__).resolve().parents[3] / "models" / "hyperdense-volume-ct-head"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACKAGE, tmp_path / PACKAGE.name))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(head_study("golden")):
        (folder / f"{number:03}.dcm").write_bytes(dicom_bytes(image))
    (folder / "README").write_text("not an image")
    return folder


def say(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["models", *words])
    return done.exit_code, done.output or str(done.exception)


def test_a_case_that_is_made_of_images_is_passed_and_names_no_patient(package: Path, images: Path) -> None:
    code, said = say("golden", str(package), "--images", str(images), "--name", "A clot", "--json")
    assert code == 0, said
    made = json.loads(said)
    assert (made["kind"], made["file"], made["slices"]) == ("positive", "golden/a-clot.npz", 40)
    assert b"VIGIL" not in (package / made["file"]).read_bytes()
    model = read_package(package)
    assert model.problem is None
    assert [case.name for case in model.manifest.golden] == ["A clot", "a sphere of 20 mL in a phantom"]  # type: ignore[union-attr]
    code, said = say("test", str(package), "--json")
    told = json.loads(said)
    assert code == 0, said
    assert [case["differing"] for case in told["cases"]] == [{"hyperdense": 0}, {"hyperdense": 0}]
    assert "already" in say("golden", str(package), "--images", str(images), "--name", "A clot")[1]


def test_a_case_of_several_series_holds_each_and_is_passed_timed_and_missed_where_they_are_exchanged(tmp_path: Path) -> None:
    package = two_sequences.install(tmp_path / "models")
    images = tmp_path / "images"
    images.mkdir()
    for number, image in enumerate([*two_sequences.flair(Head()), *two_sequences.t1(Head())]):
        (images / f"{number:03}.dcm").write_bytes(dicom_bytes(image))
    # One line an entry, as a person writes it: the case is added to the file.
    (package / "manifest.yaml").write_text(yaml.safe_dump(json.loads((package / "manifest.yaml").read_text()), sort_keys=False))
    code, said = say("golden", str(package), "--images", str(images), "--name", "a lesion", "--json")
    assert code == 0, said
    made = json.loads(said)
    assert (made["kind"], made["slices"]) == ("positive", 66)
    with np.load(package / made["file"]) as archive:
        arrays = dict(archive)
    assert {"T1.voxels", "T1.affine", "FLAIR.voxels", "FLAIR.affine", "region.lesion"} == set(arrays)
    assert arrays["region.lesion"].shape == arrays["T1.voxels"].shape != arrays["FLAIR.voxels"].shape
    code, said = say("test", str(package), "--json")
    assert code == 0, said
    code, said = say("bench", str(package), "--runs", "1", "--json")
    assert code == 0, said
    assert json.loads(said)["run_s"] > 0
    text = (package / "manifest.yaml").read_text()
    assert "t1: T1\n    flair:\n    - 1\n" in text
    (package / "manifest.yaml").write_text(text.replace("t1: T1", "t1: FLAIR").replace("- 1\n", "- 0\n"))
    code, said = say("test", str(package), "--json")
    assert code == 1
    assert json.loads(said)["cases"][0]["category"] in ("golden-case-differs", "all-background")


def test_images_that_the_package_would_refuse_make_no_case(package: Path, images: Path) -> None:
    for path in sorted(images.glob("*.dcm"))[5:]:
        path.unlink()
    before = (package / "manifest.yaml").read_bytes()
    code, said = say("golden", str(package), "--images", str(images), "--name", "few")
    assert code == 1
    assert "would not analyse these images" in said
    assert (package / "manifest.yaml").read_bytes() == before


def test_the_first_case_of_a_manifest_leaves_its_other_lines_alone() -> None:
    text = (PACKAGE / "manifest.yaml").read_text("utf-8")
    start = text.index("golden:\n")
    text = text[:start] + text[text.index("limitations:"):]
    made = named(text, "first", "golden/first.npz", "5f" * 32, Answer(AnswerKind.NEGATIVE, "none"))
    assert [case.file for case in parse_manifest(made).golden] == ["golden/first.npz"]
    assert [line for line in made.splitlines() if "first" not in line and line not in ("golden:", "")] == [
        line for line in text.splitlines() if line]
