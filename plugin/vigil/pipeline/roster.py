"""The models as they stand now: what is installed, what people decided, what is loaded. Taken up anew while Orthanc runs.

Whoever needs a model asks here each time, so an approval, a rollback or a package that was changed holds from the next study
on, without a restart. What lies in memory of the version before is let go only when nothing asks for it any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import vigil
from vigil.domain.answer import Analysis, Reason
from vigil.domain.errors import Category, Stopping, VigilError
from vigil.inference.fingerprint import fingerprint
from vigil.inference.registry import InstalledModel, Limit, Registry
from vigil.inference.runtime import Runtime
from vigil.inference.standing import Standing, Standings, State, released_digests
from vigil.pipeline.scanner import refusal
from vigil.records.ledger import Ledger
from vigil.records.model_events import Use
from vigil.settings import ModelSettings, Settings
from vigil.telemetry.logs import Log

BUNDLED_MODELS = Path(vigil.__file__).resolve().parents[2] / "models"
LOOK_EVERY_S = 2.0
STAGES = ("off", "shadow", "live")


class Roster(Mapping[str, InstalledModel]):
    """By id: of each model the version in use, or what stands in its place with what is wrong; by "id@version" those that run
    in silence beside it. Any other installed version is found under "id@version" too, and not iterated.
    """

    def __init__(self, *, settings: Settings, ledger: Ledger, runtime: Runtime, stop: threading.Event, log: Log) -> None:
        self._folder = models_folder(settings)
        self._settings = settings
        self._ledger = ledger
        self._runtime = runtime
        self._stop = stop
        self._log = log
        self._running: dict[str, InstalledModel] = {}
        self._versions: dict[str, InstalledModel] = {}
        self._seen: object = None
        self._changed: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._keep, name="vigil-models", daemon=True)

    def __getitem__(self, name: str) -> InstalledModel:
        found = self._running.get(name) or self._versions.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._running)

    def __len__(self) -> int:
        return len(self._running)

    def start(self, changed: Callable[[], object]) -> None:
        """``changed``: called after what runs has changed, in the thread that keeps the roster."""
        self._changed = changed
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def take_up(self) -> None:
        """Reads folder and ledger, makes and warms the sessions of what is enabled, then puts all of it in place at once.

        Raises: LedgerUnavailable; Stopping.
        """
        self._seen = self._look()
        standings = standings_of(self._settings, self._ledger)
        running: dict[str, InstalledModel] = {}
        for name in sorted({item.package.model_id for item in standings.all}):
            for model in standings.running(name):
                running[model.model_id] = self._loaded(model)
        for name in self._settings.enabled_models():
            if name not in running:
                running[name] = _not_installed(self._folder, name)
        self._versions = {f"{item.package.model_id}@{item.package.version}": replace(item.package, limit=_limit(item))
                          for item in standings.all}
        self._running = running
        self._runtime.keep_only(running.values())

    def _loaded(self, model: InstalledModel) -> InstalledModel:
        """With its session made and warm where it is enabled, or with what stands in the way."""
        site = site_of(self._settings, model)
        if model.problem is None and model.manifest is not None and site is not None:
            model = replace(model, problem=refusal(site, model.manifest))
        if model.problem is None and site is not None:
            try:
                self._runtime.load(model, self._stop)
            except Stopping:
                raise
            except VigilError as error:
                model = replace(model, problem=Reason(error.category, error.message))
        if model.problem is not None:
            self._log.error("model-refused", model=model.model_id, category=model.problem.category.value)
        return model

    def _look(self) -> object:
        return self._ledger.newest_model_event(), fingerprint(self._folder), self._released_from_quarantine()

    def _released_from_quarantine(self) -> tuple[str, ...]:
        """Models that were refused for that alone, and are not in quarantine any more."""
        return tuple(name for name, model in self._running.items()
                     if model.problem is not None
                     and model.problem.category in {Category.MODEL_QUARANTINED, Category.MODEL_PROCESS_ENDED}
                     and self._runtime.quarantine(name) is None)

    def _keep(self) -> None:
        """A folder that is being copied into is left alone until it has been the same for two looks."""
        before: object = None
        while not self._stop.wait(LOOK_EVERY_S):
            try:
                now = self._look()
                if now != self._seen and now == before:
                    self.take_up()
                    self._log.info("models-taken-up", models=len(self._running))
                    self._changed()
                before = now
            except VigilError as error:
                self._log.warning("models-wait", category=error.category.value)
            except Exception as error:  # noqa: BLE001 - the edge of a thread: it must live on, and the fault be seen
                self._log.error("models-broke", exception=error)


def models_folder(settings: Settings) -> Path:
    return settings.models_directory or BUNDLED_MODELS


def standings_of(settings: Settings, ledger: Ledger | None) -> Standings:
    """``ledger``: None where Vigil has never been started."""
    events = () if ledger is None else ledger.model_events()
    return Standings(Registry(models_folder(settings)).installed(), events, released_digests(BUNDLED_MODELS))


def site_of(settings: Settings, model: InstalledModel) -> ModelSettings | None:
    """What the site says of a model, no further than the package may go; None where it does not run."""
    name = model.model_id if model.manifest is None else model.manifest.id
    site = settings.models.get(name)
    if site is None:
        return None
    stage = min(site.stage, model.limit.value, key=STAGES.index)
    return None if stage == "off" else site.model_copy(update={"stage": stage})


def model_of(models: Mapping[str, InstalledModel], analysis: Analysis) -> InstalledModel | None:
    """The very version that made an analysis, where it is still installed; else the one in its place."""
    return models.get(f"{analysis.model_id}@{analysis.model_version}") or models.get(analysis.model_id)


def _limit(standing: Standing) -> Limit:
    if standing.state is State.RETIRED:
        return Limit.OFF
    return Limit.SHADOW if standing.use is Use.SHADOW else Limit.LIVE


def _not_installed(folder: Path, name: str) -> InstalledModel:
    """Stands for a model that the settings name and nobody installed, so that each study says that it lacked it."""
    return InstalledModel(folder / name, None, name, Reason(
        Category.MODEL_FILE_MISSING, f"it is not installed; put its package into {folder} or take it out of the settings"))


def models_state(models: Mapping[str, InstalledModel], settings: Settings, runtime: Runtime) -> list[dict[str, object]]:
    """For /vigil/health/ready: what runs, how far, and what stands in its way."""
    states: list[dict[str, object]] = []
    for model in models.values():
        site = site_of(settings, model)
        manifest = model.manifest
        states.append({
            "id": model.model_id,
            "version": model.version,
            "name": None if manifest is None else manifest.name,
            "regulatory_status": None if manifest is None else manifest.regulatory.status.value,
            "weights_sha256": None if manifest is None else manifest.weights_sha256,
            "package_sha256": model.sha256,
            "stage": "off" if site is None else site.stage,
            "problem": None if model.problem is None else {
                "category": model.problem.category.value, "text": model.problem.text},
            "runtime": runtime.describe(model.model_id),
        })
    return states
