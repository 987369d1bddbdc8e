"""What the results room is asked for: one analysis, its answer, and the images that it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from vigil.domain.answer import Analysis, Answer, Finding, Measurement
from vigil.domain.boxes import PatientBox
from vigil.domain.codes import CERTAINTIES, PERCENT
from vigil.domain.manifest import Manifest, PermittedOutput, RegulatoryStatus
from vigil.results.errors import ReferenceUnusable, RequestContradicts
from vigil.results.heat_map import HeatMap
from vigil.results.options import ResultOptions
from vigil.results.planes import frame_header


@dataclass(frozen=True)
class DeviceIdentity:
    """The installation that speaks. ``device_uid`` is stable for an installation and a model; ``runtime`` is for people,
    for example "ONNX Runtime 1.26.0 CPU"."""

    installation_name: str
    device_uid: str
    bundle_version: str
    runtime: str


@dataclass(frozen=True)
class PredecessorReport:
    """The structured report that this result supersedes."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True, eq=False)
class ResultRequest:
    """Everything that a result says. The same request makes the same bytes (law 4).

    ``reference``: header of one image of the study; who the patient is and which study it is are copied from it.
    ``sources``: headers of the analysed slices in the order of the stack, empty where nothing was analysed. Of a
    multi-frame image its header stands once a slice, and ``frames`` numbers each slice's frame (from 1); ``frames`` is
    empty where every slice is an image of its own. A radiograph is a stack of one slice. ``further_sources``: of a model of
    several inputs the headers of each other series that it was given.
    ``voxels``: [slice, row, column] of ``sources``, after the modality's rescaling: in HU for CT. ``masks``: by the name
    of a region, in the same geometry; the heat map likewise. ``boxes``: by the name of a region that a detector found, those
    that it is made of: a finding that has them is shown by them, and not by the outline of its mask.
    """

    analysis: Analysis
    answer: Answer
    manifest: Manifest
    reference: Dataset
    device: DeviceIdentity
    sources: Sequence[Dataset] = ()
    voxels: NDArray[np.float32] | None = None
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    predecessor: PredecessorReport | None = None
    frames: Sequence[int] = ()
    heat_map: HeatMap | None = None
    options: ResultOptions = field(default_factory=ResultOptions)
    further_sources: Sequence[Sequence[Dataset]] = ()
    boxes: Mapping[str, Sequence[PatientBox]] = field(default_factory=dict)

    def permits(self, output: PermittedOutput) -> bool:
        """Whether the model's clearance lets this output out (law 5)."""
        return output in self.manifest.regulatory.permitted_outputs

    def lets_out(self, measurement: Measurement | None) -> bool:
        """Whether the clearance lets this number out."""
        return self.manifest.regulatory.lets_out(None if measurement is None else measurement.concept)

    @property
    def is_research(self) -> bool:
        return self.manifest.regulatory.status is RegulatoryStatus.RESEARCH

    @property
    def shows_contours(self) -> bool:
        """Only an answer that has a place, of a model that may say where: a contour is a claim."""
        return (
            self.answer.kind.shows_place
            and self.permits(PermittedOutput.LOCATION)
            and self.permits(PermittedOutput.CONTOUR)
        )

    def boxes_of(self, finding: Finding) -> Sequence[PatientBox]:
        """Those that show a finding. Whether it may be shown says its place: :func:`vigil.results.key_slices.drawn`."""
        return self.boxes.get(finding.region or "", ())

    def mask_of(self, finding: Finding) -> NDArray[np.bool_] | None:
        """The mask that shows a finding; None where it has none, or an empty one."""
        return self.masks[finding.region or ""] if self.slices_of(finding) else None

    def slices_of(self, finding: Finding) -> tuple[int, ...]:
        """Indices of the slices that bear the mask of a finding."""
        return self._bearing.get(finding.region, ()) if finding.region else ()

    @cached_property
    def _bearing(self) -> Mapping[str, tuple[int, ...]]:
        """Looked through once: a mask has the size of the study, and is asked for by every object."""
        return {name: tuple(np.flatnonzero(mask.any(axis=(1, 2))).tolist()) for name, mask in self.masks.items()}

    def plane(self, index: int) -> Dataset:
        """The header of a slice, with place, spacing and window at its top, also where it is a frame of an image."""
        frame = self.frame(index)
        return self.sources[index] if frame is None else frame_header(self.sources[index], frame)

    def frame(self, index: int) -> int | None:
        """The number of a slice's frame, from 1; None where the slice is an image of its own."""
        return self.frames[index] if self.frames else None

    def check(self) -> None:
        """
        Raises:
            ReferenceUnusable: the reference is not of the analysed study.
            RequestContradicts: the numbers of slices and frames, or the shapes of voxels, masks and heat map differ; or a
                certainty is no percentage.
        """
        if str(self.reference.get("StudyInstanceUID", "")) != self.analysis.study_instance_uid:
            raise ReferenceUnusable("The reference instance is of another study than the analysis. Hand in one of its own.")
        if self.frames and len(self.frames) != len(self.sources):
            raise RequestContradicts(
                f"{len(self.frames)} frame numbers do not fit {len(self.sources)} source slices: one number a slice, or none."
            )
        for measurement in self._measurements():
            if measurement.concept in CERTAINTIES and not (measurement.unit == PERCENT and 0 <= measurement.value <= 100):
                raise RequestContradicts(
                    f"{measurement.concept} is {measurement.value:g} {measurement.unit.value}: it is told in %, from 0 to 100."
                )
        if self.voxels is None:
            return
        if self.voxels.ndim != 3 or self.voxels.shape[0] != len(self.sources):
            raise RequestContradicts(
                f"Voxels of shape {self.voxels.shape} do not fit {len(self.sources)} source slices: one plane a slice."
            )
        for name, mask in self.masks.items():
            if mask.shape != self.voxels.shape:
                raise RequestContradicts(f"Mask '{name}' has shape {mask.shape}, the voxels have {self.voxels.shape}.")
        slices, rows, columns = self.voxels.shape
        for part in (part for boxes in self.boxes.values() for box in boxes for part in box.rectangles):
            if not (part.index < slices and 0 <= part.top < part.bottom <= rows and 0 <= part.left < part.right <= columns):
                raise RequestContradicts(f"A box lies outside of the voxels, whose shape is {self.voxels.shape}: {part}.")
        if self.heat_map is not None and self.heat_map.values.shape != self.voxels.shape:
            raise RequestContradicts(
                f"The heat map has shape {self.heat_map.values.shape}, the voxels have {self.voxels.shape}."
            )

    def _measurements(self) -> Iterator[Measurement]:
        if self.answer.measured is not None:
            yield self.answer.measured
        yield from (part.measured for part in self.answer.parts if part.measured is not None)
        for finding in self.answer.findings:
            yield from finding.measurements
        yield from (box.score for boxes in self.boxes.values() for box in boxes)
