"""``vigil alerts test``: whether a receiver takes our messages, and what it answers, before a patient depends on it."""

from __future__ import annotations

import json
import threading
import time
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from vigil.cli.beside import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings
from vigil.cli.errors import NothingFound
from vigil.delivery.destination import RisDestination, ris_destination
from vigil.delivery.hl7.acknowledgement import Acknowledgement
from vigil.delivery.hl7.message import ComposedMessage
from vigil.delivery.hl7.mllp import MllpClient
from vigil.delivery.hl7.trial import trial_message
from vigil.domain.clock import SystemClock
from vigil.domain.manifest import Manifest
from vigil.inference.registry import Registry
from vigil.pipeline.house import BUNDLED_MODELS
from vigil.settings import Settings

MEANINGS = {
    "AA": "accepted by the receiver; that is no person",
    "CA": "taken into safe storage by the receiver; that is no person",
    "AE": "not accepted: an error there",
    "CE": "not accepted: an error there",
    "AR": "rejected: version, processing id or kind of message",
    "CR": "rejected: version, processing id or kind of message",
}


def test(
    destination: Annotated[str, typer.Argument(help="A name under Vigil.Ris.")],
    model: Annotated[str | None, typer.Option(help="The model whose alert is tried; by default one that alerts.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the message and send nothing.")] = False,
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """Sends one message that is marked as a test, about a patient who does not exist, and shows it and the answer."""
    settings = read_settings(config)
    if destination not in settings.ris:
        raise NothingFound(f"the settings have no Vigil.Ris.{destination}; they have {', '.join(settings.ris) or 'none'}")
    receiver = ris_destination(destination, settings)
    now = SystemClock().now().astimezone(ZoneInfo(settings.time_zone))
    message = trial_message(destination, receiver.profile, _manifest(settings, model), now)
    if not as_json:
        typer.echo(_shown(message, receiver))
    if dry_run:
        if as_json:
            typer.echo(json.dumps(_content(message, receiver), ensure_ascii=False, indent=1))
        return
    began = time.monotonic()
    with MllpClient(receiver) as client:
        answer = client.send(message.content, message.control_id, threading.Event())
    seconds = time.monotonic() - began
    if as_json:
        told = {"code": answer.code, "text": answer.text, "receiver": answer.receiver, "seconds": round(seconds, 4)}
        typer.echo(json.dumps({**_content(message, receiver), "answer": told}, ensure_ascii=False, indent=1))
    else:
        typer.echo(_answered(answer, seconds))
    if not answer.accepted:
        raise typer.Exit(1)


def _manifest(settings: Settings, wanted: str | None) -> Manifest:
    installed = [model.manifest for model in Registry(settings.models_directory or BUNDLED_MODELS).installed()
                 if model.manifest is not None]
    ordered = sorted(installed, key=lambda item: (item.acr_category is None, item.id))
    found = next((item for item in ordered if wanted in (None, item.id)), None)
    if found is None:
        names = ", ".join(item.id for item in ordered)
        raise NothingFound(f"the model '{wanted}' is not installed; installed are {names}" if names else "no model is installed")
    return found


def _content(message: ComposedMessage, receiver: RisDestination) -> dict[str, object]:
    text = message.content.decode(receiver.profile.codec)
    return {"destination": receiver.name, "message": text.split("\r")[:-1], "warnings": list(message.warnings)}


def _shown(message: ComposedMessage, receiver: RisDestination) -> str:
    segments = message.content.decode(receiver.profile.codec).rstrip("\r").split("\r")
    profile = receiver.profile
    over = "MLLP over TLS" if receiver.tls is not None else "MLLP"
    head = (f"To {' or '.join(receiver.label_at(address) for address in receiver.addresses)}, {over}, {receiver.connection}: "
            f"version {profile.version}, {profile.character_set}, {len(message.content)} bytes")
    return "\n".join([head, "", *segments, "", *(f"warning: {warning}" for warning in message.warnings)])


def _answered(answer: Acknowledgement, seconds: float) -> str:
    said = f' It says: "{answer.text}"' if answer.text else ""
    return f"{answer.receiver} answered {answer.code} after {seconds:.3f} s: {MEANINGS[answer.code]}.{said}"
