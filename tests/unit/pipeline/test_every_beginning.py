"""Law 2 through the pipeline: a study of 40 images whose lesion lies in the last ones, stopped after every one of them, then sent
to its end.

Evaluator, ledger, analyst and model are the product's own; Orthanc is a dictionary, a task is done as soon as it is promised, and
no result is drawn. (A few beginnings go the whole way, over the wire: tests/integration/test_stalled_studies.py.)
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from without_orthanc import AtOnce, Orthanc, Undrawn

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.moving_clock import MovingClock
from hospital.phantom import Head, phantom
from vigil.domain.answer import AnswerKind
from vigil.imaging.arrived import ArrivedImages
from vigil.imaging.volume import Volume
from vigil.inference.quarantine import CrashMarker
from vigil.inference.registry import InstalledModel
from vigil.inference.runtime import Inference, Runtime
from vigil.intake.study import HeaderCache
from vigil.pipeline.analyse import STORE
from vigil.pipeline.evaluate import INFER, Evaluator
from vigil.pipeline.reference import References
from vigil.pipeline.retry import Backoff
from vigil.pipeline.urgency import Triage
from vigil.records.audit import Audit
from vigil.records.entries import AnalysisRecord
from vigil.records.ledger import Ledger
from vigil.results.options import ResultOptions
from vigil.results.request import DeviceIdentity
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

MODEL = "hyperdense-volume-ct-head"
SLICES = 40
PATIENCE_S = 660.0
"""Of the model, and Orthanc's StableAge."""


@dataclass
class Site:
    clock: MovingClock
    orthanc: Orthanc
    ledger: Ledger
    evaluator: Evaluator
    shown: list[str]
    """Analyses whose objects were to be stored, in order."""

    def arrive(self, study: str, files: list[bytes]) -> None:
        self.orthanc.files.setdefault(study, []).extend(files)
        self.ledger.touch_studies([study], self.clock.move(1))
        self.evaluator.evaluate(study)

    def stall(self, study: str) -> None:
        """Nothing comes until the model gives up."""
        self.clock.move(PATIENCE_S)
        self.evaluator.evaluate(study)

    def shown_of(self, study: str) -> list[AnalysisRecord]:
        return [record for record in self.ledger.analyses(study) if record.analysis.analysis_id in self.shown]


class Remembering:
    """The runtime; the same images are not looked at twice."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._seen: dict[str, Inference] = {}
        self.describe = runtime.describe

    def run(self, model: InstalledModel, volume: Volume, **how: Any) -> Inference:
        key = hashlib.sha256(volume.voxels.tobytes()).hexdigest()
        if key not in self._seen:
            self._seen[key] = self._runtime.run(model, volume, **how)
        return self._seen[key]


@pytest.fixture(scope="module")
def runtime(models: dict[str, InstalledModel], tmp_path_factory: pytest.TempPathFactory) -> Remembering:
    made = Runtime(provider="cpu", threads=2, allow_cpu_fallback=False, memory_budget_mib=4096,
                   marker=tmp_path_factory.mktemp("beginnings") / "in-flight.json")
    made.load(models[MODEL])
    return Remembering(made)


@pytest.fixture
def early(request: pytest.FixtureRequest) -> bool:
    """Whether the site lets a positive leave early."""
    return bool(getattr(request, "param", False))


@pytest.fixture
def site(ledger: Ledger, clock: MovingClock, log: Log, models: dict[str, InstalledModel], runtime: Remembering,
         settings: Callable[..., Settings], tmp_path: Path, early: bool) -> Site:
    held = settings(Models={MODEL: {"Stage": "live", "EarlyPositive": early}})
    orthanc, engine, headers, shown = Orthanc(clock), AtOnce(), HeaderCache(), []
    audit, references, used = Audit(ledger), References(orthanc, ledger, held), {MODEL: models[MODEL]}  # type: ignore[arg-type]
    analyst = Undrawn(
        gateway=orthanc, ledger=ledger, audit=audit, references=references, models=used, runtime=runtime,  # type: ignore[arg-type]
        headers=headers, images=ArrivedImages(1 << 20, 60), reading=CrashMarker(tmp_path / "reading.json"),
        device=DeviceIdentity("test", "1.2.3", "0", "none"), options=lambda _: ResultOptions(), backoff=Backoff(1, 1),
        clock=clock, stop=threading.Event(), log=log, metrics=Metrics())

    def store(subject: str, attempt: int) -> Any:
        del attempt
        shown.append(subject)
        ledger.set_analysis_state(subject, "stored")
        return type("Done", (), {"follow": ()})

    engine.workers |= {INFER: analyst, STORE: store}
    evaluator = Evaluator(
        gateway=orthanc, ledger=ledger, audit=audit, settings=held, settings_sha256="s", models=used,  # type: ignore[arg-type]
        engine=engine, headers=headers, clock=clock, log=log, metrics=Metrics(),  # type: ignore[arg-type]
        triage=Triage(gateway=orthanc, references=references, headers=headers, models=used, settings=held))  # type: ignore[arg-type]
    return Site(clock, orthanc, ledger, evaluator, shown)


UNDER_THE_VERTEX, IN_THE_MIDDLE = (0.0, 0.0, 50.0), (-24.0, 12.0, 0.0)


def head(clock: MovingClock, *, declared: bool, at_mm: tuple[float, float, float] = UNDER_THE_VERTEX) -> list[bytes]:
    """Under the vertex its lesion lies in the images that come last."""
    made = Head(matrix=54, spacing_mm=(4.0, 3.6, 3.6), insert_ml=8.0, insert_at_mm=at_mm)
    images: list[Dataset] = list(ct_series(phantom(made), Acquisition(
        f"beginning {declared}", spacing_mm=made.spacing_mm, declare_images=declared, started=clock.now())))
    return [dicom_bytes(image) for image in images]


@pytest.mark.parametrize(("declared", "every"), [(False, 1), (True, 6)], ids=["undeclared", "declared"])
def test_no_beginning_that_stalls_is_negative_and_the_rest_makes_one_final_set(
    site: Site, *, declared: bool, every: int
) -> None:
    """Of declared studies a few: none is looked at before it is whole or given up (tests/unit/models)."""
    files = head(site.clock, declared=declared)
    kinds: set[AnswerKind] = set()
    for count in range(1, SLICES, every):
        study = f"stopped-after-{count}"
        site.arrive(study, files[:count])
        if declared or count < 25:
            assert not site.ledger.analyses(study), "it may still become whole: nothing is said, whatever has arrived"
        site.stall(study)
        partial = site.shown_of(study)
        assert partial, "what was given up is told"
        kinds |= {record.answer.kind for record in partial if record.answer is not None}

        site.arrive(study, files[count:])
        site.stall(study)
        site.evaluator.evaluate(study)
        *earlier, final = site.shown_of(study)
        assert final.answer is not None
        assert (final.answer.kind, final.analysis.refusal, final.superseded_by) == (AnswerKind.POSITIVE, None, None)
        assert sum(item.images for item in final.analysis.inputs) == SLICES
        assert [record.analysis.analysis_id for record in earlier] == [record.analysis.analysis_id for record in partial]
        assert all(record.superseded_by is not None for record in earlier), "one set is the last word"
        assert len(site.shown) == len(set(site.shown))
        del site.orthanc.files[study]
    assert AnswerKind.NEGATIVE not in kinds
    assert AnswerKind.NOT_ANALYSED in kinds


@pytest.mark.parametrize("early", [True], indirect=True)
@pytest.mark.parametrize("rest_comes", [False, True], ids=["the rest never comes", "the rest comes"])
def test_an_early_positive_stands_where_no_more_comes_and_is_replaced_where_it_does(site: Site, *, rest_comes: bool) -> None:
    files = head(site.clock, declared=True, at_mm=IN_THE_MIDDLE)
    site.arrive("study", files[:36])
    assert not site.shown
    site.clock.move(61)
    site.evaluator.evaluate("study")
    before, = site.shown_of("study")
    assert before.answer is not None and before.answer.kind is AnswerKind.POSITIVE

    if rest_comes:
        site.arrive("study", files[36:])
    site.stall("study")
    site.stall("study")
    if not rest_comes:
        assert site.shown_of("study") == [before], "nothing is made twice"
        assert len(site.ledger.analyses("study")) == 1
        return
    replaced, final = site.shown_of("study")
    assert final.answer is not None and final.answer.kind is AnswerKind.POSITIVE
    assert (replaced.superseded_by, final.analysis.predecessor_id) == (final.analysis.analysis_id, before.analysis.analysis_id)
    assert sum(item.images for item in final.analysis.inputs) == SLICES
