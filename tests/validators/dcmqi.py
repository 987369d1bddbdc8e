"""dcmqi's tid1500reader and segimage2itkimage (PyPI ``dcmqi``): independent readers of measurement groups and segments."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import SimpleITK

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


def segimage2itkimage(path: Path) -> list[SimpleITK.Image]:
    """The segments of a segmentation as images in patient space (LPS), one a segment.

    Raises:
        ValidatorMissing: it read nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        verdict = run(
            [beside_python("segimage2itkimage"), "--inputDICOM", str(path), "--outputDirectory", folder,
             "--outputType", "nrrd", "--prefix", "segment"], "ERROR"
        )  # fmt: skip
        made = sorted(Path(folder).glob("segment-*.nrrd"))
        if verdict.returned != 0 or not made:
            raise ValidatorMissing(f"segimage2itkimage could not read {path.name}: {verdict.output}")
        return [SimpleITK.ReadImage(str(file)) for file in made]
