"""docs/troubleshooting.md quotes lines of the doctor: each is one that the doctor can say."""

from __future__ import annotations

import ast
import re

import pytest

from hospital.orthanc import REPOSITORY

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
QUOTED = re.findall(r"^\| `(error|warning) (\w+) ([^`]+?): ([^`]+)` \|", PAGE, re.MULTILINE)
ROOMS = ("oversight", "delivery", "settings", "pipeline")


def sayings() -> set[str]:
    """Every text in the code; of one with a value in it, each part."""
    found = set()
    for room in ROOMS:
        for file in (REPOSITORY / "plugin" / "vigil" / room).rglob("*.py"):
            found |= {node.value for node in ast.walk(ast.parse(file.read_text()))
                      if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return found


def test_the_page_quotes_the_doctor() -> None:
    assert len(QUOTED) > 25


@pytest.mark.parametrize(("level", "subject", "where", "words"), QUOTED, ids=lambda part: part[:40])
def test_a_quoted_line_is_one_that_can_be_said(level: str, subject: str, where: str, words: str) -> None:
    said = sayings()
    assert subject in said
    assert any(words in text for text in said), words
