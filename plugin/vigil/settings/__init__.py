"""The "Vigil" section of orthanc.json as typed models."""

from vigil.settings.destinations import (
    CommitmentListener,
    DicomWebDestination,
    PacsDestination,
    StorageCommitment,
    WebAuthentication,
)
from vigil.settings.escalation import EscalationSettings
from vigil.settings.reading import load, settings_snapshot
from vigil.settings.section import (
    AlertOverride,
    AssigningAuthority,
    Hl7Profile,
    ModelSettings,
    ReconcileSettings,
    RetrySettings,
    RisDestination,
    RuntimeSettings,
    Settings,
)

__all__ = [
    "AlertOverride", "AssigningAuthority", "CommitmentListener", "DicomWebDestination", "EscalationSettings", "Hl7Profile",
    "ModelSettings", "PacsDestination", "ReconcileSettings", "RetrySettings", "RisDestination", "RuntimeSettings", "Settings",
    "StorageCommitment", "WebAuthentication", "load", "settings_snapshot",
]
