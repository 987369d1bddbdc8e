"""Two networks in series: one finds the box that holds the brain, the other outlines the brain in it; then its volume.

The steps and their arithmetic are those of deepbet 1.0.2 (Fisch et al., "deepbet: Fast brain extraction of T1-weighted MRI
using Convolutional Neural Networks", Comput. Biol. Med. 2024), so that the mask is the package's own: what a step does is
in the manifest, and tests hold the whole to the package's answer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.domain.answer import Answer, AnswerKind, Finding, Measurement
from vigil.domain.codes import UNITS
from vigil.domain.errors import Category
from vigil.domain.manifest import BrainVolume, Locator, Manifest, ShapePreprocessing
from vigil.imaging.canonical import Canonical, nearest_exact
from vigil.imaging.volume import Volume
from vigil.inference.borders import borders
from vigil.inference.decide import not_measured
from vigil.inference.errors import InferenceFailed, NothingToSee
from vigil.inference.intensity import ONE_VALUE
from vigil.inference.leave import Leave
from vigil.inference.locate import box_around
from vigil.inference.morphology import Mask, largest_cluster, without_holes
from vigil.inference.outcome import Inference
from vigil.inference.session import NetworkSession

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Scale:
    """Values at or below ``low`` become 0, at or above ``high`` 1, before the z-score."""

    low: np.float32
    high: np.float32


def measure_brain(
    volume: Volume, manifest: Manifest, locator: NetworkSession, network: NetworkSession, leave: Leave
) -> Inference:
    """The brain's volume as a measurement, with its outline; "not analysed" where no whole brain is found.

    Raises: InferenceFailed for an output of another shape or with a value that is no number; those of
    :meth:`NetworkSession.run`.
    """
    timings: dict[str, float] = {}
    try:
        mask = outline_brain(volume, manifest, locator, network, leave, timings)
        answer = _answer(mask, volume, manifest)
    except NothingToSee as found:
        return Inference(not_measured(found), {}, timings, network.provider)
    return Inference(answer, {parts(manifest)[0].region: mask}, timings, network.provider)


def outline_brain(
    volume: Volume, manifest: Manifest, locator: NetworkSession, network: NetworkSession, leave: Leave,
    timings_s: dict[str, float],
) -> Mask:
    """The brain on the volume's own voxels. ``timings_s``: takes up the seconds of each stage.

    Raises: NothingToSee, and those of :func:`measure_brain`.
    """
    rule, input_, box_rule = parts(manifest)
    begun = time.perf_counter()
    canonical = Canonical.of(volume)
    image: Values = np.asarray(canonical.apply(volume.voxels), np.float32)
    small: Values = np.asarray(nearest_exact(image, box_rule.shape), np.float32)
    scale = scale_of(small, input_)
    prepared = normalised(small, scale, input_)
    timings_s["resample"] = time.perf_counter() - begun
    begun = time.perf_counter()
    likely = _channel(locator, prepared, box_rule.output, box_rule.channel, leave) > box_rule.threshold
    box = box_around(likely, (image.shape[0], image.shape[1], image.shape[2]), box_rule)
    timings_s["locator"] = time.perf_counter() - begun
    begun = time.perf_counter()
    prepared = normalised(np.asarray(nearest_exact(image[box], input_.shape), np.float32), scale, input_)
    inside = _channel(network, prepared, rule.output, rule.channel, leave) > rule.threshold
    timings_s["network"] = time.perf_counter() - begun
    begun = time.perf_counter()
    size = image[box].shape
    found = np.asarray(nearest_exact(inside, (size[0], size[1], size[2])), np.bool_)
    if not found.any():
        raise NothingToSee("no brain could be outlined")
    mask: Mask = np.zeros(volume.voxels.shape, np.bool_)
    np.asarray(canonical.apply(mask))[box] = without_holes(largest_cluster(found))
    timings_s["postprocess"] = time.perf_counter() - begun
    return mask


def parts(manifest: Manifest) -> tuple[BrainVolume, ShapePreprocessing, Locator]:
    """What the manifest of this kind of model has; its own check sees to it that all is there."""
    rule, input_, locator = manifest.postprocessing, manifest.preprocessing, manifest.locator
    if not isinstance(rule, BrainVolume) or not isinstance(input_, ShapePreprocessing) or locator is None:
        raise InferenceFailed("the manifest is not one of a brain volume model")
    return rule, input_, locator


def scale_of(small: Values, input_: ShapePreprocessing) -> Scale:
    """Raises: NothingToSee where all values are the same."""
    low, high = (np.float32(value) for value in np.quantile(small, input_.clamp_quantiles))
    if not high > low:
        raise NothingToSee(ONE_VALUE)
    return Scale(low, high)


def normalised(values: Values, scale: Scale, input_: ShapePreprocessing) -> Values:
    """Clamped to the quantiles, then a z-score (standard deviation of n - 1, as PyTorch's) on the network's own scale."""
    clamped: Values = np.clip((values - scale.low) / (scale.high - scale.low), np.float32(0), np.float32(1))
    mean, deviation = clamped.mean(dtype=np.float64), clamped.std(dtype=np.float64, ddof=1)
    if not deviation > 0:
        raise NothingToSee(ONE_VALUE)
    clamped -= np.float32(mean)
    clamped *= np.float32(input_.deviation / deviation)
    clamped += np.float32(input_.mean)
    return clamped


def _channel(session: NetworkSession, prepared: Values, name: str, channel: int, leave: Leave) -> Values:
    output = session.run(prepared[None, None], leave)[name]
    if output.ndim != 5 or output.shape[0] != 1 or output.shape[1] <= channel or output.shape[2:] != prepared.shape:
        raise InferenceFailed(f"the output '{name}' has shape {output.shape}; it must be channels of its input's shape")
    values: Values = output[0, channel]
    if not np.isfinite(values.sum(dtype=np.float64)):
        raise InferenceFailed(f"the output '{name}' holds a value that is no number")
    return values


def _answer(mask: Mask, volume: Volume, manifest: Manifest) -> Answer:
    rule, _, _ = parts(manifest)
    entry = manifest.finding
    value_ml = float(np.count_nonzero(mask)) * volume.voxel_ml
    _insist_whole(value_ml, mask, rule)
    measured = Measurement(entry.measurement.code(), value_ml, UNITS[entry.unit])
    largest_section = int(np.count_nonzero(mask, axis=(1, 2)).argmax())
    finding = Finding(
        concept=entry.concept.code(), category=entry.category.code(), site=entry.site.code(), measurements=(measured,),
        region=rule.region, key_slices=(largest_section,),
    )
    sentence = entry.measured.format(value=f"{value_ml:.1f}", unit=measured.unit.value, threshold="")
    return Answer(AnswerKind.MEASURED, sentence, measured=measured, findings=(finding,))


def _insist_whole(value_ml: float, mask: Mask, rule: BrainVolume) -> None:
    """Raises: NothingToSee."""
    low, high = rule.plausible_ml.minimum, rule.plausible_ml.maximum
    if low is not None and value_ml < low:
        raise NothingToSee(
            f"only {value_ml:.0f} mL of brain were found; at least {low:.0f} mL are expected", category=Category.TRUNCATED_ANATOMY
        )
    if high is not None and value_ml > high:
        raise NothingToSee(f"{value_ml:.0f} mL of brain were found; at most {high:.0f} mL are expected")
    for share in (border.share for border in borders(mask)):
        if share > rule.largest_open_share:
            raise NothingToSee(
                f"the images end inside the brain: one border cuts {share:.0%} of its largest section",
                category=Category.TRUNCATED_ANATOMY,
            )
