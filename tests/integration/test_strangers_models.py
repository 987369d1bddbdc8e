"""A stranger brings networks and the examples of docs/model-authors.md, uses the commands alone, and has answers in the PACS that
another reading of the same images gives too."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from typer.testing import CliRunner

from hospital import modality, two_sequences
from hospital.census import Census, take_census, wait_settled, wait_until
from hospital.ct_series import Acquisition, Patient, ct_series, dicom_bytes
from hospital.hospital import Hospital
from hospital.orthanc import OrthancRefused
from hospital.outcome import COMPREHENSIVE_3D_SR, SEGMENTATION
from hospital.phantom import Head, phantom
from hospital.radiograph import radiograph
from hospital.seeded_networks import classifier, detector, run, u_net
from validators.own_checks import REPORT, concept, groups
from vigil.cli.main import app

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
SPACING_MM = (4.0, 1.8, 1.8)
BALLS_MM = ((30.0, -20.0, 10.0, 30.0), (-35.0, 30.0, 20.0, 25.0), (-20.0, -30.0, -30.0, 20.0))
"""Middle and radius of the head's dense balls."""
SPOT_MM = (20.0, -24.0, 16.0)
"""Where the chest's spot lies: column, row and slice from the middle, on no axis of symmetry."""


@dataclass(frozen=True)
class Case:
    """``study``: made for a seed. ``agrees``: compares what came out with another reading of the same images."""

    example: str
    network: Callable[[], bytes]
    study: Callable[[str], list[Dataset]]
    agrees: Callable[[bytes, Sequence[Dataset], dict[str, Any], Sequence[Dataset]], None]


def head(seed: str) -> list[Dataset]:
    """A head with three dense balls that no mirror image has."""
    hu = np.minimum(phantom(Head()), 200.0)
    x, y, z = from_the_middle(hu.shape)
    for column, row, slice_, radius in BALLS_MM:
        hu[(x - column) ** 2 + (y - row) ** 2 + (z - slice_) ** 2 <= radius**2] = 1000.0
    return list(ct_series(hu, Acquisition(seed, SPACING_MM), Patient(patient_id=f"VIGIL-{seed}")))


def chest(seed: str) -> list[Dataset]:
    """Something like lung with one dense spot of 12 mm radius."""
    x, y, z = from_the_middle((30, 128, 128))
    hu = np.where((x / 100) ** 2 + (y / 80) ** 2 <= 1, -60.0, -1000.0)
    hu[(x - SPOT_MM[0]) ** 2 + (y - SPOT_MM[1]) ** 2 + (z - SPOT_MM[2]) ** 2 <= 12**2] = 300.0
    chest = Acquisition(seed, SPACING_MM, body_part="CHEST", series_description="CHEST 4.0", study_description="CT CHEST")
    images = list(ct_series(hu, chest, Patient(patient_id=f"VIGIL-{seed}")))
    for image in images:
        image.WindowCenter, image.WindowWidth = "100", "600"
    return images


def from_the_middle(shape: tuple[int, ...]) -> tuple[NDArray[np.float64], ...]:
    """Of each voxel, in mm: to the left, to the back, to the head."""
    lines = ((np.arange(count) - count / 2 + 0.5) * spacing for count, spacing in zip(shape, SPACING_MM, strict=True))
    z, y, x = np.meshgrid(*lines, indexing="ij")
    return x, y, z


def plane(*, opacity: bool) -> NDArray[np.float32]:
    values = np.tile(np.linspace(400, 1800, 256, dtype=np.float32), (256, 1))
    if opacity:
        values[160:200, 32:80] = 3500
    return values


def film(seed: str) -> list[Dataset]:
    started = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return [radiograph(plane(opacity=True), patient=Patient(patient_id=f"VIGIL-{seed}"), seed=seed, started=started)]


def as_bytes(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """A plane as the classifier's example says, by other software: Pillow's reduction, 12 bits to 8."""
    small = Image.fromarray(values.astype(np.float32), "F").resize((64, 64), Image.Resampling.BILINEAR)
    return np.asarray(np.rint(np.clip(np.asarray(small) / 4096 * 255, 0, 255)), np.uint8)


def as_classified(network: bytes, sent: Sequence[Dataset], answer: dict[str, Any], results: Sequence[Dataset]) -> None:
    logits = run(network, as_bytes(sent[0].pixel_array.astype(np.float32))[None, ..., None])[0][0]
    certainty = 100 * float(np.exp(logits[1]) / np.exp(logits).sum())
    assert answer["kind"] == "positive"
    assert answer["measured"]["value"] == pytest.approx(certainty, abs=1.0)


def as_outlined(network: bytes, sent: Sequence[Dataset], answer: dict[str, Any], results: Sequence[Dataset]) -> None:
    """SimpleITK turns and resamples, NumPy normalises, ONNX Runtime runs the whole at once."""
    image = itk_image(sent)
    turned: Any = SimpleITK.DICOMOrient(image, "AIL")  # ITK's first axis is NumPy's last: the array's axes are L, I, A
    spacing = np.array(turned.GetSpacing())
    size = [int(count) for count in np.maximum(1, np.round(np.array(turned.GetSize()) * spacing / 3.0))]
    grid = SimpleITK.Image(size, SimpleITK.sitkFloat32)
    step = np.array(turned.GetSize()) * spacing / size
    direction = np.array(turned.GetDirection()).reshape(3, 3)
    grid.SetOrigin([float(value) for value in np.array(turned.GetOrigin()) + direction @ ((step - spacing) / 2)])
    grid.SetSpacing([float(value) for value in step])
    grid.SetDirection(turned.GetDirection())
    values = SimpleITK.GetArrayFromImage(SimpleITK.Resample(turned, grid, SimpleITK.Transform(), SimpleITK.sitkLinear, -1000.0))
    low, high = np.quantile(values, (0.02, 0.98))
    values = (np.clip(values, low, high) - low) / (high - low)
    even = [(0, count % 2) for count in values.shape]
    logits = run(network, np.pad(values, even)[None, None].astype(np.float32))[0][0]
    inside = (logits[1] > logits[0])[tuple(slice(count) for count in values.shape)]
    expected = SimpleITK.GetImageFromArray(inside.astype(np.float32))
    expected.CopyInformation(grid)
    mask = SimpleITK.GetArrayFromImage(SimpleITK.Resample(expected, image, SimpleITK.Transform(), SimpleITK.sitkLinear)) >= 0.5
    segmented = segmentation(results, sent)
    assert 2 * np.count_nonzero(mask & segmented) / (mask.sum() + segmented.sum()) > 0.97
    volume_ml = segmented.sum() * np.prod(SPACING_MM) / 1000
    assert answer["kind"] == "positive"
    assert answer["measured"]["value"] == pytest.approx(volume_ml, abs=0.1)
    assert [part["kind"] for part in answer["parts"]] == ["positive", "negative"], "the balls are not many"
    clusters = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(segmented.astype(np.uint8)), True)
    assert answer["parts"][1]["measured"]["value"] == SimpleITK.GetArrayFromImage(clusters).max()
    report, = (item for item in results if item.SOPClassUID == COMPREHENSIVE_3D_SR)
    assert report.ConceptNameCodeSequence[0].CodeValue == "126000", "viewers draw it"
    assert presences(report) == {("X-DENSE", "52101004"), ("X-MANY", "272519000")}
    for column, row, slice_, _ in BALLS_MM:
        assert segmented[at_mm(column, row, slice_)], "each ball in its place"
        assert not segmented[at_mm(-column, -row, -slice_)], "and in no mirror's"


def as_found(network: bytes, sent: Sequence[Dataset], answer: dict[str, Any], results: Sequence[Dataset]) -> None:
    assert answer["kind"] == "positive"
    assert answer["measured"]["value"] >= 1
    segmented = segmentation(results, sent)
    where = np.argwhere(segmented)
    middle = [count / 2 - 0.5 for count in segmented.shape]
    column, row, slice_ = (SPOT_MM[axis] / (1.8, 1.8, 4.0)[axis] + middle[2 - axis] for axis in range(3))
    assert np.abs(where.mean(axis=0) - (slice_, row, column)).max() < 4
    assert segmented[at_mm(*SPOT_MM, shape=segmented.shape)]
    told = boxes_of(results, sent)
    assert {index for index, _, _ in told} == set(where[:, 0].tolist()), "a box in each slice that has a spot"
    for index in {index for index, _, _ in told}:
        corners, score = best_box(network, sent[index])
        assert any(found == corners and abs(certainty - score) < 0.5 for slice_, found, certainty in told if slice_ == index)


def boxes_of(results: Sequence[Dataset], sent: Sequence[Dataset]) -> list[tuple[int, tuple[float, ...], float]]:
    """Slice, left, top, right and bottom in pixels, and certainty in percent of each box of the report."""
    report, = (item for item in results if item.SOPClassUID == REPORT)
    index = {str(image.SOPInstanceUID): number for number, image in enumerate(sent)}
    found = []
    for group in groups(report):
        for region in (item for item in group.ContentSequence if item.ValueType == "SCOORD"):
            reference = region.ContentSequence[0].ReferencedSOPSequence[0]
            score, = (item for item in group.ContentSequence if item.ValueType == "NUM" and concept(item) == "111012")
            xs, ys = region.GraphicData[0::2], region.GraphicData[1::2]
            found.append((index[str(reference.ReferencedSOPInstanceUID)], (min(xs), min(ys), max(xs), max(ys)),
                          float(score.MeasuredValueSequence[0].NumericValue)))
    return found


def best_box(network: bytes, image: Dataset) -> tuple[tuple[float, ...], float]:
    """As the detector's example says, by other software: Pillow reduces the slice to half, its box is twice as large in it."""
    hu = Image.fromarray(image.pixel_array.astype(np.float32) - 1024, "F").resize((64, 64), Image.Resampling.BILINEAR)
    boxes, logits = run(network, np.clip((np.asarray(hu, np.float32) + 100) / 400, 0, 1)[None, None])
    best = int(logits[0].argmax())
    return tuple(float(edge) * 2 for edge in boxes[0][best]), 100 / (1 + float(np.exp(-logits[0][best])))


def both_sequences(seed: str) -> list[Dataset]:
    patient = two_sequences.Head(seed=seed, patient=Patient(patient_id=f"VIGIL-{seed}"))
    return [*two_sequences.t1(patient), *two_sequences.flair(patient)]


def as_compared(network: bytes, sent: Sequence[Dataset], answer: dict[str, Any], results: Sequence[Dataset]) -> None:
    """On the T1 alone, and where the lesion was put into both: by the images' own places, read by no code of ours."""
    assert answer["kind"] == "positive"
    segmented = segmentation(results, sent)
    slices = np.flatnonzero(segmented.any(axis=(1, 2)))
    assert all(sent[index].SeriesDescription.startswith("t1") for index in slices)
    places = []
    for index, row, column in np.argwhere(segmented):
        image = sent[index]
        along_row, along_column = np.array(image.ImageOrientationPatient[:3]), np.array(image.ImageOrientationPatient[3:])
        places.append(np.array(image.ImagePositionPatient, float) + along_row.astype(float) * column * image.PixelSpacing[1]
                      + along_column.astype(float) * row * image.PixelSpacing[0])
    assert np.abs(np.mean(places, axis=0) - two_sequences.LESION_AT_MM).max() < 2
    assert answer["measured"]["value"] == pytest.approx(two_sequences.LESION_ML, rel=0.2)


def at_mm(column: float, row: float, slice_: float, shape: tuple[int, ...] = (40, 128, 128)) -> tuple[int, ...]:
    """The voxel of a place from the middle of the field of view."""
    return tuple(int(value / spacing + count / 2) for value, spacing, count in zip(
        (slice_, row, column), SPACING_MM, shape, strict=True))


def presences(container: Dataset) -> set[tuple[str, str]]:
    """Of each finding whether it is present or absent, wherever the report says so."""
    found: set[tuple[str, str]] = set()
    for item in container.get("ContentSequence", []):
        if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodingSchemeDesignator == "99EXAMPLE":
            found.add((item.ConceptNameCodeSequence[0].CodeValue, item.ConceptCodeSequence[0].CodeValue))
        found |= presences(item)
    return found


def itk_image(sent: Sequence[Dataset]) -> Any:
    image = SimpleITK.GetImageFromArray(np.stack([item.pixel_array - 1024.0 for item in sent]).astype(np.float32))
    image.SetSpacing([SPACING_MM[2], SPACING_MM[1], SPACING_MM[0]])
    return image


def segmentation(results: Sequence[Dataset], sent: Sequence[Dataset]) -> NDArray[np.bool_]:
    """[slice, row, column], put together by the references of each frame."""
    found, = (item for item in results if item.SOPClassUID == SEGMENTATION)
    index = {str(image.SOPInstanceUID): number for number, image in enumerate(sent)}
    whole = np.zeros((len(sent), found.Rows, found.Columns), np.bool_)
    for frame, pixels in zip(found.PerFrameFunctionalGroupsSequence, np.atleast_3d(found.pixel_array), strict=True):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        whole[index[str(source)]] |= pixels > 0
    return whole


CASES = (
    Case("outline-in-3d", u_net, head, as_outlined),
    Case("classify-a-picture", lambda: classifier(as_bytes(plane(opacity=False)), as_bytes(plane(opacity=True))), film,
         as_classified),
    Case("find-in-each-slice", detector, chest, as_found),
    Case("compare-two-sequences", two_sequences.network, both_sequences, as_compared),
)


def vigil(*words: str) -> str:
    done = CliRunner().invoke(app, ["models", *words])
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.output


def packaged(case: Case, folder: Path) -> Path:
    """From a bare graph: what ``new`` wrote of its file goes into the example; then validate, a golden case, test."""
    graph = folder / f"{case.example}.onnx"
    graph.write_bytes(case.network())
    text = (EXAMPLES / f"{case.example}.yaml").read_text("utf-8")
    identity = next(line for line in text.splitlines() if line.startswith("id: ")).removeprefix("id: ")
    made = json.loads(vigil("new", str(graph), "--in", str(folder / "models"), "--id", identity, "--json"))
    manifest = Path(made["manifest"])
    sum_line, = (line for line in manifest.read_text("utf-8").splitlines() if line.strip().startswith("model.onnx: "))
    lines = [sum_line if line.strip().startswith("model.onnx: ~") else line for line in text.splitlines()]
    manifest.write_text("\n".join(lines) + "\n", "utf-8")
    vigil("validate", str(manifest.parent))
    images = folder / "images" / identity
    images.mkdir(parents=True)
    for number, image in enumerate(case.study(f"golden {identity}")):
        (images / f"{number:03}.dcm").write_bytes(dicom_bytes(image))
    vigil("golden", str(manifest.parent), "--images", str(images), "--name", "as it was looked at")
    vigil("test", str(manifest.parent))
    return manifest.parent


def test_each_example_of_the_guide_goes_from_a_bare_network_to_the_pacs(tmp_path: Path) -> None:
    packages = {case.example: packaged(case, tmp_path) for case in CASES}
    whole = Hospital(tmp_path / "hospital", approve=False, vigil={
        "ModelsDirectory": str(tmp_path / "models"), "Models": {path.name: {"Stage": "live"} for path in packages.values()},
        "Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}})
    orthanc = whole.orthanc
    try:
        whole.folder.mkdir(parents=True)
        whole.ris.start()
        whole.pacs.start()
        orthanc.start()
        wait_until("each is refused as yet", lambda: missing(whole).count("nobody at this site approved") == len(packages))
        for path in packages.values():
            vigil("approve", path.name, "--by", "A stranger", "--config", str(orthanc.configuration_path))
        wait_until("every model is ready", lambda: not missing(whole))
        for case in CASES:
            sent = case.study(f"sent {case.example}")
            assert modality.send(sent, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
            uid = str(sent[0].StudyInstanceUID)
            analysis, = wait_settled(whole, uid)
            census = take_census(whole, uid, {str(image.SOPInstanceUID) for image in sent})
            assert census.in_orthanc == census.in_pacs == census.made
            case.agrees(packages[case.example].joinpath("model.onnx").read_bytes(), sent, analysis["answer"],
                        results_of(whole, census))
    finally:
        whole.kill()


def missing(whole: Hospital) -> str:
    """What Vigil says of itself."""
    try:
        whole.orthanc.get("/vigil/health/ready")
    except OrthancRefused as refused:
        return refused.said()
    return ""


def results_of(whole: Hospital, census: Census) -> list[Dataset]:
    found = [item for uid in census.made for item in whole.orthanc.post("/tools/lookup", uid.encode())]
    return [dcmread(BytesIO(whole.orthanc.get_bytes(f"/instances/{item['ID']}/file"))) for item in found]
