"""A detector's boxes on the source's own voxels, each with its score as it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vigil.domain.answer import Measurement
from vigil.domain.boxes import PatientBox, Rectangle
from vigil.domain.codes import CERTAINTY_OF_FINDING, PERCENT
from vigil.domain.concepts import Code
from vigil.domain.manifest import Manifest
from vigil.domain.manifest.fitting import deciding_measurement
from vigil.domain.manifest.measurements import Score
from vigil.domain.manifest.operating import Calibration
from vigil.domain.manifest.postprocessing import RegionRule
from vigil.imaging.placing import PlacedGrid
from vigil.inference.calibrate import calibrated
from vigil.inference.detect import Detected
from vigil.inference.morphology import Mask


def patient_boxes(
    manifest: Manifest, rules: Sequence[RegionRule], found: Mapping[str, Sequence[Detected]], grid: PlacedGrid,
    masks: Mapping[str, Mask],
) -> dict[str, tuple[PatientBox, ...]]:
    """By region, the highest score first. ``found``: by output; ``masks``: the regions as they were cleaned. A box of which
    nothing is left in its region counts for nothing."""
    made: dict[str, tuple[PatientBox, ...]] = {}
    for rule in rules:
        concept, calibration = _score(manifest, rule.output)
        boxes = []
        for box in found.get(rule.output, ()):
            slices, rows, columns = spans = grid.spans_back(box.low, box.high)
            if masks[rule.name][spans].any():
                score = Measurement(concept, round(100.0 * calibrated(box.score, calibration), 1), PERCENT)
                boxes.append(PatientBox(score, tuple(
                    Rectangle(index, rows.start, rows.stop, columns.start, columns.stop)
                    for index in range(slices.start, slices.stop))))
        if boxes:
            made[rule.name] = tuple(boxes)
    return made


def _score(manifest: Manifest, output: str) -> tuple[Code, Calibration | None]:
    """As what a score of this output is told, and how it is calibrated: alike in a box and in what decides."""
    for decided in manifest.decided:
        rule = deciding_measurement(decided.entry.decided_by, manifest.measurements)
        if isinstance(rule, Score) and rule.output == output:
            return decided.entry.measurement.code(), decided.calibration
    for rule in manifest.measurements:
        if isinstance(rule, Score) and rule.output == output and rule.concept is not None:
            return rule.concept.code(), None
    return CERTAINTY_OF_FINDING, None
