"""The "Vigil" section of orthanc.json as typed, frozen models. Keys are written as Orthanc writes them: PascalCase.

The description of each field is what a person is told when its value is not allowed, so it says what is.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from vigil.settings.base import AbsolutePath, ApplicationEntity, Name, Seconds, Section, known_time_zone
from vigil.settings.destinations import CommitmentListener, DicomWebDestination, PacsDestination
from vigil.settings.escalation import EscalationSettings
from vigil.settings.hl7 import RisDestination
from vigil.settings.priority import PrioritySettings


class AlertOverride(Section):
    by: str = Field(min_length=1, max_length=64, description="the name of who decided it, 1 to 64 characters")
    reason: str = Field(min_length=1, max_length=500, description="why, 1 to 500 characters")
    date: datetime.date = Field(description='the day of the decision, "YYYY-MM-DD"')


class ScannerPoint(Section):
    """The operating point for images of a scanner. The first of a list that fits is taken."""

    manufacturer: str = Field(min_length=1, max_length=64, description='a word of the scanner\'s Manufacturer, such as "siemens"')
    model: str = Field(default="", max_length=64, description="a word of its Manufacturer's Model Name; empty for every model")
    operating_point: str = Field(min_length=1, max_length=64, description="the name of one of the model's operating points")


class ModelSettings(Section):
    """How far a model may go at this site. A research model alerts nobody without an override that names who decided it."""

    stage: Literal["off", "shadow", "live"] = Field(default="off", description='"off", "shadow" or "live"')
    operating_point: str = Field(default="default", min_length=1, max_length=64,
                                 description="the name of one of the model's operating points")
    scanners: tuple[ScannerPoint, ...] = Field(
        default=(), description="a list of objects with Manufacturer, Model and OperatingPoint")
    alert_override: AlertOverride | None = Field(
        default=None, description="null, or an object with By, Reason and Date")
    early_positive: bool = Field(default=False, description="true or false")
    emergency: bool | None = Field(
        default=None, description="null for what its manifest says (acr_category 1), or true or false")


class RuntimeSettings(Section):
    provider: Literal["cpu", "cuda", "tensorrt"] = Field(default="cpu", description='"cpu", "cuda" or "tensorrt"')
    device_id: int = Field(default=0, ge=0, le=63, description="the number of a GPU, 0 to 63")
    gpu_memory_limit_mib: Annotated[int, Field(ge=64, le=4_194_304)] | None = Field(
        default=None, description="null for all of the GPU's memory, or a whole number of MiB, 64 or more")
    tf32: bool = Field(default=False, description="true or false")
    threads: int = Field(default=2, ge=1, le=256, description="a whole number of threads, 1 to 256")
    memory_budget_mib: int = Field(default=4096, ge=256, le=4_194_304,
                                   description="a whole number of MiB for the whole bundle, 256 or more")
    allow_cpu_fallback: bool = Field(default=False, description="true or false")
    isolation: Literal["none", "process"] = Field(
        default="none", description='"none" (in Orthanc\'s process) or "process": what the networks run in')


class ArrivalSettings(Section):
    """Images read and decoded as they arrive, so that a complete study is in memory already."""

    decode: Literal["adaptive", "always", "off"] = Field(default="adaptive", description='"adaptive", "always" or "off"')
    memory_mib: Annotated[int, Field(ge=16, le=4_194_304)] | None = Field(
        default=None, description="null for a quarter of Runtime.MemoryBudgetMiB, or a whole number of MiB, 16 or more")


class RetrySettings(Section):
    first_delay_seconds: Seconds = Field(default=5.0, description="a number of seconds above 0, at most 3600")
    maximum_delay_seconds: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = Field(
        default=300.0, description="a number of seconds above 0, at most 86400")
    deadline_hours: Annotated[float, Field(gt=0, le=8760, allow_inf_nan=False)] = Field(
        default=72.0, description="a number of hours above 0, at most 8760")
    refused_attempts: int = Field(default=3, ge=1, le=100, description="a whole number, 1 to 100")

    @model_validator(mode="after")
    def _growing(self) -> RetrySettings:
        if self.first_delay_seconds > self.maximum_delay_seconds:
            raise ValueError("FirstDelaySeconds may not be above MaximumDelaySeconds")
        return self


class ReconcileSettings(Section):
    interval_seconds: Seconds = Field(default=60.0, description="a number of seconds above 0, at most 3600")
    grace_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = Field(
        default=3.0, description="a number of seconds from 0 to 3600, added to StableAge after a start")


class VigilSection(Section):
    """Everything under "Vigil". ``site_packages`` is read by the door, before anything can be imported."""

    schema_version: int = Field(ge=1, le=1, description="1, the version of these settings that this Vigil reads")
    enabled: bool = Field(default=True, description="true or false")
    state_directory: AbsolutePath = Field(
        description="an absolute path: a folder of Vigil's own that outlives the container")
    models_directory: AbsolutePath | None = Field(
        default=None, description="null for the bundle's own models, or an absolute path")
    site_packages: str | None = Field(default=None, description="null, or the path of the bundle's Python packages")
    max_study_age_hours: Annotated[float, Field(gt=0, le=87_600, allow_inf_nan=False)] = Field(
        default=24.0, description="a number of hours above 0, at most 87600")
    deleted_studies: Literal["withhold", "deliver"] = Field(
        default="withhold", description='"withhold" or "deliver": what becomes of a result whose study is deleted from Orthanc')
    time_zone: Annotated[str, AfterValidator(known_time_zone)] = Field(
        default="UTC", description='an IANA time zone, such as "Europe/Berlin"')
    installation_name: str = Field(default="vigil", min_length=1, max_length=64, pattern=r"^[^\\\x00-\x1f\x7f]+$",
                                   description="text of 1 to 64 characters without backslash")
    analysed_label: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = Field(
        default=None, description="null, or 1 to 64 letters, digits, - and _ (Orthanc's rule for labels)")
    models: Mapping[Name, ModelSettings] = Field(
        default_factory=dict, description="an object: for each model id an object with its Stage")
    pacs: Mapping[Name, PacsDestination] = Field(
        default_factory=dict, description="an object: for each name of a destination an object with Host, Port and Aet")
    dicom_web: Mapping[Name, DicomWebDestination] = Field(
        default_factory=dict, description="an object: for each name of a destination an object with Url")
    commitment_listener: CommitmentListener | None = Field(
        default=None, description="null, or an object with Aet, Port and Address")
    ris: Mapping[Name, RisDestination] = Field(
        default_factory=dict, description="an object: for each name of a destination an object with Host and Port")
    escalation: EscalationSettings = Field(
        default_factory=EscalationSettings, description="an object: who is told when nobody acknowledges an alert")
    runtime: RuntimeSettings = Field(default_factory=RuntimeSettings, description="an object")
    arrival: ArrivalSettings = Field(default_factory=ArrivalSettings, description="an object")
    priority: PrioritySettings = Field(default_factory=PrioritySettings, description="an object")
    retry: RetrySettings = Field(default_factory=RetrySettings, description="an object")
    reconcile: ReconcileSettings = Field(default_factory=ReconcileSettings, description="an object")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description='"debug", "info", "warning" or "error"')

    @model_validator(mode="after")
    def _within_the_budget(self) -> VigilSection:
        if self.arrival_memory_mib >= self.runtime.memory_budget_mib:
            raise ValueError("Arrival.MemoryMiB must be less than Runtime.MemoryBudgetMiB, of which it is a part")
        return self

    @property
    def arrival_memory_mib(self) -> int:
        """Of the one memory budget of the bundle (law 1), the part in which images wait for their volume."""
        if self.arrival.decode == "off":
            return 0
        return self.runtime.memory_budget_mib // 4 if self.arrival.memory_mib is None else self.arrival.memory_mib


class OrthancRoot(Section):
    """What Vigil must know of Orthanc's own configuration; its other keys are none of Vigil's business."""

    stable_age: int = Field(default=60, ge=1, description="a whole number of seconds, 1 or more")
    dicom_aet: ApplicationEntity = Field(
        default="ORTHANC", description="an application entity title, 1 to 16 ASCII characters without backslash")


class Settings(VigilSection):
    """The settings in use: the "Vigil" section, and what it must know of Orthanc's own."""

    stable_age_s: int = 60
    dicom_aet: str = "ORTHANC"

    def enabled_models(self) -> tuple[str, ...]:
        """Ids of the models that run here, in shadow or live."""
        return tuple(name for name, model in self.models.items() if model.stage != "off")
