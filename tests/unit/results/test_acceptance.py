"""The list of acceptance names tests that exist, and every point has one, or the reason why it has none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = REPOSITORY / "docs" / "acceptance.md"
ROOMS = {
    name: REPOSITORY / "tests" / "unit" / name if name in ("results", "delivery", "domain") else REPOSITORY / "tests" / name
    for name in ("results", "delivery", "domain", "integration", "viewer", "chaos")
}
POINTS = [*map(str, range(1, 42)), "41b", *map(str, range(42, 63))]
_ROW = re.compile(r"^\| (\d+b?) \| .+ \| (.+) \|$", re.MULTILINE)
_NAMED = re.compile(r"`(\w+)/(\w+\.py)::(\w+)`")


def rows() -> dict[str, str]:
    """What holds a point, by its number."""
    return dict(_ROW.findall(PAGE.read_text()))


def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_every_point_stands_in_the_list_in_its_order() -> None:
    assert [number for number, _ in _ROW.findall(PAGE.read_text())] == POINTS


def test_every_point_names_a_test_or_the_reason_why_there_is_none() -> None:
    for number, held in rows().items():
        assert _NAMED.search(held) or held.startswith("Not tested here, because "), number


def test_every_named_test_exists() -> None:
    named = _NAMED.findall(PAGE.read_text())
    assert len(named) > 60
    missing = [
        f"{room}/{file}::{test}" for room, file, test in named
        if not (path := ROOMS[room] / file).exists() or test not in functions_of(path)
    ]  # fmt: skip
    assert missing == []
