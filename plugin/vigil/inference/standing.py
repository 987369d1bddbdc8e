"""Where each installed package stands at this site, from what people did: which version is in use, which runs in silence beside
it, which one a rollback brings back, and which nobody approved.

The packages of the release itself count as approved by the release's own acceptance: their digests stand in a file that is
made with it. Every other package runs only after a person approved these very bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.inference.registry import InstalledModel, Limit
from vigil.records.model_events import Happened, ModelEvent, Use

RELEASED = "SHA256SUMS"
"""Beside the packages of the release: the SHA-256 of each manifest, as sha256sum writes it."""


class State(StrEnum):
    INSTALLED = "installed"
    VALIDATED = "validated"
    APPROVED = "approved"
    RETIRED = "retired"


@dataclass(frozen=True)
class Standing:
    """Of one installed package. ``use``: None where it does not run. ``before``: whether a rollback brings it back.
    ``approval``: the event that approved it; None where the release did, or nobody."""

    package: InstalledModel
    state: State
    use: Use | None = None
    before: bool = False
    released: bool = False
    approval: ModelEvent | None = None


@dataclass
class _History:
    """``chosen``: digests in the order in which they came into use, the one in use last."""

    chosen: list[str] = field(default_factory=list)
    shadows: list[str] = field(default_factory=list)
    retired: dict[str, ModelEvent] = field(default_factory=dict)
    validated: set[str] = field(default_factory=set)
    approvals: dict[str, ModelEvent] = field(default_factory=dict)

    def take(self, event: ModelEvent) -> None:
        digest = event.package_sha256
        if event.event is Happened.VALIDATED:
            self.validated.add(digest)
            return
        if event.event is Happened.ROLLED_BACK:
            if digest in self.chosen:
                del self.chosen[self.chosen.index(digest) + 1:]
            return
        self._drop(digest)
        if event.event is Happened.RETIRED:
            self.retired[digest] = event
            return
        self.retired.pop(digest, None)
        self.approvals[digest] = event
        (self.shadows if event.use is Use.SHADOW else self.chosen).append(digest)

    def _drop(self, digest: str) -> None:
        for listed in (self.chosen, self.shadows):
            if digest in listed:
                listed.remove(digest)

    def of(self, package: InstalledModel, released: bool) -> Standing:
        digest = package.sha256 or ""
        if digest in self.retired:
            state = State.RETIRED
        elif digest in self.chosen or digest in self.shadows or digest in self.approvals or released:
            state = State.APPROVED
        else:
            state = State.VALIDATED if digest in self.validated else State.INSTALLED
        use = Use.MAIN if self.chosen[-1:] == [digest] else Use.SHADOW if digest in self.shadows else None
        return Standing(package, state, use, self.chosen[-2:-1] == [digest], released, self.approvals.get(digest))


def released_digests(folder: Path) -> frozenset[str]:
    """The manifests of the release's own packages; none where the file is missing."""
    try:
        lines = (folder / RELEASED).read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return frozenset()
    return frozenset(line.split()[0].lower() for line in lines if line.split())


class Standings:
    """Of all installed packages, by what happened so far."""

    def __init__(self, installed: Sequence[InstalledModel], events: Iterable[ModelEvent], released: Collection[str]) -> None:
        self._histories: dict[str, _History] = defaultdict(_History)
        for package in sorted(installed, key=_by_version):
            if package.sha256 in released:
                self._histories[package.model_id].chosen.append(package.sha256 or "")
        for event in events:
            self._histories[event.model_id].take(event)
        self.all = tuple(self._histories[package.model_id].of(package, package.sha256 in released) for package in installed)

    def of(self, model_id: str) -> tuple[Standing, ...]:
        """Every installed version, as the folder lists them."""
        return tuple(standing for standing in self.all if standing.package.model_id == model_id)

    def running(self, model_id: str) -> tuple[InstalledModel, ...]:
        """What runs under this id: the version in use, then those in silence beside it under "id@version". Where none is in
        use, the package that stands for the model, with what is in its way; nothing where none is installed and none was
        approved."""
        standings = self.of(model_id)
        main = next((item.package for item in standings if item.use is Use.MAIN), None) or self._in_its_place(model_id, standings)
        beside = [_in_silence(item.package) for item in standings if item.use is Use.SHADOW]
        return (*(() if main is None else (main,)), *beside)

    def before(self, model_id: str) -> str | None:
        """The digest of the version that a rollback brings back."""
        chosen = self._histories[model_id].chosen
        return chosen[-2] if len(chosen) > 1 else None

    def _in_its_place(self, model_id: str, standings: Sequence[Standing]) -> InstalledModel | None:
        history = self._histories[model_id]
        if history.chosen:
            return _gone(model_id, standings, history.approvals.get(history.chosen[-1]))
        waiting = [item for item in standings if item.state in (State.INSTALLED, State.VALIDATED)]
        if waiting:
            newest = max((item.package for item in waiting), key=_by_version)
            return newest if newest.problem is not None else replace(newest, problem=_not_approved(newest))
        retired = [item.package for item in standings if item.state is State.RETIRED]
        if retired:
            return replace(max(retired, key=_by_version), limit=Limit.OFF)
        return None


def _gone(model_id: str, standings: Sequence[Standing], approval: ModelEvent | None) -> InstalledModel | None:
    """The version that was approved is not there as it was: nothing else takes its place by itself."""
    if approval is None:
        return None
    said = f"version {approval.version}, which {approval.by} approved on {approval.at:%Y-%m-%d}"
    changed = next((item.package for item in standings if item.package.version in (approval.version, None)), None)
    if changed is not None and changed.manifest is None:
        return changed  # what cannot be read says itself what is wrong
    if changed is not None:
        return replace(changed, problem=Reason(
            Category.MODEL_HASH_MISMATCH, f"the manifest of {said}, was changed since (SHA-256 {changed.sha256}, approved "
            f"{approval.package_sha256}); put it back, or have the changed package approved"))
    problem = Reason(Category.MODEL_FILE_MISSING, f"{said}, is not installed; put it back, roll back, or approve another")
    other = next((item.package for item in standings), None)
    return InstalledModel(Path(model_id), None, model_id, problem) if other is None else replace(other, problem=problem)


def _not_approved(package: InstalledModel) -> Reason:
    return Reason(Category.MODEL_NOT_APPROVED,
                  f"nobody at this site approved version {package.version} as it is (manifest SHA-256 {package.sha256}); test "
                  f"it, then approve it (vigil models approve {package.model_id} --by NAME)")


def _in_silence(package: InstalledModel) -> InstalledModel:
    return replace(package, model_id=f"{package.model_id}@{package.version}", limit=Limit.SHADOW)


def _by_version(package: InstalledModel) -> tuple[int, ...]:
    return tuple(int(part) for part in package.version.split(".")) if package.version else ()
