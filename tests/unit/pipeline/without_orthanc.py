"""The pipeline's surroundings in memory: Orthanc is a dictionary, a task is done as soon as it is promised, nothing is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hospital.moving_clock import MovingClock
from vigil.domain.answer import Analysis, Answer
from vigil.domain.gateway import InstanceRecord, StudyRecord
from vigil.intake.part10 import read_dataset
from vigil.pipeline.analyse import Analyst, Looked
from vigil.pipeline.engine import Task
from vigil.results.objects import ResultObject
from vigil.telemetry.logs import Log


@dataclass
class Orthanc:
    """Studies by name; of each the images that have arrived."""

    clock: MovingClock
    files: dict[str, list[bytes]] = field(default_factory=dict)

    def study(self, name: str) -> StudyRecord | None:
        if name not in self.files:
            return None
        return StudyRecord(name, str(read_dataset(self.files[name][0]).StudyInstanceUID), "patient", self.clock.now(), False)

    def instances(self, name: str) -> list[InstanceRecord]:
        return [InstanceRecord(f"{name}/{number}", f"{name}.{number}", f"{name}/series", f"{name}/{number}")
                for number in range(len(self.files[name]))]

    def dicom(self, orthanc_id: str) -> bytes | None:
        name, number = orthanc_id.split("/")
        return self.files[name][int(number)]

    def studies_with_uid(self, uid: str) -> list[str]:
        return []


class AtOnce:
    """In the place of the engine: a task is done when it is promised, once."""

    def __init__(self) -> None:
        self.workers: dict[str, Callable[[str, int], Any]] = {}
        self.done: set[str] = set()

    def enqueue(self, task: Task) -> None:
        if task.workflow_id not in self.done:
            self.done.add(task.workflow_id)
            for following in self.workers[task.kind](task.subject, task.attempt).follow:
                self.enqueue(following)


class Undrawn(Analyst):
    """Of eighty answers: to draw them takes ten times as long as all the rest."""

    def _render(self, analysis: Analysis, looked: Looked, log: Log) -> tuple[Answer, tuple[ResultObject, ...]]:
        return looked.answer, ()
