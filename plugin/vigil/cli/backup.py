"""``vigil backup`` and ``vigil restore``: the state directory in one file, and back."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from vigil.cli.beside import DEFAULT_CONFIG, BesideOrthanc, ByOption, ConfigOption, JsonOption, read_settings, tell
from vigil.domain.clock import SystemClock
from vigil.pipeline.told import takes_back
from vigil.records.audit import Audit
from vigil.records.backup import make_backup
from vigil.records.restore import restore
from vigil.records.state import StateFolder, StatePaths


def backup(
    file: Annotated[Path | None, typer.Argument(help="The file to write; it must not be there yet. Else one that bears the time, "
                                                     "here.")] = None,
    config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
) -> None:
    """Copies the state directory into one file, beside a running Orthanc, and reads the copy back. Keep it like a key: it holds
    the one that opens what the ledger seals."""
    settings, clock = read_settings(config), SystemClock()
    target = (file or Path(clock.now().strftime("vigil-backup-%Y%m%dT%H%M%SZ.tar"))).absolute()
    with BesideOrthanc(settings) as ledger:  # the key stays the ledger's while both are copied
        contents = make_backup(StatePaths(settings.state_directory), target, clock)
        with target.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        Audit(ledger).append("state-copied", "ledger", actor="vigil", role="system", evidence={"sha256": sha256})
    tell({"file": str(target), "bytes": target.stat().st_size, "sha256": sha256, "made_at": contents.made_at}, as_json, _copied)


def restore_(
    file: Annotated[Path, typer.Argument(help="A file that \"vigil backup\" wrote.")],
    by: ByOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Puts a copy in the place of the state directory, while Orthanc is stopped. What was there is kept beside; alerts that may
    have been told after the copy was made are held."""
    settings, clock = read_settings(config), SystemClock()
    with StateFolder(settings.state_directory, by_command=True) as state:
        if not yes:
            typer.confirm(f"Put {file} in the place of the state in {state.path}? What is there is kept.", abort=True)
        done = restore(state, file.absolute(), by, clock, takes_back)
    tell({"state": str(settings.state_directory), "made_at": done.contents.made_at, "version": done.contents.version,
          "held": done.held, "kept": None if done.kept is None else str(done.kept)}, as_json, _put_back)


def _copied(told: dict[str, Any]) -> str:
    return (f"{told['file']}: the state of {told['made_at']}, {told['bytes'] / 1e6:.1f} MB, read back and whole.\n"
            f"SHA-256 {told['sha256']}\n"
            "It holds the sealing key: whoever has it can read what the ledger seals. Orthanc's configuration, the models and "
            "the images are not in it.")


def _put_back(told: dict[str, Any]) -> str:
    lines = [f"{told['state']} is again as it was at {told['made_at']} (Vigil {told['version']})."]
    if told["kept"] is not None:
        lines.append(f"What was there is kept in {told['kept']}; remove it when you no longer need it.")
    lines.append(f"Held, for they may have gone out after the copy was made: {told['held']} alerts, and each positive that had "
                 "arrived before now.\n\"vigil alerts list\" and \"vigil deliveries list\" show them, \"resend\" of either lets "
                 "one go. Model approvals are those of the copy: \"vigil models list\". Start Orthanc now.")
    return "\n".join(lines)
