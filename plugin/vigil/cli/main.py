"""``vigil``: what the ledger knows, for people and (``--json``) for programs. Reads beside a running Orthanc, changes nothing;
one command sends a phantom."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from vigil.cli import words
from vigil.cli.errors import NothingFound
from vigil.domain.clock import SystemClock
from vigil.domain.errors import VigilError
from vigil.inference.registry import Registry
from vigil.pipeline.house import BUNDLED_MODELS, models_state
from vigil.pipeline.trial import make_trial, send_trial, trial_destination
from vigil.records.account import Account
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StatePaths
from vigil.settings import Settings, load, settings_snapshot
from vigil.settings.configuration_files import read_configuration

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Vigil for Orthanc: see what was analysed, and why.")
models_app = typer.Typer(no_args_is_help=True, help="The installed models.")
config_app = typer.Typer(no_args_is_help=True, help="The settings.")
app.add_typer(models_app, name="models")
app.add_typer(config_app, name="config")

ConfigOption = Annotated[Path, typer.Option(
    "--config", "-c", envvar="VIGIL_CONFIG", help="Orthanc's configuration: a file, or a folder of *.json files.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
DEFAULT_CONFIG = Path("/etc/orthanc")


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """How many studies, answers and deliveries there are, and what waits."""
    settings = _settings(config)
    with _Reading(settings) as ledger:
        verdict = Audit(ledger).verify()
        content: dict[str, Any] = {
            "counts": ledger.counts(),
            "audit": {"entries": verdict.entries, "whole": verdict.whole, "problem": verdict.problem},
            "newest": Account(ledger).analyses(10),
        }
    _print(content, as_json, words.status)
    if not verdict.whole:
        raise typer.Exit(1)


@app.command()
def explain(
    study: Annotated[str, typer.Argument(help="The Orthanc id or the StudyInstanceUID of a study.")],
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """What was decided, made, sent and told of a study, and why."""
    settings = _settings(config)
    with _Reading(settings) as ledger:
        names = ledger.studies_with_uid(study) if "." in study else [study]
        account = Account(ledger)
        found = [account.study(name) for name in names]
        for item in found:
            item["audit"] = [entry.as_dict() for analysis in item["analyses"]
                             for entry in reversed(Audit(ledger).entries(analysis["analysis_id"]))]  # as it happened
    found = [item for item in found if item["known"] or item["analyses"] or item["decisions"]]
    if not found:
        by_uid = "; one that was not analysed is found by its Orthanc id alone" if "." in study else ""
        raise NothingFound(
            f"Vigil knows no study {study}; it looks only at studies that arrived after its installation{by_uid}")
    _print(found, as_json, words.studies)


@models_app.command("list")
def models_list(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Every installed model, its stage at this site, and what stands in its way."""
    settings = _settings(config)
    installed = Registry(settings.models_directory or BUNDLED_MODELS).installed()
    _print(models_state(installed, settings, None), as_json, words.models)


@config_app.command("check")
def config_check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Reads the settings as Orthanc would, and says all that is wrong with them."""
    settings = _settings(config)
    sha256, _ = settings_snapshot(settings)
    _print({"valid": True, "settings_sha256": sha256, "models": list(settings.enabled_models()),
            "pacs": [*settings.pacs, *settings.dicom_web], "ris": list(settings.ris)}, as_json, words.settings)


@app.command()
def send_test_result(
    destination: Annotated[str, typer.Argument(help="The name of a destination in Vigil.Pacs or Vigil.DicomWeb.")],
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """Sends a phantom study with every kind of answer, and says what to look for in the viewer."""
    settings = _settings(config)
    target = trial_destination(destination, settings)
    made = make_trial(settings, target, BUNDLED_MODELS, SystemClock(), uuid4)
    sent = send_trial(made, target, threading.Event())
    _print(sent.as_dict(), as_json, words.trial)
    if sent.refused:
        raise typer.Exit(1)


class _Reading:
    """The ledger, open for reading beside Orthanc."""

    def __init__(self, settings: Settings) -> None:
        self._paths = StatePaths(settings.state_directory)

    def __enter__(self) -> Ledger:
        if not self._paths.ledger.exists():
            raise NothingFound(f"there is no ledger in {self._paths.path}; has Orthanc been started with Vigil yet?")
        self._ledger = Ledger.open(self._paths.ledger_url, Sealer.open(self._paths.key), SystemClock())
        return self._ledger

    def __exit__(self, *_: object) -> None:
        self._ledger.close()


def _settings(config: Path) -> Settings:
    return load(read_configuration(config))


def _print(content: Any, as_json: bool, in_words: Any) -> None:
    typer.echo(json.dumps(content, ensure_ascii=False, indent=1) if as_json else in_words(content))


def main() -> None:
    """The entry point. An error is one clear sentence and exit code 1, never a traceback."""
    try:
        app()
    except VigilError as error:
        typer.echo(f"vigil: {error.message}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
