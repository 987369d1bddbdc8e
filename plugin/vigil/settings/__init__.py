"""The "Vigil" section of orthanc.json as typed models."""

from vigil.settings.destinations import (
    CommitmentListener,
    DicomWebDestination,
    PacsDestination,
    StorageCommitment,
    WebAuthentication,
)
from vigil.settings.escalation import EscalationSettings
from vigil.settings.hl7 import AssigningAuthority, Hl7Profile, RisDestination, SecondAddress
from vigil.settings.reading import load, settings_snapshot
from vigil.settings.section import (
    AlertOverride,
    ModelSettings,
    ReconcileSettings,
    RetrySettings,
    RuntimeSettings,
    Settings,
)
from vigil.settings.tls import TlsSettings

__all__ = [
    "AlertOverride", "AssigningAuthority", "CommitmentListener", "DicomWebDestination", "EscalationSettings", "Hl7Profile",
    "ModelSettings", "PacsDestination", "ReconcileSettings", "RetrySettings", "RisDestination", "RuntimeSettings",
    "SecondAddress", "Settings", "StorageCommitment", "TlsSettings", "WebAuthentication", "load", "settings_snapshot",
]
