"""What people do with model packages: approve, retire, roll back. Each is an event in the ledger and in the audit, under a name.

The running Vigil sees the event within seconds and takes it up; nothing here needs a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vigil.authoring.errors import NothingToChange, PackageUnknown
from vigil.domain.clock import Clock
from vigil.inference.quarantine import release
from vigil.inference.standing import Standing, Standings, State
from vigil.records.ledger import Ledger
from vigil.records.model_events import Happened, ModelEvent, Use


def find(standings: Standings, name: str) -> Standing:
    """The package of "id" or "id@version".

    Raises: PackageUnknown, also where an id alone stands for several versions.
    """
    model_id, _, version = name.partition("@")
    found = [item for item in standings.of(model_id) if version in ("", item.package.version)]
    if not found:
        raise PackageUnknown(f"no package '{name}' is installed; \"vigil models list\" shows them")
    if len({item.package.sha256 for item in found}) > 1:
        said = ", ".join(f"{model_id}@{item.package.version}" for item in found)
        raise PackageUnknown(f"several packages of '{name}' are installed; name one: {said}")
    return found[0]


class ModelDesk:
    """``standings``: as they are before. ``marker``: of the models in flight; another version in a model's place has not ended
    the process, so the quarantine of the one before it is not its own."""

    def __init__(self, standings: Standings, ledger: Ledger, marker: Path, clock: Clock) -> None:
        self._standings = standings
        self._ledger = ledger
        self._marker = marker
        self._clock = clock

    def approve(self, standing: Standing, by: str, use: Use, acceptance: Mapping[str, object]) -> ModelEvent:
        """``acceptance``: the result of its test here, which passed. Raises: NothingToChange."""
        if standing.use is use:
            raise NothingToChange(f"{_name(standing)} is approved for that already")
        self._record(standing, Happened.VALIDATED, by, None, acceptance)
        event = self._record(standing, Happened.APPROVED, by, use, acceptance)
        if use is Use.MAIN:
            release(self._marker, standing.package.model_id)
        return event

    def retire(self, standing: Standing, by: str) -> ModelEvent:
        """It runs no more, and what it answered and has not left yet stays in the house. Raises: NothingToChange."""
        if standing.state is State.RETIRED:
            raise NothingToChange(f"{_name(standing)} is retired already")
        return self._record(standing, Happened.RETIRED, by, None, {})

    def roll_back(self, model_id: str, by: str) -> ModelEvent:
        """The version before is the one in use again. Raises: NothingToChange where there is none, PackageUnknown where it is
        not installed, or not whole."""
        digest = self._standings.before(model_id)
        if digest is None:
            raise NothingToChange(f"'{model_id}' has no version before to go back to; \"vigil models show\" tells its life")
        found = next((item for item in self._standings.of(model_id) if item.package.sha256 == digest), None)
        if found is None:
            raise PackageUnknown(f"the version before of '{model_id}' (manifest SHA-256 {digest}) is not installed; put its "
                                 "package back, then roll back")
        if found.package.problem is not None:
            raise PackageUnknown(f"the version before of '{model_id}' cannot run: {found.package.problem.text}")
        event = self._record(found, Happened.ROLLED_BACK, by, Use.MAIN, {})
        release(self._marker, model_id)
        return event

    def _record(
        self, standing: Standing, happened: Happened, by: str, use: Use | None, evidence: Mapping[str, object],
    ) -> ModelEvent:
        package = standing.package
        if package.manifest is None or package.sha256 is None:
            raise PackageUnknown(f"the manifest of '{package.model_id}' cannot be read"
                                 + ("" if package.problem is None else f": {package.problem.text}"))
        event = ModelEvent(
            self._clock.now(), package.model_id, package.manifest.version, package.sha256, happened, by, use, evidence)
        self._ledger.record_model_event(event)
        return event


def _name(standing: Standing) -> str:
    return f"{standing.package.model_id} {standing.package.version}"
