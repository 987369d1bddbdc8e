"""A projection image goes the whole way with a model of two dimensions: capture and report, and no place in a patient made up."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from pydicom import Dataset, dcmread

from hospital import modality
from hospital.census import Census, take_census, wait_settled
from hospital.ct_series import Patient
from hospital.hospital import LIVE, Hospital
from hospital.radiograph import radiograph

MODEL = "opacity-dx"
ROWS, COLUMNS = 300, 240
OPACITY = (slice(200, 232), slice(40, 80))
"""Rows and columns: low on the left of the picture, on no axis of symmetry."""
LEVEL = 2500.0


def brightness() -> bytes:
    """A network of one channel: how far a pixel is above the LEVEL, from 0 to 1."""
    nodes = [helper.make_node("Sub", ["image", "level"], ["above"]), helper.make_node("Mul", ["above", "steep"], ["logits"])]
    sides = ["n", 1, "h", "w"]
    model = helper.make_model(helper.make_graph(
        nodes, "brightness", [helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, sides)],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("level", LEVEL), ("steep", 0.01))],
    ), opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return bytes(model.SerializeToString())


def manifest(network: bytes) -> dict[str, Any]:
    code = {"value": "X-OPACITY", "scheme": "99T", "meaning": "Opacity"}
    return {
        "schema_version": 1, "id": MODEL, "version": "1.0.0", "name": "Opacity, DX", "vendor": "Test", "licence": "MIT",
        "summary": "Finds what is brighter than a level.",
        "regulatory": {"status": "research", "intended_use": "For the tests of the radiograph alone.",
                       "permitted_outputs": ["measurement", "score", "location", "contour"]},
        "files": {"model.onnx": hashlib.sha256(network).hexdigest()},
        "scope": {"modality": ["DX", "CR"], "body_part": {"any_of": ["CHEST"]}, "views": {"any_of": ["PA"]}},
        "inputs": [{"name": "chest", "dimensions": 2, "minimum_slices": 1, "give_up_after_s": 2}],
        "preprocessing": {"kind": "tensor", "orientation": "SPL", "layout": "NCHW"},
        "strategy": {"kind": "per-slice"},
        "network": {"file": "model.onnx", "input": "image", "outputs": ["logits"]},
        "outputs": [{"kind": "heat-map", "name": "bright", "tensor": "logits", "activation": "sigmoid"}],
        "postprocessing": {"kind": "regions", "regions": [{"name": "opacity", "output": "bright"}]},
        "measurements": [{"name": "score", "kind": "score", "output": "bright"}],
        "operating_points": {"default": {"positive": 50.0}},
        "finding": {
            "concept": code, "category": code, "site": {"value": "39607008", "scheme": "SCT", "meaning": "Lung"}, "unit": "%",
            "measurement": {"value": "111012", "scheme": "DCM", "meaning": "Certainty of Finding"}, "region": "opacity",
            "positive": "Opacity, {value} {unit}, at or above {threshold}.", "negative": "{value} {unit}, below {threshold}.",
            "indeterminate": "{value} {unit}.",
        },
        "limitations": ["none"], "changes": {"1.0.0": "First."},
    }


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("radiograph")
    package = folder / "models" / MODEL
    package.mkdir(parents=True)
    network = brightness()
    (package / "model.onnx").write_bytes(network)
    (package / "manifest.yaml").write_text(json.dumps(manifest(network)))  # which is YAML, without its anchors
    for name in ("CARD.md", "LICENSE"):
        (package / name).write_text("Test")
    with Hospital(folder, vigil={
        "ModelsDirectory": str(folder / "models"), "Models": {MODEL: LIVE},
        "Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0},
    }) as running:
        yield running


def film(seed: str, *, opacity: bool = True, inverted: bool = False) -> Dataset:
    """What a reader sees is the same, however it is stored."""
    values = np.tile(np.linspace(400, 1800, COLUMNS, dtype=np.float32), (ROWS, 1))
    if opacity:
        values[OPACITY] = 3500
    return radiograph(
        4095 - values if inverted else values, patient=Patient(patient_id=f"VIGIL-{seed}"), inverted=inverted, seed=seed,
        started=dt.datetime.now(dt.UTC).replace(microsecond=0),
    )


def answered(hospital: Hospital, *images: Dataset) -> Census:
    orthanc, uid = hospital.orthanc, str(images[0].StudyInstanceUID)
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
    wait_settled(hospital, uid)
    return take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})


def report(hospital: Hospital, census: Census) -> Dataset:
    made = next(item for item in census.analyses[0]["objects"] if item["role"] == "report")
    found, = hospital.orthanc.post("/tools/lookup", made["sop_instance_uid"].encode())
    return dcmread(BytesIO(hospital.orthanc.get_bytes(f"/instances/{found['ID']}/file")))


def outline(item: Dataset) -> tuple[NDArray[np.float64], Dataset] | None:
    """The first SCOORD, [point, (column, row)], and the image it is drawn on."""
    if item.get("ValueType") == "SCOORD":
        return np.array(item.GraphicData, float).reshape(-1, 2), item.ContentSequence[0].ReferencedSOPSequence[0]
    return next((found for child in item.get("ContentSequence") or () if (found := outline(child)) is not None), None)


@pytest.mark.parametrize("inverted", [False, True], ids=["MONOCHROME2", "MONOCHROME1"])
def test_what_is_bright_is_found_and_outlined_in_the_picture_and_nowhere_else(hospital: Hospital, inverted: bool) -> None:
    image = film(f"film {inverted}", inverted=inverted)
    census = answered(hospital, image)
    assert census.in_orthanc == census.in_pacs == census.made
    assert not census.control_ids  # its clearance permits no notification
    assert census.kinds == {"positive": 1}
    roles = {item["role"] for item in census.analyses[0]["objects"]}
    assert {"summary", "key-slice", "report"} <= roles
    assert "segmentation" not in roles  # it would need a place in the patient
    drawn = outline(report(hospital, census))
    assert drawn is not None
    points, source = drawn
    assert source.ReferencedSOPInstanceUID == image.SOPInstanceUID
    rows, columns = OPACITY
    assert points.min(axis=0) == pytest.approx([columns.start, rows.start], abs=1.0)
    assert points.max(axis=0) == pytest.approx([columns.stop, rows.stop], abs=1.0)


@pytest.mark.parametrize("inverted", [False, True], ids=["MONOCHROME2", "MONOCHROME1"])
def test_a_film_without_it_is_negative(hospital: Hospital, inverted: bool) -> None:
    assert answered(hospital, film(f"clear {inverted}", opacity=False, inverted=inverted)).kinds == {"negative": 1}


def test_of_two_films_that_suit_none_is_taken_and_it_is_said(hospital: Hospital) -> None:
    one, other = film("first"), film("second", opacity=False)
    for keyword in ("StudyInstanceUID", "PatientID", "StudyDate", "StudyTime"):
        setattr(other, keyword, getattr(one, keyword))
    census = answered(hospital, one, other)
    assert census.kinds == {"not-analysed": 1}
    assert "2 images of the study suit this model" in census.analyses[0]["answer"]["sentence"]
