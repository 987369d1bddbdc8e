"""A colour loop of ultrasound, a grey loop of angiography, a photograph and a PET go the whole way, as their models ask for."""

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
from onnx import helper
from pydicom import Dataset, dcmread

from hospital import modality
from hospital.census import Census, take_census, wait_settled
from hospital.ct_series import Acquisition, Patient
from hospital.hospital import Hospital
from hospital.moving_pictures import moving_picture
from hospital.pet import pet_series
from hospital.seeded_networks import graph
from vigil.domain.codes import UPTAKE

ROWS, COLUMNS, FRAMES = 96, 128, 6
SPOT = (slice(20, 40), slice(70, 100))
BEST = 4
"""The frame, from 1, in which the spot is shown."""
CODE = {"value": "X-SPOT", "scheme": "99T", "meaning": "Spot"}
SENTENCES = {"positive": "{value} {unit}, at or above {threshold}.", "negative": "{value} {unit}, below {threshold}.",
             "indeterminate": "{value} {unit}."}  # fmt: skip


def steep(channels: int) -> bytes:
    """Of each image how far its first channel is above the mean of the others, and above 100, as a logit."""
    others = [0.0] if channels == 1 else [-1.0 / (channels - 1)] * (channels - 1)
    weights = np.array([1.0, *(others if channels > 1 else [])], np.float32).reshape(1, channels, 1, 1)
    nodes = [helper.make_node("Conv", ["image", "w", "b"], ["raised"]), helper.make_node("Mul", ["raised", "steep"], ["logits"])]
    return graph(nodes, {"w": weights, "b": np.array([-100.0]), "steep": np.array(0.2)},
                 {"image": ["n", channels, "h", "w_"]}, {"logits": ["n", 1, "h", "w_"]})


def as_it_is() -> bytes:
    """The values themselves, for a region from 4 on."""
    return graph([helper.make_node("Identity", ["image"], ["map"])], {}, {"image": ["n", 1, "d", "h", "w"]},
                 {"map": ["n", 1, "d", "h", "w"]})


def manifest(model: str, content: bytes, kind: str, body_part: str, **parts: Any) -> dict[str, Any]:
    return {
        "schema_version": 1, "id": model, "version": "1.0.0", "name": model[:40], "vendor": "Test", "licence": "MIT",
        "summary": "Finds a spot.",
        "regulatory": {"status": "research", "intended_use": "For the tests of other pictures alone.",
                       "permitted_outputs": ["measurement", "score", "location", "contour"]},
        "files": {"model.onnx": hashlib.sha256(content).hexdigest()},
        "scope": {"modality": [kind], "body_part": {"any_of": [body_part]}},
        "network": {"file": "model.onnx", "input": "image", "outputs": ["logits"]},
        "limitations": ["none"], "changes": {"1.0.0": "First."},
    } | parts  # fmt: skip


def flat(model: str, network: bytes, kind: str, body_part: str, **wanted: Any) -> dict[str, Any]:
    rgb = wanted.get("colour") == "rgb"
    return manifest(
        model, network, kind, body_part,
        inputs=[{"name": "picture", "dimensions": 2, "minimum_slices": 1, "give_up_after_s": 2, **wanted}],
        preprocessing={"kind": "tensor", "orientation": "SPL", "layout": "NCHW"} | (
            {"channels": [{"colour": colour} for colour in ("red", "green", "blue")]} if rgb else {}),
        strategy={"kind": "per-slice"},
        outputs=[{"kind": "heat-map", "name": "raised", "tensor": "logits", "activation": "sigmoid"}],
        postprocessing={"kind": "regions", "regions": [{"name": "spot", "output": "raised"}]},
        measurements=[{"name": "score", "kind": "score", "output": "raised"}],
        operating_points={"default": {"positive": 50.0}},
        finding={"concept": CODE, "category": CODE, "site": CODE, "unit": "%", "region": "spot", **SENTENCES,
                 "measurement": {"value": "111012", "scheme": "DCM", "meaning": "Certainty of Finding"}},
    )


def uptake(model: str, network: bytes) -> dict[str, Any]:
    return manifest(
        model, network, "PT", "CHEST",
        inputs=[{"name": "pet", "values": "suv-bw", "minimum_slices": 5, "minimum_coverage_mm": 10, "give_up_after_s": 2}],
        preprocessing={"kind": "tensor", "orientation": "SPL"},
        network={"file": "model.onnx", "input": "image", "outputs": ["map"]},
        outputs=[{"kind": "segmentation", "name": "map", "tensor": "map", "channels": 1}],
        postprocessing={"kind": "regions", "regions": [{"name": "hot", "output": "map", "threshold": 4.0}]},
        measurements=[{"name": "mean", "kind": "mean-value", "region": "hot"}],
        operating_points={"default": {"positive": 4.0}},
        finding={"concept": CODE, "category": CODE, "site": CODE, "unit": "g/ml{SUVbw}", "region": "hot", "measurement": CODE,
                 **SENTENCES},
    )


MODELS = {
    "loop-us": (steep(3), lambda network: flat("loop-us", network, "US", "HEART", frames="each", colour="rgb")),
    "loop-xa": (steep(1), lambda network: flat("loop-xa", network, "XA", "HEART", frames="each")),
    "photo-sc": (steep(1), lambda network: flat("photo-sc", network, "OT", "FOOT", colour="luminance", excluded_image_types=[])),
    "uptake-pt": (as_it_is(), lambda network: uptake("uptake-pt", network)),
}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("pictures")
    for name, (network, described) in MODELS.items():
        package = folder / "models" / name
        package.mkdir(parents=True)
        (package / "model.onnx").write_bytes(network)
        (package / "manifest.yaml").write_text(json.dumps(described(network)))
        for page in ("CARD.md", "LICENSE"):
            (package / page).write_text("Test")
    with Hospital(folder, vigil={
        "ModelsDirectory": str(folder / "models"), "Models": {name: {"Stage": "live"} for name in MODELS},
        "Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0},
    }) as running:
        yield running


def answered(hospital: Hospital, images: list[Dataset]) -> Census:
    orthanc, uid = hospital.orthanc, str(images[0].StudyInstanceUID)
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
    wait_settled(hospital, uid)
    census = take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})
    assert census.in_orthanc == census.in_pacs == census.made
    return census


def results(hospital: Hospital, census: Census, role: str) -> list[Dataset]:
    uids = [item["sop_instance_uid"] for item in census.analyses[0]["objects"] if item["role"] == role]
    found = [item for uid in uids for item in hospital.orthanc.post("/tools/lookup", uid.encode())]
    return [dcmread(BytesIO(hospital.orthanc.get_bytes(f"/instances/{item['ID']}/file"))) for item in found]


def outline(item: Dataset) -> tuple[NDArray[np.float64], Dataset] | None:
    """The first SCOORD, [point, (column, row)], and the image it is drawn on."""
    if item.get("ValueType") == "SCOORD":
        return np.array(item.GraphicData, float).reshape(-1, 2), item.ContentSequence[0].ReferencedSOPSequence[0]
    return next((found for child in item.get("ContentSequence") or () if (found := outline(child)) is not None), None)


def colours(*, red: bool) -> NDArray[np.uint8]:
    """A loop in which a spot lights up in one frame, red or as bright in grey."""
    values = np.full((FRAMES, ROWS, COLUMNS, 3), 40, np.uint8)
    values[(BEST - 1, *SPOT)] = (250, 30, 30) if red else (110, 110, 110)
    values[:, 5:10, 5:10] = np.arange(FRAMES, dtype=np.uint8)[:, None, None, None] * 20 + 3
    return values


@pytest.mark.parametrize("stored", ["RGB", "planes"])
def test_what_is_red_in_one_frame_of_a_colour_loop_is_found_there(hospital: Hospital, stored: str) -> None:
    values = colours(red=True)
    changes: dict[str, Any] = {} if stored == "RGB" else {
        "PlanarConfiguration": 1, "PixelData": np.ascontiguousarray(np.moveaxis(values, -1, 1)).tobytes()}
    loop = moving_picture(values, "US", f"red {stored}", **changes)
    census = answered(hospital, [loop])
    assert census.kinds == {"positive": 1}, census.analyses[0]["answer"]["sentence"]
    report, = results(hospital, census, "report")
    drawn = outline(report)
    assert drawn is not None
    points, source = drawn
    assert (source.ReferencedSOPInstanceUID, int(source.ReferencedFrameNumber)) == (loop.SOPInstanceUID, BEST)
    rows, columns = SPOT
    assert points.min(axis=0) == pytest.approx([columns.start, rows.start], abs=1.0)
    assert points.max(axis=0) == pytest.approx([columns.stop, rows.stop], abs=1.0)


def test_what_is_as_bright_and_not_red_is_negative(hospital: Hospital) -> None:
    assert answered(hospital, [moving_picture(colours(red=False), "US", "grey")]).kinds == {"negative": 1}


def test_a_grey_loop_of_angiography_and_a_photograph(hospital: Hospital) -> None:
    grey = np.full((FRAMES, ROWS, COLUMNS), 60, np.uint8)
    grey[(BEST - 1, *SPOT)] = 200
    grey[:, 0, 0] = np.arange(FRAMES)
    census = answered(hospital, [moving_picture(grey, "XA", "angiography")])
    assert census.kinds == {"positive": 1}, census.analyses[0]["answer"]["sentence"]
    photo = np.full((1, ROWS, COLUMNS, 3), 60, np.uint8)
    photo[(0, *SPOT)] = (230, 220, 210)
    picture = moving_picture(photo, "OT", "photograph", body_part="FOOT")
    census = answered(hospital, [picture])
    assert census.kinds == {"positive": 1}, census.analyses[0]["answer"]["sentence"]
    assert len(census.analyses) == 1, "its own secondary captures are no pictures to look at"


def hot(seed: str, **changes: Any) -> list[Dataset]:
    values = np.full((12, 40, 48), 0.8)
    values[5:8, 10:16, 30:38] = 7.5
    started = dt.datetime.now(dt.UTC).replace(microsecond=0)
    acquisition = Acquisition(seed, (4.0, 4.0, 4.0), body_part="CHEST", study_description="PET CHEST", series_description="WB AC",
                              started=started)
    images = list(pet_series(values, acquisition, Patient(patient_id=f"VIGIL-{seed}")))
    for image in images:
        for keyword, value in changes.items():
            setattr(image, keyword, value)
    return images


def test_a_pet_is_measured_in_standardised_uptake_and_refused_where_nobody_can_tell_it(hospital: Hospital) -> None:
    census = answered(hospital, hot("pet"))
    answer = census.analyses[0]["answer"]
    assert answer["kind"] == "positive"
    assert answer["measured"]["value"] == pytest.approx(7.5, abs=0.1)
    assert answer["measured"]["unit"] == UPTAKE.value
    assert answer["sentence"].startswith("7.5 SUVbw, at or above 4.0")
    refused = answered(hospital, hot("light", PatientWeight=""))
    assert refused.kinds == {"not-analysed": 1}
    assert "the patient's weight is not said" in refused.analyses[0]["answer"]["sentence"]
