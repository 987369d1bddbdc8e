"""The models: their files against their hashes, and the provider that each session really has, not the one that was asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from vigil.domain.errors import VigilError
from vigil.domain.manifest import Manifest
from vigil.inference.apart.errors import NoInterpreter
from vigil.inference.quarantine import quarantined
from vigil.inference.registry import InstalledModel, Registry
from vigil.inference.runtime import Runtime
from vigil.oversight.doctor.check import Check, error, good, warning
from vigil.oversight.doctor.site import Site
from vigil.pipeline.accelerator import accelerator_of, maker_of
from vigil.records.state import StatePaths
from vigil.settings import Settings

SUBJECT = "models"
INSTALL_AGAIN = "install the package again from where it came, and restart Orthanc; change no file of a package by hand"


def installed(settings: Settings, bundled: Path) -> tuple[InstalledModel, ...]:
    return Registry(settings.models_directory or bundled).installed()


def manifests(models: tuple[InstalledModel, ...]) -> dict[str, Manifest]:
    return {model.model_id: model.manifest for model in models if model.manifest is not None}


def look_at_models(site: Site, settings: Settings, models: tuple[InstalledModel, ...]) -> list[Check]:
    by_id = {model.model_id: model for model in models}
    checks = list(_files(settings, by_id))
    sound = [by_id[name] for name in settings.enabled_models() if name in by_id and by_id[name].problem is None]
    health = None if site.running is None else site.running.health
    told = None if health is None else health.get("models")
    if isinstance(told, list):
        loaded = {str(item["id"]): item for item in told}
        for model in sound:
            checks += _in_process(model, loaded.get(model.model_id, {}), settings.runtime.provider)
    elif site.running is None:
        checks += _made_here(sound, settings)
    state = site.state_directory
    for name in () if state is None else quarantined(StatePaths(state).marker):
        checks.append(error(SUBJECT, name, "is in quarantine: the process that ran it ended more than once",
                            f"look into Orthanc's log, then: vigil models release {name}, and restart Orthanc"))
    return checks


def _files(settings: Settings, by_id: dict[str, InstalledModel]) -> Iterator[Check]:
    for name in settings.enabled_models():
        model = by_id.get(name)
        if model is None:
            yield error(SUBJECT, name, "is switched on and not installed",
                        "put its package into the models' folder, or take it out of Vigil.Models")
    for name, model in by_id.items():
        if model.problem is not None:
            report = error if name in settings.enabled_models() else warning
            yield report(SUBJECT, name, model.problem.text, INSTALL_AGAIN)
        elif model.manifest is not None:
            yield good(SUBJECT, name, f"{model.manifest.version}, every file is what its manifest says "
                                      f"(weights {model.manifest.weights_sha256[:12]})")


def _in_process(model: InstalledModel, told: dict[str, object], wanted: str) -> Iterator[Check]:
    """What the running Orthanc says of its session."""
    runtime, weights = str(told.get("runtime") or "not loaded"), told.get("weights_sha256")
    if model.manifest is not None and weights is not None and weights != model.manifest.weights_sha256:
        yield error(SUBJECT, model.model_id, "Orthanc's process runs other weights than lie on disk now", "restart Orthanc")
    if runtime == "not loaded":
        yield error(SUBJECT, model.model_id, "is switched on, and Orthanc's process has not loaded it",
                    "see what /vigil/health/ready names, and restart Orthanc")
    else:
        yield _provider(model.model_id, runtime, wanted)


def _made_here(models: list[InstalledModel], settings: Settings) -> Iterator[Check]:
    """Orthanc does not run: sessions are made here, as a start would make them."""
    try:
        make = maker_of(settings.runtime)
    except NoInterpreter:
        return  # told with the setting
    with tempfile.TemporaryDirectory(prefix="vigil-doctor-") as place:
        runtime = Runtime(
            provider=settings.runtime.provider, threads=settings.runtime.threads, marker=Path(place) / "running.json",
            allow_cpu_fallback=settings.runtime.allow_cpu_fallback, memory_budget_mib=settings.runtime.memory_budget_mib,
            accelerator=accelerator_of(settings.runtime), make=make)
        for model in models:
            try:
                runtime.load(model)
            except VigilError as failure:
                yield error(SUBJECT, model.model_id, failure.message, _gpu_cure(settings.runtime.provider))
            else:
                yield _provider(model.model_id, runtime.describe(model.model_id), settings.runtime.provider)
        runtime.close()


def _provider(model_id: str, runtime: str, wanted: str) -> Check:
    if runtime.lower().endswith(wanted):
        return good(SUBJECT, model_id, f"its session is {runtime}")
    return error(SUBJECT, model_id, f"{wanted.upper()} was asked for (Runtime.Provider), and its session is {runtime}",
                 _gpu_cure(wanted))


def _gpu_cure(wanted: str) -> str:
    if wanted == "cpu":
        return INSTALL_AGAIN
    return ("look at nvidia-smi as the user of Orthanc, install the bundle's CUDA libraries (onnxruntime-gpu), or set "
            '"Runtime"."Provider" to "cpu"')
