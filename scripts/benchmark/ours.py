"""The product's own way from the files of a study to its result objects, called from outside as the pipeline calls it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from benchmark.network import NetworkDoor
from benchmark.stopwatch import Laps, now
from benchmark.studies import Study
from hospital.orthanc import REPOSITORY
from vigil import __version__
from vigil.domain.answer import Analysis, Answer, InputInstance
from vigil.domain.gateway import ChangesPage, InstanceRecord, OrthancSystem, StoreOutcome, StudyRecord
from vigil.domain.identity import digest, object_uid
from vigil.domain.manifest import Manifest
from vigil.imaging.load import load_stack
from vigil.imaging.volume import Volume
from vigil.inference.registry import InstalledModel, Registry
from vigil.inference.runtime import Runtime
from vigil.intake.appraise import appraise
from vigil.intake.header import read_dataset
from vigil.intake.stack import build_stack
from vigil.intake.study import HeaderCache, StudyReader
from vigil.results import RENDERER_VERSION
from vigil.results.objects import ResultObject
from vigil.results.request import DeviceIdentity, ResultRequest
from vigil.results.secondary_capture import key_slices, summary
from vigil.results.segmentation import segmentation
from vigil.results.structured_report import structured_report
from vigil.results.warm import warm

HEADERS, PIXELS, RESAMPLE = "headers", "decode and stack", "resample"
POSTPROCESS = "model's own postprocessing"
CAPTURES, OUTLINE, REPORT = "secondary captures", "segmentation", "structured report"
NOT_COMPARED = frozenset({POSTPROCESS})
"""Belongs to the model, and nobody else's chain has it."""

STUDY_ID = "study"
ARRIVED = datetime(2026, 1, 1, tzinfo=UTC)


class NotAnswered(Exception):
    """The product did not want the study, so there is nothing to measure."""


@dataclass(frozen=True, eq=False)
class Answered:
    """What came of a study, with what another chain needs to make the same: the mask and the key slices."""

    answer: Answer
    masks: dict[str, NDArray[np.bool_]]
    objects: tuple[ResultObject, ...]
    manifest: Manifest


class MemoryGateway:
    """Files in memory in the place of Orthanc (:class:`vigil.domain.gateway.Gateway`): reading costs nothing, as from a warm
    cache."""

    def __init__(self, study_uid: str, files: Sequence[bytes]) -> None:
        self._uid = study_uid
        self._files = {f"{index:05d}": dicom for index, dicom in enumerate(files)}
        self._records = [InstanceRecord(key, key, "series", file_uuid=key) for key in self._files]

    def system(self) -> OrthancSystem:
        return OrthancSystem("memory", "0", "MEMORY")

    def changes(self, since: int, limit: int) -> ChangesPage:
        del limit
        return ChangesPage((), since, True)

    def last_change(self) -> int:
        return 0

    def study_of(self, instance_orthanc_id: str) -> str | None:
        return STUDY_ID if instance_orthanc_id in self._files else None

    def series_updated_at(self, series_orthanc_id: str) -> datetime | None:
        del series_orthanc_id
        return ARRIVED

    def study(self, orthanc_study_id: str) -> StudyRecord | None:
        return StudyRecord(orthanc_study_id, self._uid, "patient", ARRIVED, True)

    def study_of_series(self, series_orthanc_id: str) -> str | None:
        del series_orthanc_id
        return STUDY_ID

    def studies_with_uid(self, study_instance_uid: str) -> list[str]:
        return [STUDY_ID] if study_instance_uid == self._uid else []

    def instances(self, orthanc_study_id: str) -> list[InstanceRecord]:
        del orthanc_study_id
        return self._records

    def instance(self, instance_orthanc_id: str) -> InstanceRecord | None:
        return next((record for record in self._records if record.orthanc_id == instance_orthanc_id), None)

    def dicom(self, instance_orthanc_id: str) -> bytes | None:
        return self._files.get(instance_orthanc_id)

    def sender(self, instance_orthanc_id: str) -> str:
        return ""

    def label(self, orthanc_study_id: str, label: str) -> bool:
        raise NotImplementedError

    def store(self, dicom: bytes) -> StoreOutcome:
        raise NotImplementedError("results are stored in a real Orthanc, in the cases that go through it")


@dataclass(frozen=True, eq=False)
class Loaded:
    """A series in memory, with what else the rest of the way needs."""

    volume: Volume
    sources: tuple[Dataset, ...]
    inputs: tuple[InputInstance, ...]


class Loader:
    """From a study's files to the volume of the series that the model wants: every check that the product makes included."""

    def __init__(self, model_id: str) -> None:
        self.model = _installed(model_id)
        assert self.model.manifest is not None
        self.manifest = self.model.manifest

    def load(self, study_uid: str, files: Sequence[bytes], laps: Laps) -> Loaded:
        """Raises: NotAnswered."""
        gateway, headers = MemoryGateway(study_uid, files), HeaderCache()
        with laps.stage(HEADERS):
            content = StudyReader(gateway, _nothing_of_ours, headers).read(STUDY_ID)
            assert content is not None
            appraisal = appraise(content, self.manifest, now=datetime.now(UTC), quiet_since=ARRIVED)
        if appraisal.stack is None:
            raise NotAnswered(f"the model did not want the study: {appraisal.verdict} ({appraisal.reason})")
        with laps.stage(PIXELS):
            chosen = [headers.of_content(item.orthanc_id, item.content_sha256) for item in appraisal.inputs]
            stack = build_stack(filter(None, chosen), self.manifest.inputs[0].spacing_tolerance)
            loaded = load_stack(stack, gateway.dicom)
            volume, sources = loaded.volume, tuple(read_dataset(head) for head in loaded.heads)
        return Loaded(volume, sources, appraisal.inputs)


class Product:
    """One model, loaded and warm as after a start of Orthanc; ``folder`` holds its marker. The network runs on one thread."""

    def __init__(self, model_id: str, folder: Path) -> None:
        self._loader = Loader(model_id)
        self.door = NetworkDoor()
        self._runtime = Runtime(
            provider="cpu", threads=1, allow_cpu_fallback=False, memory_budget_mib=8192, marker=folder / "in-flight"
        )
        self._runtime.load(self._loader.model)
        warm()

    def run(self, study: Study, laps: Laps) -> Answered:
        """From the files to the objects' bytes, all but the network's own run; a stage a lap.

        Raises: NotAnswered.
        """
        manifest = self._loader.manifest
        loaded = self._loader.load(study.study_uid, study.files, laps)
        point = "default" if manifest.operating_points else ""
        begun = now()
        self.door.watch()
        with self.door.open():
            inference = self._runtime.run(self._loader.model, loaded.volume, operating_point=point, stop=threading.Event())
        ended = now()
        if self.door.entered is None or self.door.left is None:
            raise NotAnswered("the network was not asked")
        laps.add(RESAMPLE, self.door.entered - begun)
        # Between two networks in series lies preparation, too.
        laps.add(RESAMPLE, self.door.left - self.door.entered - self.door.inside)
        laps.add(POSTPROCESS, ended - self.door.left)
        request = ResultRequest(
            analysis=_analysis(study, manifest, loaded.inputs, point), answer=inference.answer, manifest=manifest,
            reference=loaded.sources[0], device=_device(self._runtime.describe(manifest.id)), sources=loaded.sources,
            voxels=loaded.volume.voxels, masks=inference.masks,
        )  # fmt: skip
        return Answered(inference.answer, inference.masks, _rendered(request, laps), manifest)


def _rendered(request: ResultRequest, laps: Laps) -> tuple[ResultObject, ...]:
    """:func:`vigil.results.make.make_results`, one part after the other."""
    with laps.stage(CAPTURES):
        request.check()
        made = [summary(request), *key_slices(request)]
    with laps.stage(OUTLINE):
        outlined = segmentation(request)
    with laps.stage(REPORT):
        report = structured_report(request)
    return (*made, *([outlined] if outlined else []), report)


def _installed(model_id: str) -> InstalledModel:
    found = [model for model in Registry(REPOSITORY / "models").installed() if model.model_id == model_id]
    if not found or found[0].problem is not None:
        raise NotAnswered(f"the model {model_id} is not installed, or broken")
    return found[0]


def _nothing_of_ours(_: Iterable[str]) -> set[str]:
    return set()


def _device(runtime: str) -> DeviceIdentity:
    return DeviceIdentity("benchmark", object_uid("benchmark", "device"), __version__, runtime)


def _analysis(study: Study, manifest: Manifest, inputs: tuple[InputInstance, ...], point: str) -> Analysis:
    return Analysis(
        analysis_id=digest("benchmark", study.study_uid)[:32], orthanc_study_id=STUDY_ID, study_instance_uid=study.study_uid,
        model_id=manifest.id, model_version=manifest.version, weights_sha256=manifest.weights_sha256, operating_point=point,
        renderer_version=RENDERER_VERSION, settings_sha256="0" * 64, inputs_sha256="0" * 64, inputs=inputs, created_at=ARRIVED,
        correlation_id="benchmark", stage="live",
    )  # fmt: skip


