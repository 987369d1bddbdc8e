"""What an analysis of one volume comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vigil.domain.answer import Answer
from vigil.domain.boxes import PatientBox
from vigil.inference.morphology import Mask


@dataclass(frozen=True, eq=False)
class Inference:
    """A model's answer on one volume. ``masks``: by region, [slice, row, column] of the *source*. ``timings_s``: by
    stage (resample, locator where there is one, network, postprocess). ``provider``: "cpu" or "cuda", as the session says.
    ``boxes``: by region, of those that a detector found. ``runtime``: what ran it, for people. ``batch``: windows, tiles or
    slices that were run together at the end, where the memory did not hold as many as the manifest says."""

    answer: Answer
    masks: dict[str, Mask]
    timings_s: dict[str, float]
    provider: str
    boxes: Mapping[str, tuple[PatientBox, ...]] = field(default_factory=dict)
    runtime: str = ""
    batch: int | None = None
