"""Makes the requests of ``result_cases`` and the validators importable, and writes the results of a case to files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
# ruff: noqa: E402 - what follows is found by the line above

from pydicom import Dataset
from result_cases import request, study
from result_files import Write, Written

from hospital.ct_series import dicom_bytes
from vigil.domain.answer import AnswerKind
from vigil.results.make import make_results
from vigil.results.request import ResultRequest


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    def to_files(name: str, asked: ResultRequest, files: list[Dataset]) -> Written:
        folder = tmp_path_factory.mktemp(name)
        sources = []
        for index, ds in enumerate(files):
            sources.append(folder / f"source-{index:03}.dcm")
            sources[-1].write_bytes(dicom_bytes(ds))
        results = []
        for made in make_results(asked):
            results.append(folder / f"{made.role}-{made.index}.dcm")
            results[-1].write_bytes(made.dicom)
        return Written(asked, tuple(sources), tuple(results))

    return to_files


@pytest.fixture(scope="session")
def small_study() -> tuple[list[Dataset], object]:
    return study()


@pytest.fixture(scope="session")
def each_kind(small_study: tuple[list[Dataset], object]) -> dict[AnswerKind, ResultRequest]:
    files, hu = small_study
    return {kind: request(kind, files=files, hu=hu) for kind in AnswerKind}
