"""The house put together: one Vigil with its state, its models, its workers and its threads, in one Orthanc."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import vigil
from vigil.domain.clock import Clock, SystemClock
from vigil.domain.errors import Category, VigilError, in_words
from vigil.domain.gateway import Gateway
from vigil.imaging.arrived import ArrivedImages
from vigil.inference.apart.errors import ModelProcessEnded
from vigil.inference.quarantine import CrashMarker
from vigil.inference.registry import Limit
from vigil.inference.runtime import Runtime
from vigil.intake.declared import DeclaredCounts
from vigil.intake.header import ImageHeader
from vigil.intake.study import HeaderCache
from vigil.pipeline.accelerator import accelerator_of, maker_of
from vigil.pipeline.alert import ToRis
from vigil.pipeline.analyse import STORAGE, STORE, Analyst
from vigil.pipeline.arrivals import WORKERS, Arrivals
from vigil.pipeline.commit import Confirmations
from vigil.pipeline.deliver import FORWARD, Courier, pacs_queue
from vigil.pipeline.engine import Engine
from vigil.pipeline.evaluate import INFER, INFERENCE, Evaluator
from vigil.pipeline.events import Event, EventKind, EventQueue
from vigil.pipeline.flavours import options_for
from vigil.pipeline.forward import ToPacs
from vigil.pipeline.pace import SHARE_OF_THE_PROCESSORS, Pace
from vigil.pipeline.people import People
from vigil.pipeline.permission import Permission
from vigil.pipeline.reconcile import Reconciler
from vigil.pipeline.reference import References
from vigil.pipeline.retry import Backoff
from vigil.pipeline.roster import BUNDLED_MODELS, Roster, models_state
from vigil.pipeline.store import Storer
from vigil.pipeline.urgency import Triage
from vigil.pipeline.watch import Watch
from vigil.records.account import Account
from vigil.records.alerts import AlertAccount
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.records.restore import finish_restore
from vigil.records.rotation import settle_rotation
from vigil.records.sealing import Sealer
from vigil.records.state import StateFolder
from vigil.results.request import DeviceIdentity
from vigil.results.warm import warm
from vigil.settings import Settings, settings_snapshot
from vigil.telemetry.logs import close_log, open_log
from vigil.telemetry.metrics import Metrics

__all__ = ["BUNDLED_MODELS", "House"]

KEPT_AFTER_STABLE_S = 120.0
"""How long the pixels of a study wait for its analysis."""


class House:
    """``start`` opens everything in order; ``stop`` ends it within a time. What is missing is told, in words."""

    def __init__(self, settings: Settings, gateway: Gateway, events: EventQueue, stop: threading.Event,
                 clock: Clock | None = None) -> None:
        self._settings = settings
        self._gateway = gateway
        self._events = events
        self._stop = stop
        self._clock = clock or SystemClock()
        self._metrics = Metrics()
        self._models: Roster
        self.account: Account
        self.alerts: AlertAccount
        self.people: People

    def start(self) -> None:
        """Raises :class:`vigil.domain.errors.VigilError`; what was opened before it is closed again."""
        settings = self._settings
        with ExitStack() as opened:  # whatever goes wrong: a lock that is kept would refuse every later attempt of this process
            self._state = StateFolder(settings.state_directory)
            opened.callback(self._state.close)
            self._log = open_log(self._state.logs, settings.log_level)
            opened.callback(close_log)
            if self._state.narrowed:
                self._log.warning("state-was-open-to-others", narrowed=self._state.narrowed)
            if finish_restore(self._state):
                self._log.warning("restore-finished")
            settle_rotation(self._state)
            sealer = Sealer.open(self._state.key)
            self._ledger = Ledger.open(self._state.ledger_url, sealer, self._clock)
            opened.callback(self._ledger.close)
            self._open(opened, sealer)
            opened.pop_all()

    def _open(self, opened: ExitStack, sealer: Sealer) -> None:
        settings, ledger = self._settings, self._ledger
        audit = Audit(ledger)
        self.account = Account(ledger)
        self.alerts = AlertAccount(ledger)
        newest = self._gateway.last_change()
        installation = ledger.install_once(newest)
        if ledger.reset_change_cursor(newest):
            self._log.warning("orthanc-went-back", newest_change=newest)
        settings_sha256, settings_json = settings_snapshot(settings)
        ledger.record_settings(settings_sha256, settings_json, self._clock.now())
        self._runtime = Runtime(
            provider=settings.runtime.provider, threads=settings.runtime.threads,
            allow_cpu_fallback=settings.runtime.allow_cpu_fallback,
            memory_budget_mib=settings.runtime.memory_budget_mib - settings.arrival_memory_mib, marker=self._state.marker,
            accelerator=accelerator_of(settings.runtime, self._state.engines), make=maker_of(settings.runtime),
            tell_death=self._tell_death)
        models = self._models = Roster(settings=settings, ledger=ledger, runtime=self._runtime, stop=self._stop, log=self._log)
        models.take_up()
        warm()
        permission = Permission(settings, models, installation.installed_at)
        backoff = Backoff(settings.retry.first_delay_seconds, settings.retry.maximum_delay_seconds)
        device = DeviceIdentity(installation_name=settings.installation_name, device_uid=installation.device_uid,
                                bundle_version=vigil.__version__, runtime="")
        headers = HeaderCache()
        images = ArrivedImages(settings.arrival_memory_mib << 20, settings.stable_age_s + KEPT_AFTER_STABLE_S)
        self._confirmations = Confirmations(ledger=ledger, settings=settings, clock=self._clock, stop=self._stop, log=self._log)
        opened.callback(self._confirmations.stop)
        to_pacs = ToPacs(gateway=self._gateway, ledger=ledger, settings=settings, permission=permission,
                         confirmations=self._confirmations, clock=self._clock, stop=self._stop)
        references = References(self._gateway, ledger, settings)
        self._to_ris = ToRis(references=references, ledger=ledger, settings=settings, permission=permission, models=models,
                             clock=self._clock, stop=self._stop)
        forward, alert = (
            Courier(bring=bring, notified=notified, ledger=ledger, audit=audit, retry=settings.retry, clock=self._clock,
                    log=self._log, metrics=self._metrics)
            for bring, notified in ((to_pacs, "forwarded"), (self._to_ris, "alerted")))
        self.people = People(
            references=references, ledger=ledger, audit=audit, settings=settings, permission=permission, courier=alert,
            models=models, sealer=sealer, clock=self._clock, stop=self._stop, log=self._log, metrics=self._metrics)
        self._engine = Engine(
            database=self._state.workflows,
            workers={
                INFER: Analyst(gateway=self._gateway, ledger=ledger, audit=audit, references=references, models=models,
                               runtime=self._runtime, headers=headers, images=images,
                               reading=CrashMarker(self._state.reading_marker), device=device,
                               options=partial(options_for, settings), backoff=backoff, clock=self._clock, stop=self._stop,
                               log=self._log, metrics=self._metrics),
                STORE: Storer(gateway=self._gateway, ledger=ledger, audit=audit, settings=settings, permission=permission,
                              alerts=self.people.alerts, escalations=self.people.escalations, backoff=backoff,
                              clock=self._clock, log=self._log, metrics=self._metrics, restored_at=installation.restored_at),
                FORWARD: forward,
                **self.people.workers(),
            },
            queues={INFERENCE, STORAGE, *map(pacs_queue, [*settings.pacs, *settings.dicom_web]), *self.people.queues()},
            on_fault=self._tell_fault)
        self._confirmations.start()
        opened.callback(self._engine.stop, 0)
        self._engine.start()
        triage = Triage(gateway=self._gateway, references=references, headers=headers, models=models, settings=settings)
        evaluator = Evaluator(
            gateway=self._gateway, ledger=ledger, audit=audit, settings=settings, settings_sha256=settings_sha256,
            models=models, engine=self._engine, headers=headers, triage=triage, clock=self._clock, log=self._log,
            metrics=self._metrics, restored_at=installation.restored_at)
        reconciler = Reconciler(gateway=self._gateway, ledger=ledger, engine=self._engine, triage=triage,
                                overdue=self.people.overdue, clock=self._clock, log=self._log)
        look_again = partial(reconciler.look_again_at_refused, timedelta(hours=settings.max_study_age_hours))
        look_again()
        self._watch = Watch(
            gateway=self._gateway, ledger=ledger, events=self._events, evaluator=evaluator, reconciler=reconciler,
            settle_s=settings.stable_age_s + settings.reconcile.grace_seconds,
            interval_s=settings.reconcile.interval_seconds, clock=self._clock, stop=self._stop, log=self._log,
            metrics=self._metrics, arrivals=self._arrivals(headers, images))
        audit.append("started", installation.installation_id, actor="vigil", role="system", evidence={
            "version": vigil.__version__, "settings_sha256": settings_sha256,
            "models": {model.model_id: None if model.problem is None else model.problem.category.value
                       for model in models.values()}})
        self._watch.start()
        models.start(look_again)
        self._log.info("started", version=vigil.__version__, missing=len(self.missing()))

    def _arrivals(self, headers: HeaderCache, images: ArrivedImages) -> Arrivals | None:
        how = self._settings.arrival.decode
        enabled = self._settings.enabled_models()
        manifests = [model.manifest for name, model in self._models.items() if model.manifest is not None and name in enabled]
        modalities = {modality for manifest in manifests for modality in manifest.scope.modality}
        if how == "off" or not modalities:
            return None

        def wanted(header: ImageHeader) -> bool:
            stored_bytes = 2 * header.rows * header.columns * header.frames
            return header.has_pixel_data and header.modality in modalities and stored_bytes <= images.capacity_bytes

        def whole(series_orthanc_id: str) -> None:
            self._events.put(Event(EventKind.SERIES_WHOLE, series_orthanc_id))

        counts = DeclaredCounts(min(series.minimum_slices for manifest in manifests for series in manifest.inputs))
        pace = Pace(None if how == "always" else SHARE_OF_THE_PROCESSORS, WORKERS, lambda: self._events.newest_image_at)
        return Arrivals(gateway=self._gateway, headers=headers, images=images, wanted=wanted, counts=counts, whole=whole,
                        pace=pace, stop=self._stop, log=self._log, metrics=self._metrics)

    def _tell_fault(self, kind: str, error: Exception) -> None:
        category = error.category if isinstance(error, VigilError) else Category.INTERNAL
        self._metrics.error(kind, category.value)
        self._log.error("task-broke", kind=kind, category=category.value, exception=error)

    def _tell_death(self, model_id: str, ended: ModelProcessEnded) -> None:
        self._metrics.error("inference", ended.category.value)
        self._log.error("model-process-ended", model=model_id, how=ended.message)

    def missing(self) -> list[str]:
        """What the site asked for and does not work, in words."""
        missing = []
        for name in self._settings.enabled_models():
            model = self._models.get(name)
            if model is None or model.limit is Limit.OFF:
                continue  # not loaded yet, or retired by a person
            if model.problem is not None:
                missing.append(f"the model '{name}' does not run: {model.problem.text}")
            elif (quarantine := self._runtime.quarantine(name)) is not None:
                missing.append(f"the model '{name}' does not run: {quarantine.text}")
        missing += self.people.missing()
        missing += self._watch.missing()
        missing += [told for told in map(in_words, self._engine.trouble()) if told not in missing]
        missing += self._confirmations.missing()
        dead = list(self._engine.dead())
        if dead:
            missing.append(f"{len(dead)} tasks ended in an error; see \"vigil status\"")
        return missing

    def models_state(self) -> list[dict[str, object]]:
        """Id, version, stage and state of every installed model."""
        return models_state(self._models, self._settings, self._runtime)

    def metrics(self) -> bytes:
        self._metrics.set_queue(self._engine.unfinished(), len(list(self._engine.dead())))
        self._metrics.set_ready(not self.missing())
        return self._metrics.exposition()

    def stop(self, timeout_s: float) -> None:
        """Ends every thread; what is unfinished is taken up at the next start."""
        self._watch.join(timeout_s / 2)
        self._models.join(timeout_s / 4)
        self._to_ris.close()
        self._confirmations.stop()
        self._engine.stop(int(timeout_s / 2))
        self._runtime.close()
        self._log.info("stopped")
        self._ledger.close()
        self._state.close()
        close_log()
