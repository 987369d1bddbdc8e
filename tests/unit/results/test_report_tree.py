"""The content trees as dsrdump prints them, against texts that a person has read once and approved.

Where a change is meant, read the new text and keep it: build/venv-dev/bin/python tests/unit/results/test_report_tree.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), *(str(Path(__file__).parents[3] / name) for name in ("tests", "scripts", "plugin"))]
# ruff: noqa: E402 - what follows is found by the line above

from result_cases import CASES

from validators.dcmtk import whole_tree
from vigil.results.structured_report import structured_report
from vigil.results.text_report import text_report

GOLDEN = Path(__file__).with_name("golden")
MAKERS = {"report": structured_report, "text-report": text_report}
TREES = [(name, kind) for name in ("positive", "negative", "not-analysed") for kind in MAKERS]


def printed(name: str, kind: str, folder: Path) -> str:
    path = folder / "report.dcm"
    path.write_bytes(MAKERS[kind](CASES[name]().asked).dicom)
    return whole_tree(path)


def golden(name: str, kind: str) -> Path:
    return GOLDEN / f"{name}-{kind}.txt"


@pytest.mark.parametrize(("name", "kind"), TREES)
def test_the_tree_is_the_one_that_was_approved(name: str, kind: str, tmp_path: Path) -> None:
    assert printed(name, kind, tmp_path).splitlines() == golden(name, kind).read_text("utf-8").splitlines()


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in TREES:
            golden(name, kind).write_text(printed(name, kind, Path(folder)), "utf-8")
