"""From masks to an answer: what counts, what is left out, which slices are shown first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from inference_cases import OUTPUTS, ball, content, manifest_of, radius_mm
from numpy.typing import NDArray

from vigil.domain.answer import Answer, AnswerKind
from vigil.domain.errors import Category
from vigil.domain.manifest import Manifest
from vigil.imaging.resample import resample
from vigil.imaging.volume import Volume
from vigil.inference.hyperdense import answer
from vigil.inference.morphology import Mask

SIZE = 60


def manifest(**changes: Any) -> Manifest:
    return Manifest.model_validate(manifest_of("case", content(), **changes))


def answered(volume: Volume, **masks: Mask) -> tuple[Answer, dict[str, Mask]]:
    """``masks`` replace what plain thresholds would give."""
    hu = volume.voxels
    plain = {"inside": hu > -500, "dense": hu >= 55, "raised": hu >= 50} | masks
    outputs: dict[str, NDArray[np.number]] = {name: plain[name][None, None].astype(np.uint8) for name in OUTPUTS}
    return answer(outputs, resample(volume, (2.0, 2.0, 2.0)), volume, manifest(), "default")


def millilitres(found: Answer) -> float:
    assert found.measured is not None
    return found.measured.value


def box(z: slice, y: slice, x: slice) -> Mask:
    mask = np.zeros((SIZE,) * 3, np.bool_)
    mask[z, y, x] = True
    return mask


def test_parts_below_the_least_size_do_not_count() -> None:
    speck, clot = box(slice(20, 22), slice(20, 22), slice(20, 22)), box(slice(30, 40), slice(30, 40), slice(30, 40))
    found, masks = answered(ball(), dense=speck | clot, raised=speck | clot)
    assert millilitres(found) == pytest.approx(1000 * 8 / 1000)  # the speck has 64 microlitres, the least is 100
    assert not masks["dense"][speck].any()


def test_a_region_goes_on_into_what_is_raised_and_no_further_than_it_may() -> None:
    seed = box(slice(28, 32), slice(28, 32), slice(28, 32))
    raised = box(slice(10, 50), slice(28, 32), slice(28, 32))
    _, masks = answered(ball(), dense=seed, raised=raised)
    assert not masks  # 0.5 mL and its growth: negative
    seed = box(slice(25, 35), slice(25, 35), slice(25, 35))
    raised = box(slice(10, 50), slice(25, 35), slice(25, 35))
    _, masks = answered(ball(), dense=seed, raised=raised)
    slices = np.flatnonzero(masks["dense"].any(axis=(1, 2)))
    assert (slices.min(), slices.max()) == (24, 35)  # 3 mm are one voxel of 2 mm


def test_what_is_dense_counts_also_where_it_is_not_said_to_be_raised() -> None:
    clot = box(slice(30, 40), slice(30, 40), slice(30, 40))
    found, _ = answered(ball(), dense=clot, raised=np.zeros_like(clot))
    assert millilitres(found) == pytest.approx(8.0)


@pytest.mark.parametrize(("columns", "kind"), [(25, AnswerKind.POSITIVE), (24, AnswerKind.INDETERMINATE)])
def test_at_the_threshold_it_is_positive_and_below_it_abstains(columns: int, kind: AnswerKind) -> None:
    clot = box(slice(29, 30), slice(18, 43), slice(18, 18 + columns))  # 25 x 25 voxels of 8 microlitres: 5.0 mL
    found, _ = answered(ball(), dense=clot, raised=clot)
    assert found.kind is kind
    assert millilitres(found) == pytest.approx(0.2 * columns)


def test_what_lies_outside_the_cavity_does_not_count() -> None:
    corner = box(slice(0, 12), slice(0, 12), slice(0, 12))
    found, _ = answered(ball(), dense=corner, raised=corner, inside=(ball().voxels > -500) | corner)
    assert millilitres(found) == 0
    assert found.kind is AnswerKind.NEGATIVE


def test_the_largest_section_is_shown_first_and_the_others_lie_apart() -> None:
    small, large = box(slice(20, 26), slice(28, 34), slice(28, 34)), box(slice(36, 42), slice(25, 37), slice(25, 37))
    large |= box(slice(38, 39), slice(24, 38), slice(24, 38))
    found, _ = answered(ball(), dense=small | large, raised=small | large)
    slices = found.findings[0].key_slices
    assert slices[0] == 38
    assert any(20 <= index < 26 for index in slices)
    assert all(abs(one - two) * 2.0 >= 10 for one in slices for two in slices if one != two)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_a_cavity_cut_at_any_side_gives_no_negative(axis: int, end: int) -> None:
    whole = ball()
    kept = slice(SIZE // 3, None) if end == 0 else slice(None, 2 * SIZE // 3)
    cut = Volume(np.ascontiguousarray(whole.voxels[tuple(kept if index == axis else slice(None) for index in range(3))]),
                 whole.affine)  # fmt: skip
    found, masks = answered(cut)
    assert found.kind is AnswerKind.NOT_ANALYSED
    assert found.reason is not None
    assert found.reason.category is Category.TRUNCATED_ANATOMY
    assert (found.measured, masks) == (None, {})


@pytest.mark.parametrize(("volume_ml", "category"), [(60, Category.TRUNCATED_ANATOMY), (0, Category.TRUNCATED_ANATOMY)])
def test_a_cavity_that_is_too_small_gives_no_answer_even_with_a_clot(volume_ml: float, category: Category) -> None:
    volume = ball(20.0)
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * 2.0
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    found, _ = answered(volume, inside=np.asarray(z**2 + y**2 + x**2 < radius_mm(volume_ml) ** 2, np.bool_))
    assert found.kind is AnswerKind.NOT_ANALYSED
    assert found.reason is not None
    assert found.reason.category is category


def test_a_cavity_that_is_too_large_is_out_of_scope() -> None:
    volume = ball()
    wide = Volume(volume.voxels, volume.affine * np.array([[2], [2], [2], [1]]))
    found, _ = answered_on(wide)
    assert found.reason is not None
    assert found.reason.category is Category.OUT_OF_SCOPE


def answered_on(volume: Volume) -> tuple[Answer, dict[str, Mask]]:
    hu = resample(volume, (2.0, 2.0, 2.0)).voxels
    outputs: dict[str, NDArray[np.number]] = {
        name: mask[None, None].astype(np.uint8)
        for name, mask in (("inside", hu > -500), ("dense", hu >= 55), ("raised", hu >= 50))
    }
    return answer(outputs, resample(volume, (2.0, 2.0, 2.0)), volume, manifest(), "default")
