"""``vigil``: what the ledger knows, for people and (``--json``) for programs, beside a running Orthanc.

Most commands only read. Those of ``alerts`` and ``deliveries`` that change something write a row that the running Vigil finds;
``send-test-result`` sends a phantom.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from vigil.cli import words
from vigil.cli.alerts import alerts
from vigil.cli.backup import backup, restore_
from vigil.cli.beside import DEFAULT_CONFIG, BesideOrthanc, ConfigOption, JsonOption, read_settings, tell
from vigil.cli.deliveries import deliveries
from vigil.cli.doctor import doctor, support_bundle
from vigil.cli.errors import NothingFound
from vigil.cli.key import key
from vigil.cli.models import models
from vigil.domain.clock import SystemClock
from vigil.domain.errors import VigilError
from vigil.pipeline.house import BUNDLED_MODELS
from vigil.pipeline.trial import make_trial, send_trial, trial_destination
from vigil.records.account import Account
from vigil.records.audit import Audit
from vigil.settings import settings_snapshot
from vigil.settings.first import write_first

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Vigil for Orthanc: see what was analysed, and why.")
config_app = typer.Typer(no_args_is_help=True, help="The settings.")
app.add_typer(models, name="models")
app.add_typer(config_app, name="config")
app.add_typer(alerts, name="alerts")
app.add_typer(deliveries, name="deliveries")
app.command()(backup)
app.command("restore")(restore_)
app.add_typer(key, name="key")
app.command()(doctor)
app.command()(support_bundle)


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """How many studies, answers and deliveries there are, and what waits."""
    settings = read_settings(config)
    with BesideOrthanc(settings) as ledger:
        verdict = Audit(ledger).verify()
        content: dict[str, Any] = {
            "counts": ledger.counts(),
            "audit": {"entries": verdict.entries, "whole": verdict.whole, "problem": verdict.problem},
            "newest": Account(ledger).analyses(10),
        }
    tell(content, as_json, words.status)
    if not verdict.whole:
        raise typer.Exit(1)


@app.command()
def explain(
    study: Annotated[str, typer.Argument(help="The Orthanc id or the StudyInstanceUID of a study.")],
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """What was decided, made, sent and told of a study, and why."""
    settings = read_settings(config)
    with BesideOrthanc(settings) as ledger:
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
    tell(found, as_json, words.studies)


@config_app.command("check")
def config_check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Reads the settings as Orthanc would, and says all that is wrong with them."""
    settings = read_settings(config)
    sha256, _ = settings_snapshot(settings)
    tell({"valid": True, "settings_sha256": sha256, "models": list(settings.enabled_models()),
          "pacs": [*settings.pacs, *settings.dicom_web], "ris": list(settings.ris)}, as_json, words.settings)


@config_app.command("write")
def config_write(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.")],
    user: Annotated[str, typer.Option("--user", help="The name of its one user.")] = "operator",
    as_json: JsonOption = False,
) -> None:
    """Writes a whole, closed configuration for a new Orthanc, with one user and a fresh password, which is shown once."""
    first = write_first(file, user)
    tell({"file": str(first.file), "user": first.user, "password": first.password}, as_json, words.first)


@app.command()
def send_test_result(
    destination: Annotated[str, typer.Argument(help="The name of a destination in Vigil.Pacs or Vigil.DicomWeb.")],
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """Sends a phantom study with every kind of answer, and says what to look for in the viewer."""
    settings = read_settings(config)
    target = trial_destination(destination, settings)
    made = make_trial(settings, target, BUNDLED_MODELS, SystemClock(), uuid4)
    sent = send_trial(made, target, threading.Event())
    tell(sent.as_dict(), as_json, words.trial)
    if sent.refused:
        raise typer.Exit(1)


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
