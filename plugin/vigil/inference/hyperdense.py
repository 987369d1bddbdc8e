"""From the network's three outputs to an answer: the dense band inside the intracranial cavity, as a region and a volume.

The cavity is the largest part of the soft tissue into which a ball of 12 mm fits, so that scalp, orbits and the spinal canal
stay outside, and so does most of an opening in the skull. Only where it was found whole may a negative be said (law 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.domain.answer import Answer, AnswerKind, Finding, Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import HyperdenseVolume, Manifest
from vigil.imaging.resample import Grid
from vigil.imaging.volume import Volume
from vigil.inference.borders import borders
from vigil.inference.decide import finding_of, judge, not_analysed
from vigil.inference.errors import InferenceFailed
from vigil.inference.key_slices import key_slices
from vigil.inference.morphology import Mask, opened, within, without_holes, without_small_parts
from vigil.inference.qualify import MAY_BE_LARGER

FACES = {(0, 0): "lowest", (0, -1): "uppermost", (1, 0): "front", (1, -1): "back", (2, 0): "right", (2, -1): "left"}
"""Faces of a grid in patient axes, by axis and end."""


@dataclass(frozen=True, eq=False)
class Cavity:
    """The inside of the skull on the grid. ``open_at``: the faces of the scan through which it goes on, with the share of
    its largest section that is cut there."""

    mask: Mask
    volume_ml: float
    open_at: tuple[tuple[str, float], ...]


def outline_cavity(inside: Mask, grid: Grid, rule: HyperdenseVolume) -> Cavity:
    """The cavity: [slice, row, column] of the grid."""
    mask = without_holes(opened(inside, rule.opening_radius_mm, grid.spacing_mm))
    return Cavity(mask, float(np.count_nonzero(mask)) * grid.voxel_ml, _open_faces(mask, rule))


def find_dense(band: Mask, raised: Mask, cavity: Cavity, grid: Grid, rule: HyperdenseVolume) -> Mask:
    """The band inside the cavity, without parts below the least size, and the raised tissue next to it.

    Smoothing draws the contour of a dense region inwards; what is raised by half restores it, and takes it up to the bone.
    """
    seeds = without_small_parts(band & cavity.mask, max(1, round(rule.minimum_component_ml / grid.voxel_ml)))
    return within(seeds, rule.growth_mm, grid.spacing_mm) & (raised | seeds) & cavity.mask


def answer(
    outputs: Mapping[str, NDArray[np.number]], grid: Grid, volume: Volume, manifest: Manifest, operating_point: str
) -> tuple[Answer, dict[str, Mask]]:
    """The answer, and the region of its finding in the source's geometry.

    Raises: InferenceFailed where an output has not the shape of the grid.
    """
    rule = manifest.postprocessing
    if not isinstance(rule, HyperdenseVolume):
        raise InferenceFailed("the manifest is not one of a hyperdense volume model")
    inside, band, raised = (
        _as_mask(outputs, name, grid) for name in (rule.cavity_output, rule.band_output, rule.raised_output)
    )
    cavity = outline_cavity(inside, grid, rule)
    if (reason := _implausible(cavity, rule)) is not None:
        return not_analysed(reason), {}
    region = grid.back(find_dense(band, raised, cavity, grid, rule))
    value_ml = float(np.count_nonzero(region)) * volume.voxel_ml
    judgement = judge(value_ml, manifest.decided[0], operating_point)
    if judgement.kind is not AnswerKind.POSITIVE and cavity.open_at:
        return not_analysed(_ends_inside(cavity)), {}
    findings: tuple[Finding, ...] = ()
    if judgement.kind is not AnswerKind.NEGATIVE and region.any():
        findings = (finding_of(judgement, manifest.finding, rule.region, key_slices(region, volume)),)
    notes = (f"The volume {MAY_BE_LARGER}{_ends_inside(cavity).text}.",) if cavity.open_at else ()
    return judgement.answer(findings, notes), {rule.region: region} if findings else {}


def _implausible(cavity: Cavity, rule: HyperdenseVolume) -> Reason | None:
    low, high = rule.plausible_cavity_ml.minimum, rule.plausible_cavity_ml.maximum
    found = f"the inside of the skull could not be outlined: {cavity.volume_ml:.0f} mL were found"
    if low is not None and cavity.volume_ml < low:
        return Reason(Category.TRUNCATED_ANATOMY, f"{found}, at least {low:.0f} mL are expected of a whole adult head")
    if high is not None and cavity.volume_ml > high:
        return Reason(Category.OUT_OF_SCOPE, f"{found}, at most {high:.0f} mL are expected; an opening in the skull, or no head")
    return None


def _ends_inside(cavity: Cavity) -> Reason:
    faces = " and ".join(f"the {face} plane cuts {share:.0%} of the largest section" for face, share in cavity.open_at)
    return Reason(Category.TRUNCATED_ANATOMY, f"the scan ends inside the head: {faces}")


def _open_faces(mask: Mask, rule: HyperdenseVolume) -> tuple[tuple[str, float], ...]:
    found = []
    for border in borders(mask):
        name = FACES[border.axis, border.end]
        limit = rule.largest_open_share_at_base if name == "lowest" else rule.largest_open_share_elsewhere
        if border.share > limit:
            found.append((name, border.share))
    return tuple(found)


def _as_mask(outputs: Mapping[str, NDArray[np.number]], name: str, grid: Grid) -> Mask:
    values = outputs[name]
    if values.shape != (1, 1, *grid.voxels.shape):
        raise InferenceFailed(f"the output '{name}' has shape {values.shape}, not that of its input")
    mask: Mask = values[0, 0] > 0.5
    return mask
