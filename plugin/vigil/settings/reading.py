"""From Orthanc's whole configuration to :class:`Settings`, and from these to the snapshot that every analysis names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from vigil.settings.base import Section, key_of
from vigil.settings.errors import Fault, SettingsInvalid
from vigil.settings.escalation import escalation_faults
from vigil.settings.faults import faults_of
from vigil.settings.hl7_profiles import with_base
from vigil.settings.section import OrthancRoot, Settings, VigilSection

S = TypeVar("S", bound=Section)


def load(configuration: Mapping[str, object]) -> Settings:
    """The settings in Orthanc's whole configuration. Raises :class:`SettingsInvalid` with every fault that it has."""
    section = configuration.get("Vigil")
    if section is None:
        raise SettingsInvalid([Fault("Vigil", 'the section is missing; see "Vigil" in the reference orthanc.json')])
    if not isinstance(section, Mapping):
        raise SettingsInvalid([Fault("Vigil", "give an object", "this value")])
    faults = _disagreements(section)
    keys = [key_of(name) for name in OrthancRoot.model_fields]
    root = _validated(OrthancRoot, {key: configuration[key] for key in keys if key in configuration}, "", faults)
    vigil = _validated(VigilSection, _with_bases(section), "Vigil", faults)
    if vigil is None or root is None or faults:
        raise SettingsInvalid(faults)
    return Settings(
        **{name: getattr(vigil, name) for name in VigilSection.model_fields}, stable_age_s=root.stable_age,
        dicom_aet=root.dicom_aet,
    )


def settings_snapshot(settings: Settings) -> tuple[str, str]:
    """(SHA-256, canonical JSON) of the settings. Secrets are masked: a snapshot is kept for as long as the ledger."""
    text = json.dumps(settings.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"),
                      ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest(), text


def _validated(model: type[S], values: Mapping[str, object], prefix: str, faults: list[Fault]) -> S | None:
    """Through JSON, so that strictness is that of JSON: a list becomes a tuple, but "104" is no port."""
    try:
        text = json.dumps(values, default=_plain)
    except (TypeError, ValueError, RecursionError):
        faults.append(Fault(prefix or "the configuration", "holds a value that JSON has no word for"))
        return None
    try:
        return model.model_validate_json(text, by_alias=True, by_name=False)
    except ValidationError as error:
        faults.extend(faults_of(error, model, prefix))
        return None


def _plain(value: object) -> dict[object, object]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def _disagreements(section: Mapping[str, object]) -> list[Fault]:
    """What is wrong between objects that may each be right: read from the raw section, so that it is told with the rest."""
    pacs, web, ris, models = (_object(section.get(key)) for key in ("Pacs", "DicomWeb", "Ris", "Models"))
    escalation = _object(section.get("Escalation"))
    faults = list(escalation_faults(escalation, ris))
    taken: dict[str, str] = {}
    for place, destinations in (("Pacs", pacs), ("DicomWeb", web), ("Ris", ris),
                                ("Escalation.Mail", _object(escalation.get("Mail"))),
                                ("Escalation.Webhooks", _object(escalation.get("Webhooks")))):
        for name in destinations:
            other = taken.setdefault(name.casefold(), f"Vigil.{place}.{name}")
            if other != f"Vigil.{place}.{name}":
                faults.append(Fault(f"Vigil.{place}.{name}", f"{other} has this name already; a destination's name is its own, "
                                                             "in capitals or not"))
    for place, destinations in (("Pacs", pacs), ("DicomWeb", web)):
        for name, destination in destinations.items():
            wanted = _object(destination).get("Models")
            for model in wanted if isinstance(wanted, list | tuple) else ():
                if isinstance(model, str) and model not in models:
                    faults.append(Fault(f"Vigil.{place}.{name}.Models", "give ids that Vigil.Models names", f'"{model[:48]}"'))
    return faults


def _with_bases(section: Mapping[str, object]) -> Mapping[str, object]:
    """The section with every HL7 profile written out: what it leaves open is as the shipped profile that it names says."""
    receivers = section.get("Ris")
    if not isinstance(receivers, Mapping):
        return section
    whole = {name: {**receiver, "Profile": with_base(receiver["Profile"])}
             if isinstance(receiver, Mapping) and "Profile" in receiver else receiver
             for name, receiver in receivers.items()}
    return {**section, "Ris": whole}


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
