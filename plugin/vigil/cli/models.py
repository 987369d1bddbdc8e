"""``vigil models``: what is installed, who approved it, what stands in its way, and whether a package would run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from vigil.authoring.acceptance import Acceptance, Machine, accept
from vigil.authoring.bench import measure
from vigil.authoring.desk import ModelDesk, find
from vigil.authoring.errors import NotAccepted
from vigil.authoring.golden import make_golden
from vigil.authoring.new import make_package
from vigil.authoring.validate import validate
from vigil.cli import model_words
from vigil.cli.beside import DEFAULT_CONFIG, BesideOrthanc, ByOption, ConfigOption, JsonOption, read_settings, tell
from vigil.cli.errors import NothingFound
from vigil.domain.clock import SystemClock
from vigil.inference.quarantine import release
from vigil.inference.registry import InstalledModel, read_package
from vigil.inference.standing import Standings
from vigil.pipeline.accelerator import accelerator_of
from vigil.pipeline.roster import standings_of
from vigil.records.ledger import Ledger
from vigil.records.model_events import Use
from vigil.records.state import StatePaths
from vigil.settings import Settings

models = typer.Typer(no_args_is_help=True, help="The installed models.")
ModelArgument = Annotated[str, typer.Argument(help="The id of an installed model, or id@version.")]


@models.command("list")
def models_list(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Every installed package: approved or not, in use or not, its stage at this site, and what stands in its way."""
    settings = read_settings(config)
    with _standings(settings) as (standings, _):
        tell([model_words.state(item, settings) for item in standings.all], as_json, model_words.listed)


@models.command("show")
def models_show(model: ModelArgument, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """A model's versions, and what people did with them: who approved what, when, on which result."""
    settings = read_settings(config)
    model_id = model.partition("@")[0]
    with _standings(settings) as (standings, ledger):
        events = [] if ledger is None else ledger.model_events(model_id)
        versions = [model_words.state(item, settings) for item in standings.of(model_id)]
    if not versions and not events:
        raise NothingFound(f"no model '{model_id}' is installed, and the ledger knows none; see \"vigil models list\"")
    tell({"id": model_id, "versions": versions, "events": [model_words.event(item) for item in events]}, as_json,
         model_words.shown)


@models.command("test")
def models_test(
    model: Annotated[str, typer.Argument(help="The folder of a package, or the id (or id@version) of an installed one.")],
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """Runs the package's golden cases as a study would be run, and prints the largest difference."""
    if "/" in model or Path(model).is_dir():
        acceptance = accept(read_package(Path(model).resolve()))
    else:
        settings = read_settings(config)
        with _standings(settings) as (standings, _):
            acceptance = _accept(find(standings, model).package, settings)
    tell(acceptance.as_dict(), as_json, model_words.tested)
    if not acceptance.passed:
        raise typer.Exit(1)


@models.command("golden")
def models_golden(
    folder: Annotated[Path, typer.Argument(help="The folder of a package.")],
    images: Annotated[Path, typer.Option("--images", help="A folder of DICOM images of one study.")],
    name: Annotated[str, typer.Option("--name", help="What the case shows.")],
    as_json: JsonOption = False,
) -> None:
    """Makes a golden case of images: runs the model on them and keeps what it says, for a person to look at."""
    made = make_golden(folder.resolve(), images, name, SystemClock().now())
    tell(asdict(made), as_json, model_words.made)


@models.command("new")
def models_new(
    network: Annotated[Path, typer.Argument(help="A network, model.onnx.")],
    parent: Annotated[Path, typer.Option("--in", help="Where the folder of the package is made.")] = Path(),
    name: Annotated[str | None, typer.Option("--id", help="The id of the model; else it is named as the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Looks into a network, and makes a package of it whose manifest you complete."""
    tell(make_package(network, parent, name).as_dict(), as_json, model_words.begun)


@models.command("bench")
def models_bench(
    model: Annotated[str, typer.Argument(help="The folder of a package, or the id (or id@version) of an installed one.")],
    runs: Annotated[int, typer.Option("--runs", min=1, max=1000, help="How often its golden case is run.")] = 5,
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """What the model costs on this machine: time to load and to run its first golden case, and memory."""
    if "/" in model or Path(model).is_dir():
        cost = measure(read_package(Path(model).resolve()), runs=runs)
    else:
        settings = read_settings(config)
        with _standings(settings) as (standings, _):
            cost = measure(find(standings, model).package, runs=runs, machine=_machine(settings))
    tell(cost.as_dict(), as_json, model_words.costs)


@models.command("approve")
def models_approve(
    model: ModelArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
    shadow: Annotated[bool, typer.Option("--shadow", help="To run in silence beside the version in use.")] = False,
    without: Annotated[str | None, typer.Option(
        "--without-golden-case", help="Why a package that has no golden case is approved all the same.")] = None,
) -> None:
    """Tests the package on this machine and, where that passes, approves these very bytes under your name."""
    settings = read_settings(config)
    with BesideOrthanc(settings) as ledger:
        standings = standings_of(settings, ledger)
        desk = _desk(standings, ledger, settings)
        standing = find(standings, model)
        acceptance = _accept(standing.package, settings)
        if not acceptance.cases and acceptance.problem is None and not without:
            raise NotAccepted(f"{model} has no golden case, so nothing shows that it answers here as its author meant; add one "
                              "(docs/model-authors.md), or say why not with --without-golden-case REASON")
        if acceptance.cases and without:
            raise NotAccepted(f"{model} has golden cases; leave --without-golden-case away")
        if not acceptance.passed and not (without and acceptance.problem is None):
            raise NotAccepted(f"{model} is not approved: {acceptance.said()}")
        result = acceptance.as_dict() | ({"without_golden_case": without} if without else {})
        event = desk.approve(standing, by, Use.SHADOW if shadow else Use.MAIN, result)
    tell(model_words.event(event), as_json, model_words.done)


@models.command("retire")
def models_retire(model: ModelArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Takes a version out of use for good: it runs no more, and what it said and has not left yet stays in the house."""
    settings = read_settings(config)
    with BesideOrthanc(settings) as ledger:
        standings = standings_of(settings, ledger)
        event = _desk(standings, ledger, settings).retire(find(standings, model), by)
    tell(model_words.event(event), as_json, model_words.done)


@models.command("rollback")
def models_rollback(
    model: Annotated[str, typer.Argument(help="The id of a model.")], by: ByOption, config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Brings back the version that was in use before."""
    settings = read_settings(config)
    with BesideOrthanc(settings) as ledger:
        event = _desk(standings_of(settings, ledger), ledger, settings).roll_back(model, by)
    tell(model_words.event(event), as_json, model_words.done)


@models.command("release")
def models_release(
    model: Annotated[str, typer.Argument(help="The id of a model in quarantine.")],
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """Takes a model out of quarantine, after somebody found out why Orthanc's process ended while it ran."""
    settings = read_settings(config)
    if not release(StatePaths(settings.state_directory).marker, model):
        raise NothingFound(f"the model '{model}' is not in quarantine; see \"vigil models list\" and /vigil/health/ready")
    tell({"released": model}, as_json, lambda _: f"{model} is released; a running Orthanc takes it up within seconds")


@models.command("validate")
def models_validate(
    folder: Annotated[Path, typer.Argument(help="The folder of a model package, installed or not.")], as_json: JsonOption = False,
) -> None:
    """Reads a package, loads its networks and runs them once on nothing; says what is wrong, and where."""
    found = validate(folder)
    tell(found.as_dict(), as_json, _verdict)
    if found.problem is not None:
        raise typer.Exit(1)


def _verdict(found: dict[str, Any]) -> str:
    if found["valid"]:
        return f"{found['id']} {found['version']} would run ({found['runtime']})"
    return f"{found['id']} would not run: {found['problem']}"


@contextmanager
def _standings(settings: Settings) -> Iterator[tuple[Standings, Ledger | None]]:
    """Also where Vigil has never been started: then the release alone approved anything."""
    if not StatePaths(settings.state_directory).ledger.exists():
        yield standings_of(settings, None), None
        return
    with BesideOrthanc(settings) as ledger:
        yield standings_of(settings, ledger), ledger


def _desk(standings: Standings, ledger: Ledger, settings: Settings) -> ModelDesk:
    return ModelDesk(standings, ledger, StatePaths(settings.state_directory).marker, SystemClock())


def _accept(package: InstalledModel, settings: Settings) -> Acceptance:
    """In this process: Orthanc's goes on."""
    return accept(package, _machine(settings))


def _machine(settings: Settings) -> Machine:
    """The site's own provider, GPU and limits."""
    runtime = settings.runtime
    return Machine(accelerator_of(runtime), runtime.threads, runtime.memory_budget_mib)
