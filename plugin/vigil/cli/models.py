"""``vigil models``: what is installed, what stands in its way, and whether a package would run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vigil.authoring.validate import validate
from vigil.cli import words
from vigil.cli.beside import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings, tell
from vigil.cli.errors import NothingFound
from vigil.inference.quarantine import release
from vigil.inference.registry import Registry
from vigil.pipeline.house import BUNDLED_MODELS, models_state
from vigil.records.state import StatePaths

models = typer.Typer(no_args_is_help=True, help="The installed models.")


@models.command("list")
def models_list(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Every installed model, its stage at this site, and what stands in its way."""
    settings = read_settings(config)
    installed = Registry(settings.models_directory or BUNDLED_MODELS).installed()
    tell(models_state(installed, settings, None), as_json, words.models)


@models.command("release")
def models_release(
    model: Annotated[str, typer.Argument(help="The id of a model in quarantine.")],
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """Takes a model out of quarantine, after somebody found out why Orthanc's process ended while it ran."""
    settings = read_settings(config)
    if not release(StatePaths(settings.state_directory).marker, model):
        raise NothingFound(f"the model '{model}' is not in quarantine; see \"vigil models list\" and /vigil/health/ready")
    tell({"released": model}, as_json, lambda _: f"{model} is released; what waits is taken up at the next start of Orthanc")


@models.command("validate")
def models_validate(
    folder: Annotated[Path, typer.Argument(help="The folder of a model package, installed or not.")], as_json: JsonOption = False,
) -> None:
    """Reads a package, loads its networks and runs them once on nothing; says what is wrong, and where."""
    found = validate(folder, memory_budget_mib=4096, threads=2)
    tell(found.as_dict(), as_json, _verdict)
    if found.problem is not None:
        raise typer.Exit(1)


def _verdict(found: dict[str, Any]) -> str:
    if found["valid"]:
        return f"{found['id']} {found['version']} would run ({found['runtime']})"
    return f"{found['id']} would not run: {found['problem']}"
