"""A site in memory with models that outline what is dense: roster, evaluator, ledger and analyst are the product's own."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper
from without_orthanc import AtOnce, Orthanc, Undrawn

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.moving_clock import MovingClock
from hospital.seeded_networks import graph
from vigil.domain.answer import Answer
from vigil.imaging.arrived import ArrivedImages
from vigil.inference.quarantine import CrashMarker
from vigil.inference.registry import Registry
from vigil.inference.runtime import Runtime
from vigil.intake.study import HeaderCache
from vigil.pipeline.analyse import STORE
from vigil.pipeline.evaluate import INFER, Evaluator
from vigil.pipeline.reference import References
from vigil.pipeline.retry import Backoff
from vigil.pipeline.roster import Roster
from vigil.pipeline.urgency import Triage
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.records.model_events import Happened, ModelEvent, Use
from vigil.results.options import ResultOptions
from vigil.results.request import DeviceIdentity
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

CODE = {"value": "X-DENSE", "scheme": "99T", "meaning": "Dense"}
PATIENCE_S = 4000.0
SIDE, SPACING = 20, (3.0, 2.0, 2.0)


@dataclass
class Site:
    ledger: Ledger
    clock: MovingClock
    orthanc: Orthanc
    roster: Roster
    evaluator: Evaluator
    settings: Settings
    runtime: Runtime

    def answer(self, manufacturer: str, model: str = "", name: str = "dense", *, lacking: int = 0,
               laterality: str = "") -> tuple[str, Answer]:
        """Of a new study of this scanner: the operating point, and what the model answers. ``lacking``: how many of its images
        never come."""
        study = hashlib.sha256(f"{manufacturer}{model}{name}{lacking}{laterality}".encode()).hexdigest()[:8]
        self.orthanc.files[study] = images(study, manufacturer, model, self.clock, laterality)[: SIDE - lacking]
        self.ledger.touch_studies([study], self.clock.now())
        self.evaluator.evaluate(study, told_stable=True)
        if lacking:
            self.clock.move(PATIENCE_S)
            self.evaluator.evaluate(study)
        record = next(item for item in self.ledger.analyses(study) if item.analysis.model_id == name)
        assert record.answer is not None
        return record.analysis.operating_point, record.answer


def images(study: str, manufacturer: str, model: str, clock: MovingClock, laterality: str) -> list[bytes]:
    """The very same pixels of every scanner: 12 mL that are dense."""
    hu = np.full((SIDE, SIDE, SIDE), -1000.0)
    hu[2:18, 2:18, 2:18] = 40.0
    hu[5:15, 5:15, 5:15] = 400.0
    acquisition = Acquisition(f"points {study}", SPACING, declare_images=True, started=clock.now())
    made = []
    for image in ct_series(hu, acquisition):
        image.Manufacturer, image.ManufacturerModelName = manufacturer, model
        if laterality:
            image.Laterality = laterality
        made.append(dicom_bytes(image))
    return made


def manifest(name: str, network: bytes, finding: dict[str, Any], points: dict[str, Any]) -> dict[str, Any]:
    accepted = {"values": "accept", "saturation": "accept", "truncation": "accept"}
    return {
        "schema_version": 1, "id": name, "version": "1.0.0", "name": "Dense", "vendor": "Test", "licence": "MIT",
        "summary": "Test",
        "regulatory": {"status": "research", "intended_use": "For the test of operating points.",
                       "permitted_outputs": ["measurement"]},
        "files": {"model.onnx": hashlib.sha256(network).hexdigest()},
        "scope": {"modality": ["CT"], "body_part": {"any_of": ["HEAD"]}},
        "inputs": [{"name": "ct", "minimum_slices": 10, "minimum_coverage_mm": 20, "quality": accepted}],
        "preprocessing": {"kind": "tensor", "orientation": "RAS"},
        "network": {"file": "model.onnx", "input": "image", "outputs": ["map"]},
        "outputs": [{"kind": "segmentation", "name": "map", "tensor": "map", "channels": 1}],
        "postprocessing": {"kind": "regions", "regions": [{"name": "dense", "output": "map", "threshold": 200.0}]},
        "measurements": [{"name": "volume", "kind": "volume", "region": "dense"}],
        "operating_points": points,
        "finding": {"concept": CODE, "category": CODE, "site": CODE, "measurement": CODE, "unit": "mL",
                    "positive": "{value}", "negative": "{value}", "indeterminate": "{value}", **finding},
        "limitations": ["none"], "changes": {"1.0.0": "First."},
    }  # fmt: skip


def install(folder: Path, *names: str, points: dict[str, Any], **finding: Any) -> Path:
    """Models that differ in their names alone."""
    network = graph([helper.make_node("Identity", ["image"], ["map"])], {}, {"image": ["n", 1, "d", "h", "w"]},
                    {"map": ["n", 1, "d", "h", "w"]})
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "model.onnx").write_bytes(network)
        (folder / name / "manifest.yaml").write_text(json.dumps(manifest(name, network, finding, points)))
    return folder


@dataclass
class Opener:
    """What a site is opened with; its runtimes are closed after the test."""

    ledger: Ledger
    clock: MovingClock
    log: Log
    settings: Callable[..., Settings]
    folder: Path
    opened: list[Runtime]

    def open(self, packages: Path, models: dict[str, Any]) -> Site:
        ledger, clock, log, folder = self.ledger, self.clock, self.log, self.folder
        held = self.settings(ModelsDirectory=str(packages), Models=models)
        for package in Registry(packages).installed():
            assert package.sha256 is not None, package.problem
            ledger.record_model_event(ModelEvent(
                clock.now(), package.model_id, "1.0.0", package.sha256, Happened.APPROVED, "Dr. Ada", Use.MAIN))
        runtime = Runtime(provider="cpu", threads=1, allow_cpu_fallback=False, memory_budget_mib=2048,
                          marker=folder / "in-flight.json")
        self.opened.append(runtime)
        roster = Roster(settings=held, ledger=ledger, runtime=runtime, stop=threading.Event(), log=log)
        roster.take_up()
        orthanc, engine, headers = Orthanc(clock), AtOnce(), HeaderCache()
        audit, references = Audit(ledger), References(orthanc, ledger, held)  # type: ignore[arg-type]
        engine.workers |= {STORE: lambda subject, attempt: type("Done", (), {"follow": ()}), INFER: Undrawn(
            gateway=orthanc, ledger=ledger, audit=audit, references=references, models=roster,  # type: ignore[arg-type]
            runtime=runtime, headers=headers, images=ArrivedImages(1 << 20, 60), reading=CrashMarker(folder / "reading.json"),
            device=DeviceIdentity("test", "1.2.3", "0", "none"), options=lambda _: ResultOptions(), backoff=Backoff(1, 1),
            clock=clock, stop=threading.Event(), log=log, metrics=Metrics())}
        evaluator = Evaluator(
            gateway=orthanc, ledger=ledger, audit=audit, settings=held, settings_sha256="s",  # type: ignore[arg-type]
            models=roster, engine=engine, headers=headers, clock=clock, log=log, metrics=Metrics(),  # type: ignore[arg-type]
            triage=Triage(gateway=orthanc, references=references, headers=headers, models=roster,  # type: ignore[arg-type]
                          settings=held))
        return Site(ledger, clock, orthanc, roster, evaluator, held, runtime)
