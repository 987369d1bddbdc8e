"""dcmqi's tid1500reader (PyPI ``dcmqi``): an independent reader of measurement groups."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from validators.tools import ValidatorMissing, beside_python, run


def tid1500reader(path: Path) -> dict[str, Any]:
    """The report's measurements as dcmqi understood them.

    Raises:
        ValidatorMissing: it read nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        verdict = run(
            [beside_python("tid1500reader"), "--inputDICOM", str(path), "--outputMetadata", str(out)], "ERROR"
        )
        if verdict.returned != 0 or not out.exists():
            raise ValidatorMissing(f"tid1500reader could not read {path.name}: {verdict.output}")
        read: dict[str, Any] = json.loads(out.read_text())
    return read
