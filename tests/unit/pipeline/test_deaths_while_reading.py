"""A file that ends a decoder ends Orthanc with it: twice, and then the study is answered without it being read again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from vigil.domain.answer import Analysis, AnswerKind
from vigil.domain.errors import Category
from vigil.imaging.arrived import ArrivedImages
from vigil.inference.quarantine import CrashMarker
from vigil.intake.study import HeaderCache
from vigil.pipeline.analyse import Analyst
from vigil.pipeline.reference import References
from vigil.pipeline.retry import Backoff
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.results.options import ResultOptions
from vigil.results.request import DeviceIdentity
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

MODEL = "hyperdense-volume-ct-head"


class Orthanc:
    def study(self, orthanc_study_id: str) -> str:
        return orthanc_study_id


def died_while_reading(state: Path) -> CrashMarker:
    """As the next process finds it."""
    (state / "reading-in-flight.json").write_text('{"model_id": "a1"}')
    return CrashMarker(state / "reading-in-flight.json")


@pytest.mark.parametrize(("deaths", "category", "told"), [
    (1, Category.INCOMPLETE, "a volume needs at least two"),  # read again: this study has no image
    (2, Category.UNREADABLE_INSTANCE, "ended 2 times while these images were read"),
])
def test_the_first_death_is_forgiven_and_the_second_ends_the_reading(
    tmp_path: Path, ledger: Ledger, clock: Any, log: Log, models: Any, settings: Any, deaths: int,
    category: Category, told: str
) -> None:
    for _ in range(deaths):
        reading = died_while_reading(tmp_path)
    ledger.begin_analysis(Analysis(
        analysis_id="a1", orthanc_study_id="study", study_instance_uid="1.2.3", model_id=MODEL, model_version="1.0.0",
        weights_sha256=models[MODEL].manifest.weights_sha256, operating_point="default",
        renderer_version="1", settings_sha256="s", inputs_sha256="i", inputs=(),
        created_at=clock.now(), correlation_id="c", stage="shadow"))
    analyst = Analyst(
        gateway=Orthanc(), ledger=ledger, audit=Audit(ledger), models=models, runtime=None,  # type: ignore[arg-type]
        references=References(Orthanc(), ledger, settings()),  # type: ignore[arg-type]
        headers=HeaderCache(), images=ArrivedImages(1 << 20, 60), reading=reading,
        device=DeviceIdentity("test", "1.2.3", "0", "none"), options=lambda _: ResultOptions(), backoff=Backoff(1, 1),
        clock=clock, stop=threading.Event(), log=log, metrics=Metrics())

    analyst("a1", 1)

    record = ledger.analysis("a1")
    assert record is not None
    assert record.answer is not None
    assert record.answer.kind is AnswerKind.NOT_ANALYSED
    assert record.answer.reason is not None
    assert told in record.answer.reason.text
    assert not (tmp_path / "reading-in-flight.json").exists()
    assert record.answer.reason.category is category
