"""``vigil deliveries``: what waits, what was parked, and to send it again."""

from __future__ import annotations

from typing import Annotated

import typer

from vigil.cli import alert_words
from vigil.cli.beside import DEFAULT_CONFIG, BesideOrthanc, ByOption, ConfigOption, JsonOption, read_settings, tell
from vigil.domain.clock import SystemClock
from vigil.pipeline.desk import AlertDesk
from vigil.records.account import delivery_account
from vigil.records.audit import Audit
from vigil.records.entries import FINISHED_DELIVERY, WAITING

deliveries = typer.Typer(no_args_is_help=True, help="What goes to PACS and RIS.")
UNSETTLED = sorted({WAITING, *FINISHED_DELIVERY} - {"delivered", "suppressed"})


@deliveries.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
    state: Annotated[list[str] | None, typer.Option(
        help="waiting, parked, held, suppressed, cancelled or delivered; may be given several times. "
             "Without it: all but delivered and suppressed.")] = None,
) -> None:
    """Deliveries by state, oldest first."""
    with BesideOrthanc(read_settings(config)) as ledger:
        found = [{"delivery_id": item.delivery_id, "analysis_id": item.analysis_id, **delivery_account(item)}
                 for item in ledger.deliveries(states=state or UNSETTLED)]
    tell(found, as_json, alert_words.deliveries)


@deliveries.command()
def resend(
    delivery: Annotated[str, typer.Argument(help="The id of a delivery, as \"vigil deliveries list\" prints it.")],
    by: ByOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """Sends a parked, held or suppressed delivery again: a RIS gets the same message, a PACS what it has not accepted yet."""
    settings = read_settings(config)
    with BesideOrthanc(settings) as ledger:
        AlertDesk(ledger, Audit(ledger), SystemClock()).resend_delivery(delivery, by)
    tell({"resent": delivery}, as_json, lambda _: (
        f"{delivery} waits again; a running Orthanc sends it within {settings.reconcile.interval_seconds:g} seconds"))
