"""Makes docs/manifest.schema.json from the manifest's types: build/venv-dev/bin/python tests/unit/domain/manifest_schema.py

Run it after a key of the manifest changed; a test compares the file with what this makes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(REPOSITORY / "plugin")]
# ruff: noqa: E402 - what follows is found by the line above

from vigil.domain.manifest import Manifest

PAGE = REPOSITORY / "docs" / "manifest.schema.json"


def schema() -> str:
    content = Manifest.model_json_schema()
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **content,
               "title": "manifest.yaml of a model package of Vigil for Orthanc, schema_version 1"}
    return json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    PAGE.write_text(schema(), "utf-8")
