"""Approves model packages for the tests and the demo: writes into the ledger what a person's approval writes."""

from __future__ import annotations

from pathlib import Path

BY = "Test hospital"


def approve_installed(models: Path, state_directory: Path) -> None:
    """Every package in the folder that can be read and is not in use as it is. Those of the release need none."""
    from vigil.domain.clock import SystemClock
    from vigil.inference.registry import Registry
    from vigil.inference.standing import Standings, released_digests
    from vigil.pipeline.roster import BUNDLED_MODELS
    from vigil.records.ledger import Ledger
    from vigil.records.model_events import Happened, ModelEvent, Use
    from vigil.records.sealing import Sealer
    from vigil.records.state import StatePaths

    state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = StatePaths(state_directory)
    ledger = Ledger.open(paths.ledger_url, Sealer.open(paths.key), SystemClock())
    try:
        standings = Standings(Registry(models).installed(), ledger.model_events(), released_digests(BUNDLED_MODELS))
        for standing in standings.all:
            package = standing.package
            if package.manifest is None or package.sha256 is None or standing.use is not None:
                continue
            ledger.record_model_event(ModelEvent(
                SystemClock().now(), package.model_id, package.manifest.version, package.sha256, Happened.APPROVED, BY, Use.MAIN,
                {"acceptance": "made for a test"}))
    finally:
        ledger.close()
