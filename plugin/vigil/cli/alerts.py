"""``vigil alerts``: who was told of what, who received it; and what a person does with an alert, beside a running Orthanc."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from vigil.cli import alert_words
from vigil.cli.alerts_test import test
from vigil.cli.beside import DEFAULT_CONFIG, BesideOrthanc, ByOption, ConfigOption, JsonOption, read_settings, tell
from vigil.domain.clock import SystemClock
from vigil.pipeline.desk import AlertDesk
from vigil.records.alerts import AlertAccount, Communication
from vigil.records.audit import Audit
from vigil.records.retractions import RetractionKind
from vigil.settings import Settings

alerts = typer.Typer(no_args_is_help=True, help="Alerts, and the people they are for.")
alerts.command()(test)

IdArgument = Annotated[str, typer.Argument(help="The id of an alert, or its first 6 characters or more.")]
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With one of these at its beginning a spreadsheet takes a text for a formula."""


@alerts.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
    unacknowledged: Annotated[bool, typer.Option("--open", help="Only those that nobody has acknowledged.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
) -> None:
    """The newest critical results: their category, their state, who received them."""
    with BesideOrthanc(read_settings(config)) as ledger:
        found = AlertAccount(ledger).alerts(limit, unacknowledged=unacknowledged)
    tell(found, as_json, alert_words.listed)


@alerts.command()
def show(alert: IdArgument, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """One alert: every message to a RIS and to people, and what became of it."""
    _told(read_settings(config), alert, lambda desk, subject: None, as_json, alert_words.shown)


@alerts.command()
def acknowledge(
    alert: IdArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """You have received this result: nobody else is told of it any more."""
    def act(desk: AlertDesk, subject: str) -> None:
        desk.acknowledge(subject, by, "command")  # a second one changes nothing, and says who was first

    _told(read_settings(config), alert, act, as_json, alert_words.acknowledged)


@alerts.command()
def hold(alert: IdArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Keeps an alert in the house: what was not sent yet is not sent, and nobody else is told."""
    _told(read_settings(config), alert, lambda desk, subject: desk.hold(subject, by), as_json, alert_words.shown)


@alerts.command()
def reported(alert: IdArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """The final report of its study is known: no alert of the study leaves the house any more (HoldWhenReported)."""
    _told(read_settings(config), alert, lambda desk, subject: desk.reported(subject, by), as_json, alert_words.shown)


@alerts.command()
def withdraw(
    alert: IdArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
    wrong_patient: Annotated[bool, typer.Option("--wrong-patient", help="The images were of another patient.")] = False,
) -> None:
    """The result does not stand: every RIS and everybody who was told of it is told so. Cannot be undone."""
    kind: RetractionKind = "wrong-patient" if wrong_patient else "withdrawal"
    _told(read_settings(config), alert, lambda desk, subject: desk.withdraw(subject, by, kind), as_json, alert_words.shown)


@alerts.command()
def resend(alert: IdArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Lets a held alert go, and sends its parked or suppressed messages again, with the same control id."""
    def act(desk: AlertDesk, subject: str) -> None:
        desk.resend(subject, by)

    _told(read_settings(config), alert, act, as_json, alert_words.shown)


@alerts.command()
def export(
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="For a spreadsheet.")] = False,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Found on this day (UTC) or later.")] = None,
) -> None:
    """The communication record of each critical result: found when, told by whom to whom and how, received by whom and when."""
    with BesideOrthanc(read_settings(config)) as ledger:
        rows = AlertAccount(ledger).communications(None if since is None else since.replace(tzinfo=UTC))
    if as_csv:
        typer.echo(_csv(rows), nl=False)
    else:
        tell([row.as_dict() for row in rows], as_json, alert_words.communications)


def _told(settings: Settings, alert: str, act: Callable[[AlertDesk, str], None], as_json: bool,
          in_words: Callable[[Any], str]) -> None:
    """Does it, then shows the alert as it is."""
    with BesideOrthanc(settings) as ledger:
        desk = AlertDesk(ledger, Audit(ledger), SystemClock())
        subject = desk.find(alert).analysis_id
        act(desk, subject)
        content = AlertAccount(ledger).alert(subject)
    tell(content, as_json, in_words)


def _csv(rows: list[Communication]) -> str:
    text = io.StringIO()
    names = [field.name for field in fields(Communication)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"'{value}" if value.startswith(FORMULA) else value for name, value in row.as_dict().items()})
    return text.getvalue()
