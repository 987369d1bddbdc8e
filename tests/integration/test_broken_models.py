"""A model package that is broken: Orthanc says so, the study gets a visible "failed", and its answer once the model is mended."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from hospital import modality
from hospital.census import Census, analyses, take_census, wait_settled, wait_until
from hospital.hospital import MODEL, Hospital
from hospital.orthanc import OrthancRefused
from hospital.patients import head_study
from vigil.pipeline.house import BUNDLED_MODELS

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with the bundle's model, to be broken."""
    folder = tmp_path / "models"
    mend(folder / MODEL)
    return folder


@pytest.fixture
def hospital(tmp_path: Path, models: Path) -> Iterator[Hospital]:
    """PACS and RIS run; Orthanc is started by the test, when the model is broken."""
    whole = Hospital(tmp_path, vigil={**QUICK, "ModelsDirectory": str(models)})
    try:
        whole.ris.start()
        whole.pacs.start()
        yield whole
    finally:
        whole.kill()


def mend(package: Path) -> None:
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(BUNDLED_MODELS / MODEL, package)


def without_the_network(package: Path) -> None:
    (package / "model.onnx").unlink()


def with_another_network(package: Path) -> None:
    with (package / "model.onnx").open("ab") as file:
        file.write(b"\0")


def with_a_network_of(content: bytes) -> Callable[[Path], None]:
    """These bytes, and a manifest that says so."""
    def put(package: Path) -> None:
        network, manifest = package / "model.onnx", package / "manifest.yaml"
        before = hashlib.sha256(network.read_bytes()).hexdigest()
        network.write_bytes(content)
        text = manifest.read_text("utf-8")
        assert before in text
        manifest.write_text(text.replace(before, hashlib.sha256(content).hexdigest()), "utf-8")
    return put


def with_a_wrong_key(package: Path) -> None:
    with (package / "manifest.yaml").open("a", encoding="utf-8") as file:
        file.write("\nthreshhold: 5\n")


EMPTY_GRAPH = b"\x08\x09\x3a\x00"
"""Protocol Buffers: a ModelProto of IR version 9 whose graph holds nothing."""


def missing(hospital: Hospital) -> str:
    """What /vigil/health/ready says, once Vigil has started."""
    def said() -> str | None:
        try:
            hospital.orthanc.get("/vigil/health/ready")
        except OrthancRefused as refused:
            return None if "starting" in refused.said() else refused.said()
        return None
    return str(wait_until("not ready, and why", said))


def send(hospital: Hospital, images: list[Dataset]) -> str:
    orthanc = hospital.orthanc
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
    return str(images[0].StudyInstanceUID)


def settle(hospital: Hospital, images: list[Dataset], count: int = 1) -> Census:
    uid = str(images[0].StudyInstanceUID)
    wait_settled(hospital, uid, count=count)
    return take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})


@pytest.mark.parametrize(("damage", "category", "words"), [
    (without_the_network, "model-file-missing", "'model.onnx' is missing"),
    (with_another_network, "model-hash-mismatch", "has SHA-256"),
    (with_a_network_of(b"no network at all" * 9), "model-invalid", "is no ONNX model"),
    (with_a_network_of(EMPTY_GRAPH), "model-not-loaded", "does not load"),
], ids=["file-missing", "another-hash", "garbage", "not-loadable"])
def test_a_study_is_said_to_have_failed_and_is_answered_when_the_model_is_mended(
    hospital: Hospital, models: Path, damage: Callable[[Path], None], category: str, words: str,
) -> None:
    damage(models / MODEL)
    hospital.orthanc.start()
    told = missing(hospital)
    assert MODEL in told
    assert words in told
    assert "Traceback" not in told
    images = head_study("broken-model")
    send(hospital, images)

    failed = settle(hospital, images)
    answer = failed.analyses[0]["answer"]
    assert answer["kind"] == "failed"
    assert answer["reason"]["category"] == category
    assert words in answer["sentence"]
    assert "not a negative" in answer["sentence"]
    assert {item["role"] for item in failed.analyses[0]["objects"]} == {"summary", "report"}
    assert failed.in_orthanc == failed.in_pacs == failed.made
    assert not failed.control_ids
    report = next(found for path in hospital.pacs.objects() if (found := dcmread(path)).Modality == "SR")  # type: ignore[union-attr]
    assert any(words in str(element.value) for element in report.iterall() if element.keyword == "TextValue")

    mend(models / MODEL)
    hospital.orthanc.restart()
    hospital.orthanc.wait_ready()
    census = settle(hospital, images, count=2)
    newest, first = census.analyses
    assert newest["answer"]["kind"] == "positive"
    assert newest["predecessor_id"] == first["analysis_id"] == failed.analyses[0]["analysis_id"]
    assert first["superseded_by"] == newest["analysis_id"]
    assert failed.made < census.made
    assert census.in_orthanc == census.in_pacs == census.made
    assert len(census.control_ids) == 1


def test_a_manifest_with_a_wrong_key_is_said_of_each_study_until_it_is_mended(hospital: Hospital, models: Path) -> None:
    with_a_wrong_key(models / MODEL)
    hospital.orthanc.start()
    told = missing(hospital)
    assert "manifest.yaml, line " in told
    assert "threshhold: this key is not known" in told
    images = head_study("broken-manifest")
    uid = send(hospital, images)
    study = hospital.orthanc.studies()[0]
    decision = wait_until("a decision", lambda: hospital.orthanc.get(f"/vigil/studies/{study}")["decisions"])[-1]

    assert decision["verdict"] == "refused"
    assert decision["reason"]["category"] == "model-invalid"
    assert "threshhold" in decision["reason"]["text"]
    assert analyses(hospital.orthanc, uid) == []
    mend(models / MODEL)
    hospital.orthanc.restart()
    settle(hospital, images).exactly_once()
    hospital.orthanc.restart()
    hospital.orthanc.wait_ready()
    settle(hospital, images).exactly_once()


def test_a_model_that_nobody_installed_is_said_of_each_study_until_it_is_there(hospital: Hospital, models: Path) -> None:
    shutil.rmtree(models / MODEL)
    hospital.orthanc.start()
    assert "is not installed" in missing(hospital)
    images = head_study("no-model")
    send(hospital, images)
    study = hospital.orthanc.studies()[0]
    decision = wait_until("a decision", lambda: hospital.orthanc.get(f"/vigil/studies/{study}")["decisions"])[-1]

    assert decision["verdict"] == "refused"
    assert decision["reason"]["category"] == "model-file-missing"
    mend(models / MODEL)
    hospital.orthanc.restart()
    settle(hospital, images).exactly_once()
