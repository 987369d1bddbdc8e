"""Whether the parts of a manifest fit each other: each names only what another declares. Said when the manifest is read, so
that no study finds out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vigil.domain.codes import CERTAINTIES, UPTAKE
from vigil.domain.manifest.finding import Decided
from vigil.domain.manifest.measurements import UNITS_OF, Count, MeanValue, MeasurementRule, Ratio, Score, Value
from vigil.domain.manifest.outputs import (
    Classification,
    Detection,
    HeatMap,
    Output,
    Regression,
    Segmentation,
    tensors_of,
)
from vigil.domain.manifest.postprocessing import RegionRule, Regions
from vigil.domain.manifest.preprocessing import MOST_CHANNELS, TensorPreprocessing
from vigil.domain.manifest.sides import insist_it_can_be_held
from vigil.domain.manifest.strategy import PerSlice, SlidingWindow, Tiles
from vigil.domain.manifest.strict import CodeEntry

if TYPE_CHECKING:
    from vigil.domain.manifest.whole import Manifest


def insist_the_parts_fit(manifest: Manifest) -> None:
    """Of a manifest whose preprocessing is of kind "tensor".

    Raises: ValueError.
    """
    input_, rule = manifest.preprocessing, manifest.postprocessing
    if not isinstance(rule, Regions):
        raise ValueError("preprocessing of kind 'tensor' goes with postprocessing of kind 'regions'")
    if not isinstance(input_, TensorPreprocessing):
        raise ValueError("postprocessing 'regions' goes with preprocessing of kind 'tensor'")
    if not manifest.outputs or not manifest.measurements:
        raise ValueError("preprocessing of kind 'tensor' needs 'outputs' and 'measurements': what the network gives, and what is "
                         "told of it")
    _strategy(manifest, input_)
    _ensemble(manifest, input_)
    if input_.settled_by_locator and manifest.locator is None:
        raise ValueError("preprocessing.intensity: quantiles 'of: locator' need a 'locator'")
    if any(series.dimensions == 2 for series in manifest.inputs):
        _flat(manifest, input_, rule)
    outputs = {output.name: output for output in manifest.outputs}
    if len(outputs) != len(manifest.outputs):
        raise ValueError("each of outputs must have a name of its own")
    for output in manifest.outputs:
        for tensor in tensors_of(output):
            if tensor not in manifest.network.outputs:
                raise ValueError(f"outputs '{output.name}': the tensor '{tensor}' is none of network.outputs")
        if isinstance(manifest.strategy, SlidingWindow) and not isinstance(output, Segmentation | HeatMap):
            raise ValueError(f"outputs '{output.name}': a sliding window blends segmentations and heat maps, no {output.kind}")
        if isinstance(manifest.strategy, Tiles) and isinstance(output, Regression):
            raise ValueError(f"outputs '{output.name}': the number that a tile gives is none of the image")
    for region in rule.regions:
        _region(region, outputs)
    names = {region.name for region in rule.regions}
    for measurement in manifest.measurements:
        _measurement(measurement, names, outputs)
    _finding(manifest, names)
    _uptake(manifest)


def _strategy(manifest: Manifest, input_: TensorPreprocessing) -> None:
    strategy = manifest.strategy
    if input_.of_slices != isinstance(strategy, PerSlice | Tiles):
        raise ValueError("strategy 'per-slice' or 'tiles' goes with preprocessing.layout NCHW or NHWC, and no other does")
    if isinstance(strategy, PerSlice):
        channels = len(input_.channels) * (2 * strategy.neighbours + 1)
        if channels > MOST_CHANNELS:
            raise ValueError(f"strategy.neighbours makes {channels} channels; at most {MOST_CHANNELS} are given")
        _, height, width = input_.shape
        insist_it_can_be_held("a batch of slices", (strategy.batch, channels, height or 1, width or 1))
    if isinstance(strategy, SlidingWindow):
        insist_it_can_be_held("strategy.window", (strategy.batch, len(input_.channels), *strategy.window))
    if isinstance(strategy, Tiles):
        insist_it_can_be_held("strategy.tile", (strategy.batch, len(input_.channels), *strategy.tile))


def _ensemble(manifest: Manifest, input_: TensorPreprocessing) -> None:
    rule = manifest.ensemble
    if rule is None:
        return
    if manifest.network.file in rule.files:
        raise ValueError(f"ensemble.files: '{manifest.network.file}' is network.file already")
    if input_.of_slices and any("D" in flip for flip in rule.flips):
        raise ValueError("ensemble.flips: a network of slices is flipped along H and W alone")
    if any(isinstance(output, Detection) for output in manifest.outputs):
        raise ValueError("an ensemble averages probabilities and numbers; of a detection's boxes there is no mean")
    for item in manifest.decided:
        deciding = deciding_measurement(item.entry.decided_by, manifest.measurements)
        if isinstance(deciding, MeanValue | Ratio):
            raise ValueError(f"an ensemble is not decided by a {deciding.kind}: a single prediction may have nothing to take it "
                             "of")
    if rule.abstain_above_spread is not None and manifest.finding.measured:
        raise ValueError("ensemble.abstain_above_spread goes with a finding that decides")


def _flat(manifest: Manifest, input_: TensorPreprocessing, rule: Regions) -> None:
    """A projection has rows and columns, and no depth: millilitres and diameters of it would be made up."""
    if not input_.of_slices or input_.orientation != "SPL" or input_.shape[0] is not None or input_.spacing_mm[0] is not None:
        raise ValueError("an input of dimensions 2 goes with preprocessing.orientation SPL (rows and columns as they are looked "
                         "at), layout NCHW or NHWC, and neither shape nor spacing_mm for the first axis")
    if isinstance(manifest.strategy, PerSlice) and manifest.strategy.neighbours:
        raise ValueError("an input of dimensions 2 has no neighbours; take out strategy.neighbours")
    for measurement in manifest.measurements:
        if measurement.kind in ("volume", "longest-diameter"):
            raise ValueError(f"measurement '{measurement.name}': a projection image has no {measurement.kind}")
    if any(region.minimum_ml > 0 or region.plausible_ml or region.largest_open_share for region in rule.regions):
        raise ValueError("postprocessing.regions: minimum_ml, plausible_ml and largest_open_share are of volumes; take them out "
                         "for an input of dimensions 2")


def _region(region: RegionRule, outputs: dict[str, Output]) -> None:
    output = outputs.get(region.output)
    if not isinstance(output, Segmentation | HeatMap | Detection):
        raise ValueError(f"region '{region.name}': '{region.output}' is no segmentation, heat map or detection of 'outputs'")
    if isinstance(output, Detection):
        if region.decide != "threshold" or "channel" in region.model_fields_set:
            raise ValueError(f"region '{region.name}': a detection has neither 'channel' nor 'decide'; its boxes are the region")
        return
    if region.channel >= output.channels:
        raise ValueError(f"region '{region.name}': channel {region.channel} of '{region.output}' is not there; it has "
                         f"{output.channels}, counted from 0")
    if region.decide == "argmax" and output.channels < 2:
        raise ValueError(f"region '{region.name}': 'argmax' needs two channels or more; use 'threshold'")


def _measurement(rule: MeasurementRule, regions: set[str], outputs: dict[str, Output]) -> None:
    where = f"measurement '{rule.name}'"
    if isinstance(rule, Score):
        output = outputs.get(rule.output)
        if isinstance(output, Classification):
            if rule.class_name not in output.classes:
                raise ValueError(f"{where}: class_name must be one of {', '.join(output.classes)}")
        elif not isinstance(output, Detection | HeatMap):
            raise ValueError(f"{where}: '{rule.output}' is no classification, detection or heat map of 'outputs'")
        elif rule.class_name is not None:
            raise ValueError(f"{where}: class_name goes with a classification; take it out")
    elif isinstance(rule, Value):
        if not isinstance(outputs.get(rule.output), Regression):
            raise ValueError(f"{where}: '{rule.output}' is no regression of 'outputs'")
    else:
        for name in (rule.region, rule.of) if isinstance(rule, Ratio) else (rule.region,):
            if name not in regions:
                raise ValueError(f"{where}: '{name}' is none of postprocessing.regions")
    if rule.unit is not None:
        _unit(where, rule, rule.unit)
    if isinstance(rule, Score) and rule.concept is not None:
        _certainty(where, rule.concept)


def _uptake(manifest: Manifest) -> None:
    """A mean is told in the unit that the voxels have."""
    units = {item.entry.decided_by or manifest.measurements[0].name: item.entry.unit for item in manifest.decided}
    for rule in manifest.measurements:
        unit = units.get(rule.name, rule.unit)
        if isinstance(rule, MeanValue) and (unit == UPTAKE.value) != (manifest.reference.values == "suv-bw"):
            raise ValueError(f"measurement '{rule.name}': a mean is told in '{UPTAKE.value}' where the first input has values "
                             "'suv-bw', and nowhere else")


def _unit(where: str, rule: MeasurementRule, unit: str) -> None:
    if unit not in UNITS_OF[rule.kind]:
        raise ValueError(f"{where}: a {rule.kind} is told in {' or '.join(sorted(UNITS_OF[rule.kind]))}, not in '{unit}'")


def _certainty(where: str, concept: CodeEntry) -> None:
    """A score under a name of its own would pass as a measurement where a clearance permits no score (law 5)."""
    if concept.code() not in CERTAINTIES:
        said = ", ".join(sorted(str(code) for code in CERTAINTIES))
        raise ValueError(f"{where}: a score is told as one of {said}, not as {concept.code()}")


def _finding(manifest: Manifest, regions: set[str]) -> None:
    measurements = {rule.name: rule for rule in manifest.measurements}
    if len(measurements) != len(manifest.measurements):
        raise ValueError("each of measurements must have a name of its own")
    deciding = [_deciding(item, manifest).name for item in manifest.decided]
    if len(set(deciding)) != len(deciding):
        raise ValueError("further_findings: each finding is decided by a measurement of its own ('decided_by')")
    for rule in manifest.measurements:
        if (rule.concept is None) != (rule.name in deciding):
            raise ValueError(f"measurement '{rule.name}': concept and unit stand in every measurement but the one that decides; "
                             "the finding says that one's ('measurement' and 'unit')")
    for item in manifest.decided:
        _decided(item, _deciding(item, manifest), regions)


def _deciding(item: Decided, manifest: Manifest) -> MeasurementRule:
    rule = deciding_measurement(item.entry.decided_by, manifest.measurements)
    if rule is None:
        raise ValueError(f"{item.name}.decided_by '{item.entry.decided_by}' is none of measurements")
    return rule


def _decided(item: Decided, deciding: MeasurementRule, regions: set[str]) -> None:
    """Of one finding. What stands beside the main one in the manifest is called as it stands there."""
    entry, beside = item.entry, "" if item.name == "finding" else f"{item.name}."
    _unit(f"{item.name}.unit", deciding, entry.unit)
    if isinstance(deciding, Score):
        _certainty(f"{item.name}.measurement", entry.measurement)
    if entry.region is not None and entry.region not in regions:
        raise ValueError(f"{item.name}.region '{entry.region}' is none of postprocessing.regions")
    if item.calibration is not None and not isinstance(deciding, Score):
        raise ValueError(f"{beside}calibration is of a score; the measurement that decides is none")
    if isinstance(deciding, Count) and any(point.positive < 1 for point in item.operating_points.values()):
        raise ValueError(f"{beside}operating_points: a count is positive from 1 on at the lowest")


def deciding_measurement(name: str | None, rules: Sequence[MeasurementRule]) -> MeasurementRule | None:
    return rules[0] if name is None and rules else next((rule for rule in rules if rule.name == name), None)
