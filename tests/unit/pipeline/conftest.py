"""A ledger in a folder of its own, a clock that a test moves, and positive answers of the bundled model to put into it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hospital.moving_clock import MovingClock
from vigil.domain.answer import Analysis, Answer, AnswerKind, Finding, Reason
from vigil.domain.codes import BRAIN, HYPERDENSE_REGION, MORPHOLOGICALLY_ALTERED_STRUCTURE
from vigil.inference.registry import InstalledModel, Registry
from vigil.pipeline.house import BUNDLED_MODELS
from vigil.records.entries import AnalysisRecord
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.settings import Settings, load
from vigil.telemetry.logs import Log

sys.path.insert(0, str(Path(__file__).parents[1] / "delivery"))  # the objects that the delivery room's tests send
sys.path.insert(0, str(Path(__file__).parent))


from dense_site import Opener

MODEL = "hyperdense-volume-ct-head"
LIVE = {"Stage": "live", "AlertOverride": {"By": "A person", "Reason": "A test", "Date": "2026-11-23"}}


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def sealer(tmp_path: Path) -> Sealer:
    return Sealer.open(tmp_path / "sealing.key")


@pytest.fixture
def ledger(tmp_path: Path, sealer: Sealer, clock: MovingClock) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", sealer, clock)
    yield opened
    opened.close()


@pytest.fixture
def log() -> Log:
    return Log(logging.getLogger("test-people"))


@pytest.fixture(scope="session")
def models() -> dict[str, InstalledModel]:
    return {model.model_id: model for model in Registry(BUNDLED_MODELS).installed()}


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(**section: Any) -> Settings:
        return load({"Vigil": {"SchemaVersion": 1, "StateDirectory": str(tmp_path), "Models": {MODEL: LIVE}, **section}})

    return make


def _positive(category: int | None) -> Answer:
    return Answer(AnswerKind.POSITIVE, "Hyperdense volume 19.9 mL, threshold 5.0 mL.", findings=(
        Finding(HYPERDENSE_REGION, MORPHOLOGICALLY_ALTERED_STRUCTURE, BRAIN, (), acr_category=category),))


@pytest.fixture
def answered(ledger: Ledger, clock: MovingClock) -> Callable[..., AnalysisRecord]:
    """An analysis with its answer, a positive of category 1 unless said otherwise. Analyses of one study supersede another."""
    def make(analysis_id: str = "a1b2c3d4e5", answer: Answer | None = None, *, study: str | None = None,
             category: int | None = 1, stage: str = "live", arrived_at: datetime | None = None, refusal: Reason | None = None,
             inputs: str | None = None) -> AnalysisRecord:
        ledger.begin_analysis(Analysis(
            analysis_id=analysis_id, orthanc_study_id=study or f"study-of-{analysis_id}", study_instance_uid="1.2.3",
            model_id=MODEL, model_version="1.0.0", weights_sha256="w", operating_point="default", renderer_version="1",
            settings_sha256="x", inputs_sha256=inputs or analysis_id, inputs=(), created_at=clock.now(), correlation_id="c",
            stage=stage, arrived_at=arrived_at or clock.now(), study_started_at=clock.now(), reference_instance="image",
            refusal=refusal))
        ledger.freeze_answer(analysis_id, answer or _positive(category), [])
        record = ledger.analysis(analysis_id)
        assert record is not None
        return record

    return make


@pytest.fixture
def opener(ledger: Ledger, clock: MovingClock, log: Log, settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Opener]:
    made = Opener(ledger, clock, log, settings, tmp_path, [])
    yield made
    for runtime in made.opened:
        runtime.close()
