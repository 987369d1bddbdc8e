"""The "Vigil" section of orthanc.json as typed models."""

from vigil.settings.escalation import EscalationSettings
from vigil.settings.hl7 import AssigningAuthority, Hl7Profile, RisDestination, SecondAddress, TlsSettings
from vigil.settings.reading import load, settings_snapshot
from vigil.settings.section import (
    AlertOverride,
    ModelSettings,
    PacsDestination,
    ReconcileSettings,
    RetrySettings,
    RuntimeSettings,
    Settings,
)

__all__ = [
    "AlertOverride", "AssigningAuthority", "EscalationSettings", "Hl7Profile", "ModelSettings", "PacsDestination",
    "ReconcileSettings", "RetrySettings", "RisDestination", "RuntimeSettings", "SecondAddress", "Settings", "TlsSettings", "load",
    "settings_snapshot",
]
