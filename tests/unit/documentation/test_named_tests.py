"""What a page says is shown by a test is shown by a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PAGES = sorted((REPOSITORY / "docs").glob("*.md"))
_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_HAZARD = re.compile(r"^\| (\d+) \| .+ \| [CDP] \| .+ \| (.+) \|$", re.MULTILINE)


@cache
def functions_of(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    missing = [
        f"{file}::{test}" for file, test in _NAMED.findall(page.read_text())
        if not (path := REPOSITORY / file).exists() or (test and test not in functions_of(path))
    ]  # fmt: skip
    assert missing == []


def test_every_hazard_is_held_by_a_test() -> None:
    hazards = _HAZARD.findall((REPOSITORY / "docs" / "safety.md").read_text())
    assert [int(number) for number, _ in hazards] == list(range(1, len(hazards) + 1))
    assert len(hazards) >= 24
    tests = {number: [test for _, test in _NAMED.findall(held)] for number, held in hazards}
    assert [number for number, named in tests.items() if not named or not all(named)] == []
