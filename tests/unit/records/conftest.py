"""A ledger in a folder of its own, a clock that a test moves, and things to put into the ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hospital.moving_clock import MovingClock
from vigil.domain.answer import Analysis, Answer, AnswerKind, Criterion, Finding, InputInstance, Measurement
from vigil.domain.codes import (
    BRAIN,
    HYPERDENSE_REGION,
    HYPERDENSE_VOLUME,
    MILLILITRE,
    MORPHOLOGICALLY_ALTERED_STRUCTURE,
)
from vigil.domain.identity import object_uid
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StatePaths
from vigil.results.objects import ResultObject, Role

CHILD = Path(__file__).with_name("child.py")
PLUGIN = Path(__file__).parents[3] / "plugin"


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock(datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC))


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return StatePaths(tmp_path)


@pytest.fixture
def sealer(paths: StatePaths) -> Sealer:
    return Sealer.open(paths.key)


@pytest.fixture
def open_ledger(paths: StatePaths, sealer: Sealer, clock: MovingClock) -> Iterator[Callable[[], Ledger]]:
    """Opens the ledger, again and again if asked to; all are closed at the end."""
    opened: list[Ledger] = []

    def open_() -> Ledger:
        opened.append(Ledger.open(paths.ledger_url, sealer, clock))
        return opened[-1]

    yield open_
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Callable[[], Ledger]) -> Ledger:
    return open_ledger()


@pytest.fixture
def make_analysis(clock: MovingClock) -> Callable[..., Analysis]:
    def make(analysis_id: str = "a1", **changes: Any) -> Analysis:
        values: dict[str, Any] = {
            "analysis_id": analysis_id, "orthanc_study_id": "study-1", "study_instance_uid": "1.2.3",
            "model_id": "bleed", "model_version": "1.0.0", "weights_sha256": "w" * 64, "operating_point": "default",
            "renderer_version": "r1", "settings_sha256": "s" * 64, "inputs_sha256": "i" * 64,
            "inputs": (InputInstance("o1", "1.2.3.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.0", "c" * 64),),
            "created_at": clock.now(), "correlation_id": "corr", "stage": "live", "reference_instance": "o1",
        }
        return Analysis(**{**values, **changes})

    return make


@pytest.fixture
def positive() -> Answer:
    volume = Measurement(HYPERDENSE_VOLUME, 19.9, MILLILITRE)
    return Answer(
        AnswerKind.POSITIVE, "Hyperdense volume 19.9 mL, threshold 5.0 mL.",
        Criterion("default", HYPERDENSE_VOLUME, 5.0, MILLILITRE), volume,
        (Finding(HYPERDENSE_REGION, MORPHOLOGICALLY_ALTERED_STRUCTURE, BRAIN, (volume,), "blood", (3, 1), 1),),
        notes=("thin slices",),
    )


@pytest.fixture
def make_objects() -> Callable[..., list[ResultObject]]:
    def make(analysis_id: str = "a1", count: int = 2, content: bytes = b"DICM") -> list[ResultObject]:
        return [
            ResultObject(Role.KEY_SLICE, index, "1.2.840.10008.5.1.4.1.1.7", object_uid(analysis_id, "key-slice", index),
                         object_uid(analysis_id, "series"), content + str(index).encode())
            for index in range(count)
        ]

    return make


@pytest.fixture
def start_child(paths: StatePaths) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts ``child.py`` with its arguments as a process of its own on the same state folder."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(PLUGIN)}
        started.append(subprocess.Popen(
            [sys.executable, str(CHILD), str(paths.path), *map(str, arguments)], stdout=subprocess.PIPE,
            stdin=subprocess.PIPE, text=True, env=environment, cwd="/"))
        return started[-1]

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.wait()
        for stream in (child.stdout, child.stdin):
            if stream is not None:
                stream.close()
