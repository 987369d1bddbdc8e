"""The results of a case as files, for validators and readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from vigil.results.objects import Role
from vigil.results.request import ResultRequest


@dataclass(frozen=True)
class Written:
    """The files of a case: what came from the scanner and what was made of it."""

    asked: ResultRequest
    sources: tuple[Path, ...]
    results: tuple[Path, ...]

    @property
    def report(self) -> Path:
        return next(path for path in self.results if path.name.startswith(Role.REPORT))

    @property
    def text_report(self) -> Path:
        return next(path for path in self.results if path.name.startswith(Role.TEXT_REPORT))

    @property
    def segmentation(self) -> Path:
        return next(path for path in self.results if path.name.startswith(Role.SEGMENTATION))


Write = Callable[[str, ResultRequest, list[Dataset]], Written]
