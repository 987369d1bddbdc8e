"""The published schema is that of the code, and explains every key that has a word of explanation there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent)]
# ruff: noqa: E402 - what follows is found by the line above

from manifest_schema import PAGE, schema


def test_the_published_schema_is_what_is_read() -> None:
    assert PAGE.read_text("utf-8") == schema()


def test_it_refuses_unknown_keys_everywhere_and_explains() -> None:
    content = json.loads(schema())
    parts = [content, *content["$defs"].values()]
    objects = [part for part in parts if part.get("type") == "object"]
    assert len(objects) > 30
    assert all(part["additionalProperties"] is False for part in objects)
    orientation = content["$defs"]["TensorPreprocessing"]["properties"]["orientation"]
    assert orientation["description"].startswith("Where each of the three axes")
