"""The shipped hyperdense volume model: what it measures on heads of known content, and when it must not answer."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hyperdense_cases import FOLDER, ROOT, Bench, axial, installed
from numpy.typing import NDArray

from hospital.ct_head import CtHeadMissing, ct_head, with_insert
from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.phantom import INNER_TABLE_MM, Head, phantom
from vigil.domain import codes
from vigil.domain.answer import AnswerKind
from vigil.domain.errors import Category
from vigil.domain.manifest import RegulatoryStatus
from vigil.imaging.load import load_volume
from vigil.inference.runtime import Inference
from vigil.intake.header import read_header
from vigil.intake.stack import build_stack

SMALL = Head()  # 40 slices of 128 x 128, 4 mm
GOLDEN = json.loads((FOLDER / "golden" / "golden.json").read_text())
WHOLE = 0.995
"""Share of the inside of the skull that must be in the images for a negative."""

Spacing = tuple[float, float, float]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("marker"))


@pytest.fixture(scope="module")
def real() -> tuple[NDArray[np.int16], Spacing]:
    try:
        return ct_head()
    except CtHeadMissing as missing:
        pytest.skip(str(missing))


def head(bench: Bench, made: Head) -> Inference:
    return bench.run(axial(phantom(made), made.spacing_mm))


def value(inference: Inference) -> float:
    assert inference.answer.measured is not None
    return inference.answer.measured.value


def test_the_package_is_whole_and_says_that_it_is_research() -> None:
    model = installed()
    assert model.problem is None
    assert model.verify() is None
    assert model.manifest is not None
    assert model.manifest.regulatory.status is RegulatoryStatus.RESEARCH
    assert {path.name for path in FOLDER.iterdir()} == {"manifest.yaml", "model.onnx", "CARD.md", "LICENSE", "golden"}


def test_its_codes_are_those_of_the_house() -> None:
    manifest = installed().manifest
    assert manifest is not None
    finding = manifest.finding
    assert (finding.concept.code(), finding.measurement.code()) == (codes.HYPERDENSE_REGION, codes.HYPERDENSE_VOLUME)
    assert (finding.category.code(), finding.site.code()) == (codes.MORPHOLOGICALLY_ALTERED_STRUCTURE, codes.BRAIN)


def test_no_sentence_says_that_a_haemorrhage_was_found() -> None:
    manifest = installed().manifest
    assert manifest is not None
    assert "haemorrhage" not in manifest.finding.positive.lower()
    for sentence in (manifest.finding.negative, manifest.finding.indeterminate):
        assert "does not exclude haemorrhage" in sentence


def test_the_script_makes_the_network_byte_for_byte() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "make-hyperdense-model"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    manifest = installed().manifest
    assert manifest is not None
    assert done.stdout.strip() == manifest.weights_sha256


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_the_golden_cases_give_what_they_gave(bench: Bench, case: dict[str, Any]) -> None:
    described = case["head"] | {"spacing_mm": tuple(case["head"]["spacing_mm"])}
    answer = head(bench, Head(**described)).answer
    expected = case["expected"]
    assert answer.kind.value == expected["kind"]
    if expected["value"] is None:
        assert answer.measured is None
        return
    assert answer.measured is not None
    assert answer.measured.value == pytest.approx(expected["value"], abs=expected["tolerance"])
    assert answer.measured.unit.value == expected["unit"]
    telling = answer.findings[0].key_slices[0] if answer.findings else None
    assert telling == expected["most_telling_slice"]


@pytest.mark.parametrize(("true_ml", "tolerance"), [(1, 0.5), (2, 0.6), (5, 0.8), (10, 1.0), (20, 1.0), (40, 2.0)])
def test_spheres_of_known_volume_are_measured(bench: Bench, true_ml: float, tolerance: float) -> None:
    assert value(head(bench, replace(SMALL, insert_ml=float(true_ml)))) == pytest.approx(true_ml, abs=tolerance)


@pytest.mark.parametrize("made", [
    Head(110, 200, (1.5, 1.1, 1.1), noise_hu=20, insert_ml=10.0),
    Head(56, 160, (3.0, 1.4, 1.4), insert_ml=10.0),
    Head(34, 160, (5.0, 1.4, 1.4), insert_ml=10.0),
    Head(64, 160, (3.0, 1.4, 1.4), insert_ml=10.0, tilt_degrees=20.0),
], ids=["1.5 mm, noisy", "3 mm", "5 mm", "tilted"])  # fmt: skip
def test_ten_millilitres_are_ten_in_thin_thick_noisy_and_tilted_series(bench: Bench, made: Head) -> None:
    assert value(head(bench, made)) == pytest.approx(10.0, abs=0.8)
    assert value(head(bench, replace(made, insert_ml=None))) < 0.3


def test_a_layer_along_the_skull_of_8_mm_is_positive(bench: Bench) -> None:
    assert head(bench, replace(SMALL, extra_axial_mm=8.0)).answer.kind is AnswerKind.POSITIVE


@pytest.mark.parametrize("orientation", [
    (1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1), (1, 0, 0, 0, -1, 0),
], ids=["axial", "turned over", "sagittal", "coronal", "feet first"])  # fmt: skip
def test_the_region_lies_on_the_insert_in_every_orientation_of_the_series(
    bench: Bench, orientation: tuple[float, float, float, float, float, float]
) -> None:
    """The phantom is cut along the series' own axes, sent as DICOM and read back; the region must cover the insert's place."""
    made = Head(64, 64, (3.0, 3.6, 3.6), insert_ml=20.0, marker=True)
    hu, at = phantom(made), np.array(made.insert_at_mm)
    row, column = np.array(orientation[:3], dtype=float), np.array(orientation[3:], dtype=float)
    normal = np.cross(row, column)
    # Of the phantom (slices along z, rows along y, columns along x): which of its axes becomes which of the series.
    wanted = [int(np.argmax(np.abs(direction))) for direction in (normal, column, row)]
    axes = [2 - patient for patient in wanted]
    cut = hu.transpose(axes)
    for axis, direction in enumerate((normal, column, row)):
        if direction[wanted[axis]] < 0:
            cut = np.flip(cut, axis)
    spacing = tuple(made.spacing_mm[axis] for axis in axes)
    middle = (np.array(cut.shape) - 1) / 2
    directions = np.stack([normal, column, row], axis=1) * np.array(spacing)
    origin = -directions @ middle
    acquisition = Acquisition(
        seed="turn", spacing_mm=spacing, origin_mm=tuple(origin.tolist()), orientation=orientation  # type: ignore[arg-type]
    )
    files = {str(index): dicom_bytes(ds) for index, ds in enumerate(ct_series(cut, acquisition))}
    volume = load_volume(build_stack([read_header(name, file) for name, file in files.items()]), files.get)
    inference = bench.run(volume)
    assert value(inference) == pytest.approx(20.0, abs=1.5)
    where = np.argwhere(inference.masks["hyperdense"]).mean(axis=0)
    np.testing.assert_allclose((volume.affine @ [*where, 1.0])[:3], at, atol=1.5)
    key = inference.answer.findings[0].key_slices[0]
    areas = np.count_nonzero(inference.masks["hyperdense"], axis=(1, 2))
    assert areas[key] == areas.max()


def test_the_answer_names_threshold_unit_region_and_category(bench: Bench) -> None:
    inference = head(bench, replace(SMALL, insert_ml=20.0))
    answer = inference.answer
    assert answer.sentence == "Hyperdense volume 19.9 mL, at or above the threshold of 5.0 mL."
    assert answer.criterion is not None
    assert (answer.criterion.threshold, answer.criterion.unit) == (5.0, codes.MILLILITRE)
    finding = answer.findings[0]
    assert (finding.region, finding.acr_category) == ("hyperdense", 1)
    assert inference.masks["hyperdense"].shape == (40, 128, 128)
    assert inference.provider == "cpu"
    assert set(inference.timings_s) == {"resample", "network", "postprocess"}


def test_a_negative_states_value_and_threshold_and_excludes_nothing(bench: Bench) -> None:
    answer = head(bench, replace(SMALL, insert_ml=2.0)).answer
    assert answer.kind is AnswerKind.NEGATIVE
    assert answer.sentence == "Hyperdense volume 1.6 mL, below the threshold of 5.0 mL. This does not exclude haemorrhage."
    assert answer.findings == ()


def test_between_three_and_five_millilitres_it_abstains_and_pages_nobody(bench: Bench) -> None:
    answer = head(bench, replace(SMALL, insert_ml=4.6)).answer
    assert answer.kind is AnswerKind.INDETERMINATE
    assert answer.findings[0].acr_category is None


def test_the_real_head_is_negative_well_below_the_floor(bench: Bench, real: tuple[NDArray[np.int16], Spacing]) -> None:
    inference = bench.run(axial(*real))
    assert inference.answer.kind is AnswerKind.NEGATIVE
    assert value(inference) < 2.5


@pytest.mark.parametrize("volume_ml", [5.0, 20.0, 40.0])
def test_the_real_head_with_an_insert_is_positive_and_measured(
    bench: Bench, real: tuple[NDArray[np.int16], Spacing], volume_ml: float
) -> None:
    hu, true_ml = with_insert(*real, volume_ml)
    inference = bench.run(axial(hu, real[1]))
    assert inference.answer.kind is AnswerKind.POSITIVE
    assert true_ml == pytest.approx(volume_ml, rel=0.005)
    assert value(inference) == pytest.approx(true_ml, rel=0.1)


def cuts(count: int, step: int) -> list[tuple[int, int]]:
    """Every stack from either end, in steps."""
    return [(0, kept) for kept in range(step, count, step)] + [(count - kept, count) for kept in range(step, count, step)]


@pytest.mark.parametrize(("first", "end"), cuts(40, 3))
def test_a_phantom_cut_anywhere_is_never_negative(bench: Bench, first: int, end: int) -> None:
    heights = ((np.arange(40) + 0.5) - 20) * SMALL.spacing_mm[0]
    sections = np.maximum(0.0, 1.0 - (heights / INNER_TABLE_MM[2]) ** 2)  # of an ellipsoid, in proportion
    share = sections[first:end].sum() / sections.sum()
    answer = bench.run(axial(phantom(SMALL)[first:end], SMALL.spacing_mm)).answer
    if share < WHOLE:
        assert answer.kind is AnswerKind.NOT_ANALYSED
    if share == 1.0:
        assert answer.kind is AnswerKind.NEGATIVE
    if answer.reason is not None:
        assert answer.reason.category is Category.TRUNCATED_ANATOMY
        assert answer.measured is None


# Of the real head, by eye on its slices: the skull's inside goes from the foramen magnum (slice 7) to slice 98.
FIRST_INSIDE, LAST_INSIDE = 7, 98


@pytest.mark.parametrize(("first", "end"), [*cuts(108, 12), (0, 97), (0, 93), (13, 108), (20, 108)])
def test_the_real_head_cut_anywhere_is_never_negative(
    bench: Bench, real: tuple[NDArray[np.int16], Spacing], first: int, end: int
) -> None:
    hu, spacing = real
    answer = bench.run(axial(hu[first:end], spacing)).answer
    whole = first <= FIRST_INSIDE + 2 and end >= LAST_INSIDE
    assert answer.kind is (AnswerKind.NEGATIVE if whole else AnswerKind.NOT_ANALYSED)


def test_a_positive_leaves_from_a_cut_scan_and_says_so(bench: Bench) -> None:
    answer = bench.run(axial(phantom(replace(SMALL, insert_ml=20.0))[:30], SMALL.spacing_mm)).answer
    assert answer.kind is AnswerKind.POSITIVE
    assert answer.notes == ("The volume may be larger: the scan ends inside the head: the uppermost plane cuts 66% of the "
                            "largest section.",)  # fmt: skip


def test_a_head_beyond_the_side_of_the_images_is_not_analysed(bench: Bench) -> None:
    answer = bench.run(axial(phantom(SMALL)[:, :, 40:], SMALL.spacing_mm)).answer
    assert answer.kind is AnswerKind.NOT_ANALYSED
    assert answer.reason is not None
    assert "the right plane cuts" in answer.reason.text


@pytest.mark.parametrize("hu", [-1000.0, 0.0, 40.0, 60.0, 1000.0])
def test_what_is_no_head_is_not_analysed(bench: Bench, hu: float) -> None:
    answer = bench.run(axial(np.full((40, 64, 64), hu), (4.0, 3.0, 3.0))).answer
    assert answer.kind is AnswerKind.NOT_ANALYSED
