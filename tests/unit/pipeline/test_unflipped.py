"""A body that is like none of its mirror images, from the scanner's files through selection, model and results, in every
orientation and as one multi-frame image: what is outlined lies in the patient where it was, by readers that are not ours."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from pydicom import Dataset, dcmread

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.enhanced import enhanced_ct
from hospital.seeded_networks import graph
from validators.dcmqi import segimage2itkimage
from vigil.domain.answer import Analysis, AnswerKind
from vigil.domain.codes import LEFT
from vigil.imaging.arrived import ArrivedImages
from vigil.inference.quarantine import CrashMarker
from vigil.inference.registry import Registry
from vigil.inference.runtime import Runtime
from vigil.intake.appraise import Verdict, appraise
from vigil.intake.header import read_dataset, read_header
from vigil.intake.study import HeaderCache, StudyContent
from vigil.pipeline.look import Looked, Looker
from vigil.results.make import make_results
from vigil.results.objects import Role
from vigil.results.request import DeviceIdentity, ResultRequest
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
LARGE, SMALL = (34.0, -22.0, 16.0), (-18.0, 30.0, -26.0)
"""Middles of two dense balls, to the left, the back and the head of the middle of the body."""
RADII_MM = {LARGE: 13.0, SMALL: 9.0}
SHAPE, SPACING = (44, 72, 80), (3.0, 2.0, 1.8)
BODY_MM = (62.0, 66.0, 60.0)
LATERALITY = "272741003"
CODE = {"value": "X-BALL", "scheme": "99T", "meaning": "Ball"}

Orientation = tuple[float, float, float, float, float, float]
ROOT = float(np.sqrt(0.5))
ORIENTATIONS: dict[str, Orientation] = {
    "axial": (1, 0, 0, 0, 1, 0), "axial, feet up": (-1, 0, 0, 0, 1, 0), "prone": (-1, 0, 0, 0, -1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1), "coronal": (1, 0, 0, 0, 0, -1), "coronal from behind": (-1, 0, 0, 0, 0, -1),
    "oblique": (ROOT, ROOT, 0, -0.5, 0.5, -ROOT),
}  # fmt: skip


def series(
    orientation: Orientation, seed: str, *, small_hu: float = 400.0, drift: tuple[float, float] = (0.0, 0.0)
) -> list[Dataset]:
    """The body, computed at the place of each voxel in the patient: nothing of the product's geometry is in it. ``drift``: of a
    tilted gantry, along row and column direction."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    step = (normal + drift[0] * row + drift[1] * column) * SPACING[0]
    middle = (step * (SHAPE[0] - 1) + column * SPACING[1] * (SHAPE[1] - 1) + row * SPACING[2] * (SHAPE[2] - 1)) / 2
    slices, rows, columns = np.meshgrid(*(np.arange(count) for count in SHAPE), indexing="ij")
    places = (slices[..., None] * step + rows[..., None] * column * SPACING[1]
              + columns[..., None] * row * SPACING[2] - middle)
    hu = np.where(((places / BODY_MM) ** 2).sum(axis=-1) <= 1, 40.0, -1000.0)
    for ball, radius in RADII_MM.items():
        hu[((places - ball) ** 2).sum(axis=-1) <= radius**2] = 400.0 if ball == LARGE else small_hu
    origin = tuple(float(value) for value in -middle)
    return list(ct_series(hu, Acquisition(
        seed, SPACING, (origin[0], origin[1], origin[2]), orientation, declare_images=True, drift=drift)))


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """From files to what was seen, by a model that outlines what is dense, on a grid and axes of its own."""
    network = graph([helper.make_node("Identity", ["image"], ["map"])], {}, {"image": ["n", 1, "d", "h", "w"]},
                    {"map": ["n", 1, "d", "h", "w"]})
    return looking(tmp_path_factory.mktemp("unflipped"), network, manifest(network), (Role.SEGMENTATION, Role.REPORT))


@pytest.fixture(scope="module", params=["volume", "slices"])
def detect(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same by a detector of the large ball: of the whole on axes of its own, or slice after slice, which are the patient's
    axial ones however the source lies."""
    dimensions = 3 if request.param == "volume" else 2
    network = around_the_densest(dimensions)
    return looking(tmp_path_factory.mktemp("boxes"), network, detecting(network, dimensions),
                   (Role.PRESENTATION_STATE, Role.REPORT))


def looking(folder: Path, network: bytes, described: dict[str, Any], roles: tuple[Role, Role]) -> Any:
    place = folder / "models" / "dense"
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(network)
    (place / "manifest.yaml").write_text(json.dumps(described))
    model, = Registry(folder / "models").installed()
    assert model.problem is None
    runtime = Runtime(provider="cpu", threads=1, allow_cpu_fallback=False, memory_budget_mib=2048, marker=folder / "marker.json")
    runtime.load(model)
    files: dict[str, bytes] = {}

    class Shelf:
        def dicom(self, orthanc_id: str) -> bytes | None:
            return files.get(orthanc_id)

    looker = Looker(
        gateway=Shelf(), models={model.model_id: model}, runtime=runtime, headers=HeaderCache(),  # type: ignore[arg-type]
        images=ArrivedImages(1 << 20, 60), reading=CrashMarker(folder / "reading.json"), stop=threading.Event(),
        metrics=Metrics())

    def seen(images: list[Dataset], log: Log) -> tuple[Looked, list[Dataset]]:
        files.clear()
        files.update({f"image-{index}": dicom_bytes(image) for index, image in enumerate(images)})
        headers = sorted((read_header(name, data) for name, data in files.items()), key=lambda item: item.sop_instance_uid)
        found = appraise(StudyContent("study", "1.2.3", tuple(headers)), model.manifest, now=NOW,  # type: ignore[arg-type]
                         quiet_since=NOW - timedelta(hours=1))
        assert found.verdict is Verdict.WANTED, found.reason
        assert model.manifest is not None
        analysis = Analysis(
            analysis_id=hashlib.sha256(str(images[0].SeriesInstanceUID).encode()).hexdigest(), orthanc_study_id="study",
            study_instance_uid=str(images[0].StudyInstanceUID), model_id="dense", model_version="1.0.0", weights_sha256="0" * 64,
            operating_point="default", renderer_version="1", settings_sha256="s", inputs_sha256="i", inputs=found.inputs,
            created_at=NOW, correlation_id="c", stage="live", reference_instance=found.inputs[0].orthanc_id)
        looked = looker.look(analysis, log)
        made = make_results(ResultRequest(
            analysis=analysis, answer=looked.answer, manifest=model.manifest, sources=looked.sources, voxels=looked.voxels,
            masks=looked.masks, boxes=looked.boxes, frames=looked.frames,
            reference=read_dataset(files[found.inputs[0].orthanc_id]),
            device=DeviceIdentity("test", "1.2.3.4", "0", "test")))
        return looked, [dcmread(BytesIO(item.dicom)) for role in roles for item in made if item.role == role]

    return seen


def manifest(network: bytes) -> dict[str, Any]:
    accepted = {"values": "accept", "saturation": "accept", "truncation": "accept"}
    return {
        "schema_version": 1, "id": "dense", "version": "1.0.0", "name": "Dense", "vendor": "Test", "licence": "MIT",
        "summary": "Test",
        "regulatory": {"status": "research", "intended_use": "For the test of mirror images alone.",
                       "permitted_outputs": ["measurement", "location", "contour"]},
        "files": {"model.onnx": hashlib.sha256(network).hexdigest()},
        "scope": {"modality": ["CT"], "body_part": {"any_of": ["HEAD"]}},
        "inputs": [{"name": "ct", "minimum_slices": 10, "minimum_coverage_mm": 50, "quality": accepted}],
        "preprocessing": {"kind": "tensor", "orientation": "LIA", "spacing_mm": [1.6, 2.1, 2.4], "outside": -1000},
        "network": {"file": "model.onnx", "input": "image", "outputs": ["map"]},
        "outputs": [{"kind": "segmentation", "name": "map", "tensor": "map", "channels": 1}],
        "postprocessing": {"kind": "regions", "regions": [{"name": "balls", "output": "map", "threshold": 220.0}]},
        "measurements": [{"name": "volume", "kind": "volume", "region": "balls"}],
        "operating_points": {"default": {"positive": 5.0}},
        "finding": {"concept": CODE, "category": CODE, "site": CODE, "measurement": CODE, "unit": "mL", "region": "balls",
                    "laterality": {"from": "geometry", "margin_mm": 3, "bilateral_share": 0.3},
                    "positive": "{value}", "negative": "{value}", "indeterminate": "{value}"},
        "limitations": ["none"], "changes": {"1.0.0": "First."},
    }  # fmt: skip


def around_the_densest(dimensions: int) -> bytes:
    """Of [N, 1, (D,) H, W] the box around what is above 350, with a score of 0.9, or 0 where there is nothing: ONNX's own
    operators, no code of ours."""
    axes = list(range(2, 2 + dimensions))
    nodes = [helper.make_node("Greater", ["image", "bound"], ["is"]),
             helper.make_node("Cast", ["is"], ["dense"], to=TensorProto.FLOAT)]
    weights: dict[str, Any] = {"bound": np.array(350.0), "one": np.array(1.0), "certain": np.array(0.9), "flat": np.array(
        [1, 1, 2 * dimensions], np.int64), "row": np.array([1, 1], np.int64)}
    lows, highs = [], []
    for axis in axes:
        weights[f"others {axis}"] = np.array([1, *(other for other in axes if other != axis)], np.int64)
        nodes += [helper.make_node("ReduceMax", ["dense", f"others {axis}"], [f"profile {axis}"], keepdims=0)]
        for last, held in ((0, lows), (1, highs)):
            found = f"{axis} {last}"
            nodes += [helper.make_node("ArgMax", [f"profile {axis}"], [found], axis=1, keepdims=1, select_last_index=last),
                      helper.make_node("Cast", [found], [f"{found} place"], to=TensorProto.FLOAT)]
            held.append(f"{found} place")
            if last:
                nodes.append(helper.make_node("Add", [f"{found} place", "one"], [f"{found} end"]))
                held[-1] = f"{found} end"
    nodes += [helper.make_node("Concat", [*lows, *highs], ["corners"], axis=1),
              helper.make_node("Reshape", ["corners", "flat"], ["boxes"]),
              helper.make_node("ReduceMax", ["dense"], ["any"], keepdims=0),
              helper.make_node("Mul", ["any", "certain"], ["mark"]), helper.make_node("Reshape", ["mark", "row"], ["scores"])]
    return graph(nodes, weights, {"image": [1, 1, *"dhw"[3 - dimensions:]]},
                 {"boxes": [1, 1, 2 * dimensions], "scores": [1, 1]}, opset=20)


def detecting(network: bytes, dimensions: int) -> dict[str, Any]:
    described = manifest(network)
    if dimensions == 2:
        described["preprocessing"] |= {"orientation": "SPL", "layout": "NCHW", "spacing_mm": [2.6, 2.1, 1.6]}
    described |= {
        "network": {"file": "model.onnx", "input": "image", "outputs": ["boxes", "scores"]},
        "strategy": {"kind": "whole-volume" if dimensions == 3 else "per-slice"},
        "outputs": [{"kind": "detection", "name": "found", "boxes": "boxes", "scores": "scores", "least_score": 0.5}],
        "postprocessing": {"kind": "regions", "regions": [{"name": "balls", "output": "found"}]},
        "measurements": [{"name": "number", "kind": "count", "region": "balls"}],
        "operating_points": {"default": {"positive": 1.0}},
    }
    described["regulatory"]["permitted_outputs"].append("score")
    described["finding"]["unit"] = "1"
    described["inputs"][0]["largest_gantry_tilt_degrees"] = 30
    return described


TILTED = {"axial": (0.0, 0.3), "coronal": (0.2, -0.25)}


@pytest.mark.parametrize("name", [*ORIENTATIONS, "multi-frame", *(f"{name}, tilted" for name in TILTED)])
def test_a_detector_s_boxes_lie_around_what_was_found(name: str, detect: Any, log: Log) -> None:
    way = name.removesuffix(", tilted")
    orientation = ORIENTATIONS.get(way, ORIENTATIONS["coronal"])
    images = series(orientation, name, small_hu=300.0, drift=TILTED[way] if way != name else (0.0, 0.0))
    looked, (state, report) = detect([enhanced_ct(images)] if name == "multi-frame" else images, log)
    assert looked.answer.kind is AnswerKind.POSITIVE
    rectangles = [placed_mm(points, reference, images) for points, reference in rectangles_of(state)]
    # Of a slice detector each box is as thick as its slice, and several lie in one image where the source is not axial.
    corners = np.concatenate(rectangles)
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    for direction, thick in ((row, SPACING[2]), (column, SPACING[1]), (np.cross(row, column), SPACING[0])):
        along, middle = corners @ direction, float(np.dot(LARGE, direction))
        off = thick + 2.6  # a voxel of the source, and one of the grid
        assert along.min() == pytest.approx(middle - RADII_MM[LARGE], abs=off)
        assert along.max() == pytest.approx(middle + RADII_MM[LARGE], abs=off)
        assert (along.min() + along.max()) / 2 == pytest.approx(middle, abs=off / 2)
    drawn = scoords(report)
    assert len(drawn) >= (1 if len(looked.boxes["balls"]) == 1 else 5)
    for points, reference in drawn:
        mm = placed_mm(points, reference, images)
        assert np.linalg.norm(mm.mean(axis=0) - LARGE) < RADII_MM[LARGE] + 3.0
        assert len({tuple(corner) for corner in mm}) == 4
    assert all(box.score.value == 90.0 for box in looked.boxes["balls"])


def rectangles_of(state: Dataset) -> list[tuple[NDArray[np.float64], Dataset]]:
    return [
        (np.array(graphic.GraphicData, float).reshape(-1, 2), annotation.ReferencedImageSequence[0])
        for annotation in state.GraphicAnnotationSequence for graphic in annotation.get("GraphicObjectSequence", ())]


@pytest.mark.parametrize("multi_frame", [False, True], ids=["slices", "multi-frame"])
@pytest.mark.parametrize("name", ORIENTATIONS)
def test_what_is_outlined_lies_where_it_was(name: str, multi_frame: bool, look: Any, log: Log, tmp_path: Path) -> None:
    images = series(ORIENTATIONS[name], f"{name} {multi_frame}")
    looked, (segmentation, report) = look([enhanced_ct(images)] if multi_frame else images, log)
    assert looked.answer.kind is AnswerKind.POSITIVE
    assert [finding.laterality for finding in looked.answer.findings] == [LEFT], "most of it is the large ball"
    assert {value for name, value in coded(report) if name == LATERALITY} == {LEFT.value}
    file = tmp_path / "segmentation.dcm"
    segmentation.save_as(file, enforce_file_format=True)
    found = points_of(segimage2itkimage(file)[0])
    for ball, other in ((LARGE, SMALL), (SMALL, LARGE)):
        near = found[np.linalg.norm(found - ball, axis=1) < np.linalg.norm(found - other, axis=1)]
        assert near.mean(axis=0) == pytest.approx(ball, abs=0.6)
        assert np.linalg.norm(near - near.mean(axis=0), axis=1).max() == pytest.approx(RADII_MM[ball], abs=3.0)
    outline = outlined_mm(report, images)
    nearest = min(RADII_MM, key=lambda ball: float(np.linalg.norm(outline.mean(axis=0) - ball)))
    assert np.linalg.norm(outline - nearest, axis=1).max() < RADII_MM[nearest] + 3.0
    assert np.linalg.norm(outline.mean(axis=0) - nearest) < 4.0


def test_of_a_patient_who_lies_on_the_side_none_is_told(look: Any, log: Log) -> None:
    images = series(ORIENTATIONS["axial"], "on the side")
    for image in images:
        image.PatientPosition = "HFDL"
    looked, (_, report) = look(images, log)
    assert looked.answer.kind is AnswerKind.POSITIVE
    assert [finding.laterality for finding in looked.answer.findings] == [None]
    assert LATERALITY not in dict(coded(report))


def points_of(image: Any) -> NDArray[np.float64]:
    """Of every voxel that is set, in the patient: as ITK has it of dcmqi's reading."""
    import SimpleITK

    set_ = np.argwhere(SimpleITK.GetArrayFromImage(image) > 0)
    return np.array([image.TransformIndexToPhysicalPoint((int(x), int(y), int(z))) for z, y, x in set_])


def outlined_mm(report: Dataset, images: list[Dataset]) -> NDArray[np.float64]:
    """The report's outline in the patient, by the headers of the image or frame that it is drawn on (PS3.3 C.7.6.2.1.1)."""
    points, reference = scoords(report)[0]
    return placed_mm(points, reference, images)


def placed_mm(points: NDArray[np.float64], reference: Dataset, images: list[Dataset]) -> NDArray[np.float64]:
    """(column, row) of an image or frame in the patient."""
    frame = reference.get("ReferencedFrameNumber")
    by_uid = {str(image.SOPInstanceUID): image for image in images}
    image = images[int(frame) - 1] if frame is not None else by_uid[str(reference.ReferencedSOPInstanceUID)]
    row, column = np.array(image.ImageOrientationPatient[:3], float), np.array(image.ImageOrientationPatient[3:], float)
    between_rows, between_columns = (float(value) for value in image.PixelSpacing)
    # SCOORD counts from the outer edge of the first pixel (C.18.6.1.1), positions from its middle.
    first = np.array(image.ImagePositionPatient, float)
    return np.array([first + (x - 0.5) * between_columns * row + (y - 0.5) * between_rows * column for x, y in points])


def coded(item: Dataset) -> Iterator[tuple[str, str]]:
    """Every code of a report with its name."""
    if item.get("ValueType") == "CODE":
        yield str(item.ConceptNameCodeSequence[0].CodeValue), str(item.ConceptCodeSequence[0].CodeValue)
    for child in item.get("ContentSequence") or ():
        yield from coded(child)


def scoords(item: Dataset) -> list[tuple[NDArray[np.float64], Dataset]]:
    """Each SCOORD, [point, (column, row)], and what it is drawn on."""
    if item.get("ValueType") == "SCOORD":
        return [(np.array(item.GraphicData, float).reshape(-1, 2), item.ContentSequence[0].ReferencedSOPSequence[0])]
    return [found for child in item.get("ContentSequence") or () for found in scoords(child)]
