"""What an analysis of one volume comes to."""

from __future__ import annotations

from dataclasses import dataclass, field

from vigil.domain.answer import Answer
from vigil.inference.morphology import Mask
from vigil.inference.regions import PatientBox


@dataclass(frozen=True, eq=False)
class Inference:
    """A model's answer on one volume. ``masks``: by region, [slice, row, column] of the *source*. ``timings_s``: by
    stage (resample, locator where there is one, network, postprocess). ``provider``: "cpu" or "cuda", as the session says.
    ``boxes``: what a detector found, in the patient. ``runtime``: what ran it, for people. ``batch``: windows, tiles or slices
    that were run together at the end, where the memory did not hold as many as the manifest says."""

    answer: Answer
    masks: dict[str, Mask]
    timings_s: dict[str, float]
    provider: str
    boxes: tuple[PatientBox, ...] = field(default=())
    runtime: str = ""
    batch: int | None = None
