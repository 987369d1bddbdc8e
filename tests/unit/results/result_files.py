"""The results of a case as files, for validators and readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread

from vigil.results.make import make_results
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


def read(asked: ResultRequest, role: Role, **options: object) -> list[Dataset]:
    """What is made of a request in one role, read back. ``options``: of :class:`ResultOptions`."""
    wanted = replace(asked, options=replace(asked.options, **options))  # type: ignore[arg-type]
    return [dcmread(BytesIO(made.dicom)) for made in make_results(wanted) if made.role is role]
