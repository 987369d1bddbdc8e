"""A model run as its manifest describes it: prepare, locate, go over, outline, measure, decide; no code of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vigil.domain.answer import Answer, AnswerKind, Measurement, Reason
from vigil.domain.codes import UNITS
from vigil.domain.errors import Category
from vigil.domain.manifest import Decided, Manifest, TensorPreprocessing
from vigil.domain.manifest.fitting import deciding_measurement
from vigil.domain.manifest.measurements import MeasurementRule, Score, region_of
from vigil.domain.manifest.operating import Calibration
from vigil.domain.manifest.outputs import Detection, HeatMap, Segmentation
from vigil.domain.manifest.postprocessing import Regions
from vigil.domain.manifest.strategy import LARGEST_BATCH, WholeVolume
from vigil.imaging.placing import Box, PlacedGrid, plan
from vigil.imaging.volume import Volume
from vigil.inference.aligned import Aligned, aligned
from vigil.inference.borders import borders
from vigil.inference.calibrate import calibrated
from vigil.inference.decide import finding_of, judge, not_analysed, not_measured
from vigil.inference.ensemble import Member, averaged, members_of, spread_of, weighed
from vigil.inference.errors import InferenceFailed, NothingToSee
from vigil.inference.forward import Batch, Forward
from vigil.inference.intensity import settled
from vigil.inference.key_slices import key_slices
from vigil.inference.leave import Leave
from vigil.inference.locate import box_around
from vigil.inference.measure import Seen, measured
from vigil.inference.morphology import Mask
from vigil.inference.outcome import Inference
from vigil.inference.patient_boxes import patient_boxes
from vigil.inference.prepare import Prepared, prepare, wanted_of
from vigil.inference.qualify import MAY_BE_LARGER
from vigil.inference.regions import Understood, outline, understood
from vigil.inference.sessions import Session
from vigil.inference.several import Told, answer_of
from vigil.inference.strategy.go_over import Given, go_over
from vigil.inference.tensor_form import channels_of


@dataclass(frozen=True, eq=False)
class Parts:
    """What a manifest of this kind has, narrowed to its types."""

    manifest: Manifest
    input_: TensorPreprocessing
    regions: Regions
    batch: Batch

    @classmethod
    def of(cls, manifest: Manifest, batch: Batch) -> Parts:
        input_, regions = manifest.preprocessing, manifest.postprocessing
        if not isinstance(input_, TensorPreprocessing) or not isinstance(regions, Regions):
            raise InferenceFailed("the manifest is not one of a model that is run by its description")
        return cls(manifest, input_, regions, batch)

    def deciding(self, decided: Decided) -> MeasurementRule:
        rule = deciding_measurement(decided.entry.decided_by, self.manifest.measurements)
        if rule is None:
            raise InferenceFailed("the manifest names no measurement that decides")
        return rule

    def shown(self, decided: Decided) -> str | None:
        """The region that shows the finding. A detector's score is of its boxes, and they are what there is to show."""
        rule = self.deciding(decided)
        return decided.entry.region or region_of(rule) or next((
            region.name for region in self.regions.regions if isinstance(rule, Score) and region.output == rule.output
            and any(isinstance(output, Detection) and output.name == rule.output for output in self.manifest.outputs)), None)

    def further(self, decided: Decided) -> Iterator[MeasurementRule]:
        """What decides nothing and is told with a finding: with each one whose region it is of, else with the main one."""
        shown = {self.shown(one) for one in self.manifest.decided} - {None}
        for rule in self.manifest.measurements:
            region = region_of(rule)
            mine = region == self.shown(decided) if region in shown else decided.name == self.manifest.decided[0].name
            if rule.concept is not None and mine:
                yield rule

    def forward(self, session: Session, leave: Leave) -> Forward:
        outputs = self.manifest.outputs
        return Forward(
            session, self.input_.layout, self.input_.dtype,
            frozenset(output.tensor for output in outputs if isinstance(output, Segmentation | HeatMap)),
            tuple((output.boxes, output.scores) for output in outputs if isinstance(output, Detection)), leave,
            channels_of(self.manifest.network, self.manifest), len(self.input_.channels), self.batch,
        )

    def prepared(self, volumes: Aligned, *, box: Box | None = None, on: tuple[int, int, int] | None = None) -> Prepared:
        return prepare(volumes, self.input_, self.manifest.reference.name, box=box, on=on)


def analyse(
    volume: Volume, manifest: Manifest, locator: Session | None, networks: Sequence[Session],
    operating_point: str, leave: Leave, further: Mapping[str, Volume] | None = None, *, batch: int = LARGEST_BATCH,
) -> Inference:
    """The answer, its regions on the source's own voxels, and boxes in the patient. ``volume``: of the first input; ``further``:
    of the others, by name. ``networks``: the one that decides, or all of an ensemble. ``batch``: how many windows, tiles or
    slices at a time there is room for.

    Raises: InferenceFailed where the network gives what the manifest does not say, or no number; those of
    :meth:`vigil.inference.session.NetworkSession.run`.
    """
    parts, timings, provider = Parts.of(manifest, Batch(batch)), dict[str, float](), networks[0].provider
    try:
        begun = time.perf_counter()
        volumes = aligned(volume, further or {}, manifest)
        timings["resample"] = time.perf_counter() - begun
        box = None
        if locator is not None:
            parts, box = _located(volumes, parts, locator, leave, timings)
        begun = time.perf_counter()
        prepared = parts.prepared(volumes, box=box)
        timings["resample"] += time.perf_counter() - begun
        begun = time.perf_counter()
        grid = prepared.grid
        found, spreads = _predicted(parts, prepared, volume, members_of(networks, manifest.ensemble), leave, timings)
        leave.look()
        masks = {rule.name: outline(rule, found, grid, volume) for rule in parts.regions.regions}
        _insist_plausible(parts, masks, volume)
        answer = _answer(parts, Seen(volume, masks, found), operating_point, spreads)
        boxes = patient_boxes(manifest, parts.regions.regions, found.boxes, grid, masks)
    except NothingToSee as why:
        told = not_measured(why) if manifest.finding.measured else not_analysed(Reason(why.category, why.message))
        return Inference(told, {}, timings, provider)
    timings["postprocess"] = time.perf_counter() - begun - timings["network"]
    shown = {name: mask for name, mask in masks.items() if mask.any()} if answer.findings else {}
    fewer = parts.batch.most if parts.batch.most < manifest.strategy.batch else None
    return Inference(answer, shown, timings, provider, boxes if answer.findings else {}, batch=fewer)


def _predicted(
    parts: Parts, prepared: Prepared, volume: Volume, members: Sequence[Member], leave: Leave, timings: dict[str, float],
) -> tuple[Understood, tuple[float | None, ...]]:
    """What the network gives, the mean of all predictions where there are several, and how far these differ in what decides each
    finding."""
    decided = parts.manifest.decided
    values: tuple[list[float], ...] = tuple([] for _ in decided)
    timings["network"] = 0.0

    def each() -> Iterator[Understood]:
        for member in members:
            begun = time.perf_counter()
            given = go_over(member.given(prepared.tensor), parts.manifest.strategy, parts.forward(member.session, leave))
            timings["network"] += time.perf_counter() - begun
            found = understood(member.turned_back(given), parts.manifest.outputs, prepared.grid.shape)
            if len(members) > 1:
                leave.look()
                for one, measured_alone in zip(decided, values, strict=True):
                    measured_alone.append(_alone(parts, one, found, prepared.grid, volume))
            yield found

    return averaged(each()), tuple(spread_of(of_one) for of_one in values)


def _alone(parts: Parts, decided: Decided, found: Understood, grid: PlacedGrid, volume: Volume) -> float:
    """What one prediction by itself would measure."""
    rule = parts.deciding(decided)
    region = region_of(rule)
    masks = {item.name: outline(item, found, grid, volume) for item in parts.regions.regions if item.name == region}
    value = _told(rule, parts, Seen(volume, masks, found), decided.calibration)
    if value is None:
        raise InferenceFailed(f"a single prediction has no '{rule.name}'")
    return value


def _located(
    volumes: Aligned, parts: Parts, session: Session, leave: Leave, timings: dict[str, float]
) -> tuple[Parts, Box]:
    """The box for the deciding network, and its preparation with what was settled on the locator's input."""
    rule = parts.manifest.locator
    if rule is None:
        raise InferenceFailed("the manifest has no locator")
    volume = volumes.reference
    begun = time.perf_counter()
    prepared = parts.prepared(volumes, on=rule.shape)
    if parts.input_.settled_by_locator:
        steps = settled(prepared.grid.voxels, parts.input_.intensity)
        parts = replace(parts, input_=parts.input_.model_copy(update={"intensity": steps}))
    timings["resample"] += time.perf_counter() - begun
    begun = time.perf_counter()
    given = go_over(prepared.tensor, WholeVolume(), Forward(
        session, "NCDHW", "float32", frozenset({rule.output}), (), leave, channels_of(rule.network, parts.manifest),
        len(parts.input_.channels)))
    likely: Mask = np.asarray(_channel(given, rule.output, rule.channel) > rule.threshold, np.bool_)
    turned, _, _ = plan(volume, wanted_of(parts.input_))
    shape = tuple(volume.voxels.shape[axis] for axis in turned.axes)
    box = box_around(likely, (shape[0], shape[1], shape[2]), rule)
    timings["locator"] = time.perf_counter() - begun
    return parts, box


def _channel(given: Given, name: str, channel: int) -> NDArray[np.float32]:
    values = given.maps[name]
    if channel >= len(values):
        raise InferenceFailed(f"the output '{name}' has {len(values)} channels, and no channel {channel}")
    chosen: NDArray[np.float32] = values[channel]
    return chosen


def _answer(parts: Parts, seen: Seen, operating_point: str, spreads: Sequence[float | None]) -> Answer:
    cut = _cut(parts, seen)
    return answer_of([
        _one(parts, decided, seen, operating_point, spread, cut)
        for decided, spread in zip(parts.manifest.decided, spreads, strict=True)
    ])


def _one(
    parts: Parts, decided: Decided, seen: Seen, operating_point: str, spread: float | None, cut: str | None
) -> Told:
    """``cut``: where the images end inside what must be whole."""
    value = _told(parts.deciding(decided), parts, seen, decided.calibration)
    if value is None:
        return Told(decided, NothingToSee("the region whose values are measured was not found"))
    judgement, notes = weighed(judge(value, decided, operating_point), spread, parts.manifest)
    if cut is not None and judgement.kind is not AnswerKind.POSITIVE:
        return Told(decided, NothingToSee(cut, category=Category.TRUNCATED_ANATOMY))
    if cut is not None:
        notes = (*notes, f"The value {MAY_BE_LARGER}{cut}.")
    if judgement.kind is AnswerKind.NEGATIVE:
        return Told(decided, judgement, notes=notes)
    shown = parts.shown(decided)
    mask = None if shown is None else seen.masks[shown]
    region = shown if mask is not None and mask.any() else None
    slices = () if mask is None else key_slices(mask, seen.volume)
    found = finding_of(judgement, decided.entry, region, slices, _further(parts, decided, seen))
    return Told(decided, judgement, (found,), notes)


def _insist_plausible(parts: Parts, masks: Mapping[str, Mask], volume: Volume) -> None:
    """Raises: NothingToSee."""
    for rule in parts.regions.regions:
        if rule.plausible_ml is None:
            continue
        low, high = rule.plausible_ml.minimum, rule.plausible_ml.maximum
        found_ml = float(np.count_nonzero(masks[rule.name])) * volume.voxel_ml
        if not found_ml and low:
            raise NothingToSee(f"no '{rule.name}' could be outlined")
        if low is not None and found_ml < low:
            raise NothingToSee(f"only {found_ml:.0f} mL of '{rule.name}' were found; at least {low:.0f} mL are expected",
                               category=Category.TRUNCATED_ANATOMY)
        if high is not None and found_ml > high:
            raise NothingToSee(f"{found_ml:.0f} mL of '{rule.name}' were found; at most {high:.0f} mL are expected")


def _told(rule: MeasurementRule, parts: Parts, seen: Seen, calibration: Calibration | None = None) -> float | None:
    """In the unit in which it is told; a score that decides is calibrated before."""
    value = measured(rule, parts.manifest, seen)
    if not isinstance(rule, Score) or value is None:
        return value
    return 100.0 * calibrated(value, calibration)


def _further(parts: Parts, decided: Decided, seen: Seen) -> tuple[Measurement, ...]:
    made = []
    for rule in parts.further(decided):
        if rule.concept is None or rule.unit is None:
            continue  # one that decides
        value = _told(rule, parts, seen)
        if value is not None:
            made.append(Measurement(rule.concept.code(), value, UNITS[rule.unit]))
    return tuple(made)


def _cut(parts: Parts, seen: Seen) -> str | None:
    """Where the images end inside a region that must be whole."""
    for rule in parts.regions.regions:
        if rule.largest_open_share is None:
            continue
        share = max(border.share for border in borders(seen.masks[rule.name]))
        if share > rule.largest_open_share:
            return f"the images end inside '{rule.name}': one border cuts {share:.0%} of its largest section"
    return None
