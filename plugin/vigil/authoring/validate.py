"""Whether a model package would run: its manifest, its files, its graph, and that they fit each other; no study is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vigil.authoring.acceptance import own_runtime
from vigil.domain.errors import VigilError
from vigil.inference.registry import read_package


@dataclass(frozen=True)
class Validation:
    """``problem``: the first thing that stands in the way, in words; None where the package would run."""

    model_id: str
    version: str | None
    problem: str | None
    runtime: str | None

    def as_dict(self) -> dict[str, str | bool | None]:
        """For JSON."""
        return {"id": self.model_id, "version": self.version, "valid": self.problem is None, "problem": self.problem,
                "runtime": self.runtime}


def validate(folder: Path) -> Validation:
    """Reads the package, makes its sessions on the CPU and runs them once, as a start of Orthanc would."""
    model = read_package(folder)
    version = None if model.manifest is None else model.manifest.version
    if model.problem is not None:
        return Validation(model.model_id, version, model.problem.text, None)
    with own_runtime() as runtime:
        try:
            runtime.load(model)
        except VigilError as error:
            return Validation(model.model_id, version, error.message, None)
        return Validation(model.model_id, version, None, runtime.describe(model.model_id))
