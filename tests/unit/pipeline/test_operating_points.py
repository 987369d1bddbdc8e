"""Which operating point a study is judged at: from the site's settings through roster, evaluator and analyst. A setting that
names what the model does not have stops that model at the start, and no other."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from pydantic import ValidationError
from without_orthanc import AtOnce, Orthanc, Undrawn

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.moving_clock import MovingClock
from hospital.seeded_networks import graph
from vigil.domain.answer import Answer, AnswerKind
from vigil.domain.errors import Category
from vigil.domain.manifest import Manifest
from vigil.imaging.arrived import ArrivedImages
from vigil.inference.quarantine import CrashMarker
from vigil.inference.registry import Registry
from vigil.inference.runtime import Runtime
from vigil.intake.study import HeaderCache
from vigil.pipeline.analyse import STORE
from vigil.pipeline.evaluate import INFER, Evaluator
from vigil.pipeline.reference import References
from vigil.pipeline.retry import Backoff
from vigil.pipeline.roster import Roster, models_state
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
POINTS: dict[str, Any] = {
    "default": {"positive": 30.0, "indeterminate": 5.0}, "sensitive": {"positive": 5.0}, "specific": {"positive": 20.0},
    "of one scanner": {"positive": 8.0, "for": {"manufacturers": ["siemens"], "models": ["force", "drive"]}},
}
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

    def answer(self, manufacturer: str, model: str = "", name: str = "dense") -> tuple[str, Answer]:
        """Of a new study of this scanner: the operating point, and what the model answers."""
        study = hashlib.sha256(f"{manufacturer}{model}{name}".encode()).hexdigest()[:8]
        self.orthanc.files[study] = images(study, manufacturer, model, self.clock)
        self.ledger.touch_studies([study], self.clock.now())
        self.evaluator.evaluate(study, told_stable=True)
        record = next(item for item in self.ledger.analyses(study) if item.analysis.model_id == name)
        assert record.answer is not None
        return record.analysis.operating_point, record.answer


def images(study: str, manufacturer: str, model: str, clock: MovingClock) -> list[bytes]:
    """The very same pixels of every scanner: 12 mL that are dense."""
    hu = np.full((SIDE, SIDE, SIDE), -1000.0)
    hu[2:18, 2:18, 2:18] = 40.0
    hu[5:15, 5:15, 5:15] = 400.0
    acquisition = Acquisition(f"points {study}", SPACING, declare_images=True, started=clock.now())
    made = []
    for image in ct_series(hu, acquisition):
        image.Manufacturer, image.ManufacturerModelName = manufacturer, model
        made.append(dicom_bytes(image))
    return made


def manifest(name: str, network: bytes) -> dict[str, Any]:
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
        "operating_points": POINTS,
        "finding": {"concept": CODE, "category": CODE, "site": CODE, "measurement": CODE, "unit": "mL",
                    "positive": "{value}", "negative": "{value}", "indeterminate": "{value}"},
        "limitations": ["none"], "changes": {"1.0.0": "First."},
    }  # fmt: skip


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, which differ in their names alone."""
    folder = tmp_path_factory.mktemp("models")
    network = graph([helper.make_node("Identity", ["image"], ["map"])], {}, {"image": ["n", 1, "d", "h", "w"]},
                    {"map": ["n", 1, "d", "h", "w"]})
    for name in ("dense", "other"):
        (folder / name).mkdir()
        (folder / name / "model.onnx").write_bytes(network)
        (folder / name / "manifest.yaml").write_text(json.dumps(manifest(name, network)))
    return folder


@pytest.fixture
def site(ledger: Ledger, clock: MovingClock, log: Log, settings: Callable[..., Settings], packages: Path,
         tmp_path: Path) -> Iterator[Callable[..., Site]]:
    opened: list[Runtime] = []

    def start(**of_dense: Any) -> Site:
        held = settings(ModelsDirectory=str(packages), Models={
            "dense": {"Stage": "live", **of_dense}, "other": {"Stage": "live"}})
        for package in Registry(packages).installed():
            assert package.sha256 is not None
            ledger.record_model_event(ModelEvent(
                clock.now(), package.model_id, "1.0.0", package.sha256, Happened.APPROVED, "Dr. Ada", Use.MAIN))
        runtime = Runtime(provider="cpu", threads=1, allow_cpu_fallback=False, memory_budget_mib=2048,
                          marker=tmp_path / "in-flight.json")
        opened.append(runtime)
        roster = Roster(settings=held, ledger=ledger, runtime=runtime, stop=threading.Event(), log=log)
        roster.take_up()
        orthanc, engine, headers = Orthanc(clock), AtOnce(), HeaderCache()
        audit, references = Audit(ledger), References(orthanc, ledger, held)  # type: ignore[arg-type]
        engine.workers |= {STORE: lambda subject, attempt: type("Done", (), {"follow": ()}), INFER: Undrawn(
            gateway=orthanc, ledger=ledger, audit=audit, references=references, models=roster,  # type: ignore[arg-type]
            runtime=runtime, headers=headers, images=ArrivedImages(1 << 20, 60), reading=CrashMarker(tmp_path / "reading.json"),
            device=DeviceIdentity("test", "1.2.3", "0", "none"), options=lambda _: ResultOptions(), backoff=Backoff(1, 1),
            clock=clock, stop=threading.Event(), log=log, metrics=Metrics())}
        evaluator = Evaluator(
            gateway=orthanc, ledger=ledger, audit=audit, settings=held, settings_sha256="s",  # type: ignore[arg-type]
            models=roster, engine=engine, headers=headers, clock=clock, log=log, metrics=Metrics(),  # type: ignore[arg-type]
            triage=Triage(gateway=orthanc, references=references, headers=headers, models=roster,  # type: ignore[arg-type]
                          settings=held))
        return Site(ledger, clock, orthanc, roster, evaluator, held, runtime)

    yield start
    for runtime in opened:
        runtime.close()


SCANNERS = [{"Manufacturer": "siemens", "OperatingPoint": "sensitive"}, {"Manufacturer": "ge", "OperatingPoint": "specific"}]


def test_one_value_of_the_network_is_answered_by_the_scanner_that_made_the_images(site: Callable[..., Site]) -> None:
    started = site(Scanners=SCANNERS)
    told = {maker: started.answer(maker) for maker in ("SIEMENS", "GE MEDICAL SYSTEMS", "Canon")}
    assert {answer.measured.value for _, answer in told.values() if answer.measured is not None} == {12.0}
    assert {maker: (point, answer.kind) for maker, (point, answer) in told.items()} == {
        "SIEMENS": ("sensitive", AnswerKind.POSITIVE), "GE MEDICAL SYSTEMS": ("specific", AnswerKind.NEGATIVE),
        "Canon": ("default", AnswerKind.INDETERMINATE)}
    assert [answer.criterion.threshold for _, answer in told.values() if answer.criterion is not None] == [5.0, 20.0, 30.0]


@pytest.mark.parametrize("wrong", [
    {"OperatingPoint": "sensitve"},
    {"Scanners": [*SCANNERS, {"Manufacturer": "canon", "OperatingPoint": "sensitve"}]},
], ids=["for all", "for one scanner"])
def test_a_point_that_the_model_has_not_stops_it_at_the_start_and_no_other(
    site: Callable[..., Site], wrong: dict[str, Any]
) -> None:
    started = site(**wrong)
    problem = started.roster["dense"].problem
    assert problem is not None
    assert problem.category is Category.SETTINGS_INVALID
    assert "Vigil.Models.dense." in problem.text
    assert "an operating point 'sensitve' that the model does not have; give one of default, of one scanner, sensitive, spec" in (
        problem.text)
    told = {item["id"]: (item["problem"], item["runtime"]) for item in
            models_state(started.roster, started.settings, started.runtime)}
    assert told["dense"] == ({"category": "settings-invalid", "text": problem.text}, "not loaded")
    assert told["other"][0] is None
    _, answer = started.answer("SIEMENS")
    assert answer.kind is AnswerKind.FAILED, "also for a scanner whose own rule is right: nobody knows what else was meant"
    assert "This is not a negative result" in answer.sentence
    assert started.answer("SIEMENS", name="other")[1].kind is AnswerKind.INDETERMINATE


@pytest.mark.parametrize(("scanner", "why"), [
    ({"Manufacturer": "siemens", "Model": "force"}, None),
    ({"Manufacturer": "SIEMENS Healthineers", "Model": "Somatom Drive"}, None),
    ({"Manufacturer": "siemens"}, "Scanners[0].OperatingPoint"),
    ({"Manufacturer": "siemens", "Model": "go"}, "Scanners[0].OperatingPoint"),
    ({"Manufacturer": "ge", "Model": "force"}, "Scanners[0].OperatingPoint"),
    ({}, "dense.OperatingPoint"),
])
def test_a_point_that_is_meant_for_a_scanner_is_given_to_no_other(
    site: Callable[..., Site], scanner: dict[str, str], why: str | None
) -> None:
    point = {"OperatingPoint": "of one scanner"}
    started = site(**({"Scanners": [scanner | point]} if scanner else point))
    problem = started.roster["dense"].problem
    assert (problem is None) is (why is None)
    if problem is not None and why is not None:
        assert why in problem.text
        assert "for scanners of manufacturer siemens of model force or drive alone" in problem.text
        assert "give one of default, sensitive, specific" in problem.text
    elif problem is None:
        assert started.answer("Siemens Healthineers", scanner["Model"])[0] == "of one scanner"


def test_the_point_of_every_scanner_is_meant_for_no_single_one() -> None:
    described = manifest("dense", b"") | {"operating_points": {"default": POINTS["of one scanner"]}}
    with pytest.raises(ValidationError, match=r"operating_points\.default is for every scanner"):
        Manifest.model_validate(described)
