"""What every command shares: the configuration, the ledger beside a running Orthanc, and two ways to print."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from vigil.cli.errors import NothingFound
from vigil.delivery.escalation.person import staff_name
from vigil.domain.clock import SystemClock
from vigil.records.ledger import Ledger
from vigil.records.rotation import settle_rotation
from vigil.records.sealing import Sealer
from vigil.records.state import StateFolder, StatePaths, beside
from vigil.settings import Settings, load
from vigil.settings.configuration_files import read_configuration

ConfigOption = Annotated[Path, typer.Option(
    "--config", "-c", envvar="VIGIL_CONFIG", help="Orthanc's configuration: a file, or a folder of *.json files.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
ByOption = Annotated[str, typer.Option("--by", help="Your own name: it stands in the ledger and the audit.", callback=staff_name)]
DEFAULT_CONFIG = Path("/etc/orthanc")


class BesideOrthanc:
    """The ledger, open beside a running Orthanc: both may read and write, each transaction whole."""

    def __init__(self, settings: Settings) -> None:
        self._paths = StatePaths(settings.state_directory)

    def __enter__(self) -> Ledger:
        if not self._paths.ledger.exists():
            raise NothingFound(f"there is no ledger in {self._paths.path}; has Orthanc been started with Vigil yet?")
        with ExitStack() as opened:
            opened.enter_context(beside(self._paths))
            if self._paths.next_key.exists():
                with StateFolder(self._paths.path, by_command=True) as state:
                    settle_rotation(state)
            ledger = Ledger.open(self._paths.ledger_url, Sealer.open(self._paths.key), SystemClock())
            opened.callback(ledger.close)
            self._opened = opened.pop_all()
        return ledger

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def read_settings(config: Path) -> Settings:
    return load(read_configuration(config))


def tell(content: Any, as_json: bool, in_words: Callable[[Any], str]) -> None:
    typer.echo(json.dumps(content, ensure_ascii=False, indent=1) if as_json else in_words(content))
