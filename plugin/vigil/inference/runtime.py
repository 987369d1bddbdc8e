"""Runs the loaded models, one at a time: quarantine, memory, stop and provider in one place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vigil.domain.answer import Reason
from vigil.domain.errors import Stopping, VigilError
from vigil.domain.manifest import Manifest, TensorPreprocessing
from vigil.imaging.resample import resample
from vigil.imaging.volume import Volume
from vigil.inference import by_manifest, hyperdense
from vigil.inference.breaker import Breaker
from vigil.inference.errors import InferenceFailed, ModelNotLoaded, ModelQuarantined, OutOfMemory
from vigil.inference.fingerprint import Fingerprint, fingerprint
from vigil.inference.finite import insist_finite
from vigil.inference.leave import Leave
from vigil.inference.outcome import Inference
from vigil.inference.providers import Accelerator
from vigil.inference.quarantine import CrashMarker
from vigil.inference.registry import InstalledModel
from vigil.inference.rehearse import insist_on_outputs
from vigil.inference.room import batch_within
from vigil.inference.sessions import Graph, Means, Session, SessionMaker, made_here
from vigil.inference.survive import TellDeath, survive
from vigil.inference.tensor_form import form_of

__all__ = ["Inference", "Runtime"]


NEVER = threading.Event()
"""Of those who are not stopped: commands, and tests."""
CLOSE_WITHIN_S = 5.0

_Key = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class _Loaded:
    """``networks``: the sessions of the one that decides, or of all that are averaged. ``locator``: that of an earlier network in
    series, None where there is none. ``seen``: the package's folder as it was when its files were read."""

    seen: Fingerprint
    networks: tuple[Session, ...]
    locator: Session | None = None

    @property
    def batch(self) -> int:
        """How many inputs at a time the memory held when the sessions were warmed."""
        return min(session.warm_shape[0] for session in self.networks)

    @property
    def alive(self) -> bool:
        return all(session.alive for session in self.networks)


class Runtime:
    """``memory_budget_mib``: what volume and network may take together. ``marker``: see :mod:`vigil.inference.quarantine`.
    ``make``: where the networks run; ``tell_death``: is told of each death of a process that is a model's own."""

    def __init__(
        self, *, provider: str, threads: int, allow_cpu_fallback: bool, memory_budget_mib: int, marker: Path,
        breaker: Breaker | None = None, accelerator: Accelerator | None = None, make: SessionMaker = made_here,
        tell_death: TellDeath = lambda _model_id, _ended: None,
    ) -> None:
        self._accelerator = accelerator or Accelerator(provider)
        self._threads = threads
        self._allow_cpu_fallback = allow_cpu_fallback
        self._budget_bytes = memory_budget_mib << 20
        self._marker = CrashMarker(marker)
        self._breaker = breaker or Breaker()
        self._make = make
        self._tell_death = tell_death
        self._loaded: dict[_Key, _Loaded] = {}
        self._running = threading.Lock()

    def load(self, model: InstalledModel, stop: threading.Event = NEVER) -> None:
        """Makes and warms the model's session; does nothing where there is one for these weights.

        Raises: ModelInvalid, ModelFileMissing, ModelHashMismatch, ModelNotLoaded, ModelQuarantined, OutOfMemory,
        ModelProcessEnded, TimeLimitReached, Stopping.
        """
        manifest = _manifest(model)
        if _key(model) in self._loaded:
            return
        self._refuse_quarantined(model.model_id)
        seen = fingerprint(model.folder)
        contents = _contents(model, manifest)
        with self._turn(stop), self._marker.in_flight(model.model_id):
            loaded = survive(
                model.model_id,
                lambda: self._made_somewhere(manifest, contents, seen, Leave.within(manifest.time_limit_s, stop)),
                self._marker, self._tell_death, stop)
        self._loaded[_key(model)] = loaded

    def _made_somewhere(self, manifest: Manifest, contents: Sequence[bytes], seen: Fingerprint, leave: Leave) -> _Loaded:
        try:
            return self._made(manifest, contents, self._accelerator, seen, leave)
        except OutOfMemory:
            if not (self._accelerator.on_a_gpu and self._allow_cpu_fallback):
                raise
        return self._made(manifest, contents, Accelerator(), seen, leave)

    def _made(
        self, manifest: Manifest, contents: Sequence[bytes], accelerator: Accelerator, seen: Fingerprint, leave: Leave
    ) -> _Loaded:
        graphs = [Graph(content, network, form_of(manifest, network))
                  for content, network in zip(contents, manifest.networks, strict=True)]
        sessions = self._make(graphs, Means(accelerator, self._threads, self._allow_cpu_fallback, self._budget_bytes), leave)
        locator = None if manifest.locator is None else sessions.pop(0)
        networks = tuple(sessions)
        insist_on_outputs(manifest, locator, networks)
        for session in (*networks, *(() if locator is None else (locator,))):
            session.warm_outputs = {}  # they are as large as a run's, and have been looked at
        return _Loaded(seen, networks, locator)

    def run(
        self, model: InstalledModel, volume: Volume, *, operating_point: str, stop: threading.Event,
        further: Mapping[str, Volume] | None = None,
    ) -> Inference:
        """The model's answer. One run at a time; a second caller waits. ``volume``: of the first input, on whose voxels the
        answer's masks are; ``further``: of the others, by name, in the same frame of reference.

        Raises: ModelHashMismatch and its like where the package was changed since it was loaded; ModelNotLoaded;
        ModelQuarantined; ModelPaused; InferenceFailed (also for NaN or infinity, in or out);
        OutOfMemory; ModelProcessEnded; TimeLimitReached; Stopping.
        """
        manifest = _manifest(model)
        loaded = self._loaded.get(_key(model))
        if loaded is None:
            raise ModelNotLoaded(f"the model '{model.model_id}' is not loaded; enable it in the settings and restart Orthanc")
        if operating_point not in manifest.operating_points and not manifest.finding.measured:
            known = ", ".join(sorted(manifest.operating_points))
            raise InferenceFailed(f"the model has no operating point '{operating_point}'; it has {known}")
        self._refuse_changed(model, loaded)
        self._refuse_quarantined(model.model_id)
        others = further or {}
        batch = batch_within(manifest, volume, others.values(), loaded.batch, self._budget_bytes)
        with self._turn(stop), self._breaker.guarding(model.model_id), self._marker.in_flight(model.model_id, proves=True):
            return survive(
                model.model_id,
                lambda: self._run_somewhere(model, loaded, volume, others, operating_point, batch,
                                            Leave.within(manifest.time_limit_s, stop)),
                self._marker, self._tell_death, stop)

    def _run_somewhere(
        self, model: InstalledModel, loaded: _Loaded, volume: Volume, others: Mapping[str, Volume], operating_point: str,
        batch: int, leave: Leave,
    ) -> Inference:
        manifest = _manifest(model)
        loaded = self._alive(model, loaded, leave)
        try:
            return _run(loaded, manifest, volume, others, operating_point, batch, leave)
        except MemoryError:
            raise OutOfMemory("not enough memory to analyse this volume") from None
        except OutOfMemory:
            # The batches were made smaller before, down to one; the window is the author's, and stays.
            if not self._allow_cpu_fallback or all(session.provider == "cpu" for session in loaded.networks):
                raise
        aside = self._made(manifest, _contents(model, manifest), Accelerator(), loaded.seen, leave)
        inference = _run(aside, manifest, volume, others, operating_point, batch, leave)
        note = f"Run on the CPU ({aside.networks[0].describe()}): the memory of the GPU did not suffice."
        return replace(inference, answer=replace(inference.answer, notes=(*inference.answer.notes, note)))

    def _alive(self, model: InstalledModel, loaded: _Loaded, leave: Leave) -> _Loaded:
        """The sessions, or others in their place where their process has ended."""
        current = self._loaded.get(_key(model), loaded)
        if current.alive:
            return current
        manifest = _manifest(model)
        made = self._made_somewhere(manifest, _contents(model, manifest), current.seen, leave)
        if _key(model) in self._loaded:
            self._loaded[_key(model)] = made
        return made

    def describe(self, model_id: str) -> str:
        """What runs the model, for people: "ONNX Runtime 1.26.0 CPU"."""
        loaded = next((loaded for key, loaded in reversed(self._loaded.items()) if key[0] == model_id), None)
        return "not loaded" if loaded is None else loaded.networks[0].describe()

    def keep_only(self, models: Iterable[InstalledModel]) -> None:
        """Lets go of every other model's session, and of what its failures say of whatever runs in its place."""
        kept = {_key(model) for model in models}
        for key in [key for key in self._loaded if key not in kept]:
            del self._loaded[key]
            self._breaker.forget(key[0])

    def quarantine(self, model_id: str) -> Reason | None:
        """Why the model may not run now; None where it may."""
        return self._marker.reason(model_id) or self._breaker.reason(model_id)

    def release(self, model_id: str) -> None:
        """A person has looked into it: the model may run again."""
        self._marker.release(model_id)

    def close(self) -> None:
        """Lets go of the sessions, after the run in flight (stop it first): what heeds no stop is not waited for without end."""
        if self._running.acquire(timeout=CLOSE_WITHIN_S):
            self._loaded.clear()
            self._running.release()

    @contextmanager
    def _turn(self, stop: threading.Event) -> Iterator[None]:
        while not self._running.acquire(timeout=0.1):
            _look(stop)
        try:
            _look(stop)
            yield
        finally:
            self._running.release()

    def _refuse_changed(self, model: InstalledModel, loaded: _Loaded) -> None:
        """The session in memory is of the bytes that were approved. Yet where others lie in their place now, nobody could say
        afterwards what ran: so nothing runs until they are put back."""
        now = fingerprint(model.folder)
        if now == loaded.seen:
            return
        if (problem := model.verify()) is not None:
            raise VigilError(problem.text, category=problem.category)
        self._loaded[_key(model)] = replace(loaded, seen=now)

    def _refuse_quarantined(self, model_id: str) -> None:
        if (reason := self._marker.reason(model_id)) is not None:
            raise ModelQuarantined(reason.text)


def _run(
    loaded: _Loaded, manifest: Manifest, volume: Volume, others: Mapping[str, Volume], operating_point: str, batch: int,
    leave: Leave,
) -> Inference:
    for each in (volume, *others.values()):
        insist_finite("the volume", each.voxels)
    if isinstance(manifest.preprocessing, TensorPreprocessing):
        inference = by_manifest.analyse(volume, manifest, loaded.locator, loaded.networks, operating_point, leave, others,
                                        batch=batch)
        return replace(inference, runtime=loaded.networks[0].describe())
    begun = time.perf_counter()
    grid = resample(volume, manifest.preprocessing.spacing_mm)
    resampled = time.perf_counter()
    network = loaded.networks[0]
    outputs = dict(network.run(grid.voxels[None, None], leave))
    for name, values in outputs.items():
        insist_finite(f"the output '{name}'", values)
    ran = time.perf_counter()
    leave.look()
    answer, masks = hyperdense.answer(outputs, grid, volume, manifest, operating_point)
    timings = {"resample": resampled - begun, "network": ran - resampled, "postprocess": time.perf_counter() - ran}
    return Inference(answer, masks, timings, network.provider, runtime=network.describe())


def _key(model: InstalledModel) -> _Key:
    """Under which id, which package, which weights: two versions are loaded at once while one takes the other's place."""
    return model.model_id, model.sha256 or "", "" if model.manifest is None else model.manifest.weights_sha256


def _manifest(model: InstalledModel) -> Manifest:
    if model.problem is not None:
        raise VigilError(model.problem.text, category=model.problem.category)
    if model.manifest is None:
        raise ModelNotLoaded(f"the model '{model.model_id}' has no manifest that can be read")
    return model.manifest


def _contents(model: InstalledModel, manifest: Manifest) -> list[bytes]:
    return [model.read_network(network) for network in manifest.networks]


def _look(stop: threading.Event) -> None:
    if stop.is_set():
        raise Stopping("Orthanc is stopping; the model runs again after its start")
