"""``vigil key``: the sealing key, of what identifies a patient in the ledger."""

from __future__ import annotations

from typing import Any

import typer

from vigil.cli.beside import DEFAULT_CONFIG, ByOption, ConfigOption, JsonOption, read_settings, tell
from vigil.domain.clock import SystemClock
from vigil.records.rotation import rotate_key
from vigil.records.state import StatePaths

key = typer.Typer(no_args_is_help=True, help="The key that seals what identifies a patient in the ledger.")


@key.callback()
def _group() -> None:
    """A group of commands, also while it has one."""


@key.command()
def rotate(by: ByOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Makes a new sealing key, seals everything with it, and removes the old one. Orthanc is stopped.

    Links of acknowledgement that were sent before work no more.
    """
    done = rotate_key(StatePaths(read_settings(config).state_directory), SystemClock(), by)
    tell(done.as_dict(), as_json, _in_words)


def _in_words(done: dict[str, Any]) -> str:
    return (f"{done['resealed']} values are sealed with the new key {done['new_key']}; the old one, {done['old_key']}, is "
            "removed.\n"
            "Copies from before open with the old key, or hold it: backups, and before-update, after-update and before-restore "
            "in the state directory. Keep them as closed as the key was, or make new ones and destroy them.\n"
            "Links of acknowledgement that were sent before work no more.")
