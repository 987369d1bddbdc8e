"""What a vendor may see of a site: settings by a list of known keys, and ids under names that mean something in one bundle."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from vigil.settings.faults import CREDENTIALS, SECRET
from vigil.settings.section import VigilSection

LEFT_OUT = "(left out)"
NAMES_A_SECRET = re.compile(r"^(Secret|Password)(File|Variable|Environment)$")
"""Where a secret lies, not what it is."""
OF_PEOPLE = frozenset({"By", "Reason", "To", "Sender", "User"})
ORTHANC_KEYS = frozenset({
    "AuthenticationEnabled", "ConcurrentJobs", "DatabaseServerIdentifier", "DicomAet", "DicomAlwaysAllowEcho",
    "DicomAlwaysAllowStore",
    "DicomCheckCalledAet", "DicomCheckModalityHost", "DicomModalitiesInDatabase", "DicomPort", "DicomServerEnabled",
    "DicomTlsEnabled", "ExecuteLuaEnabled", "HttpPort", "HttpServerEnabled", "HttpThreadsCount", "IndexDirectory",
    "IngestTranscoding", "JobsHistorySize", "MaximumPatientCount", "MaximumStorageMode", "MaximumStorageSize",
    "OverwriteInstances", "Plugins", "PythonScript", "PythonVerbose", "RemoteAccessAllowed",
    "RestApiWriteToFileSystemEnabled", "SaveJobs", "SslEnabled", "StableAge", "StorageCompression", "StorageDirectory",
    "StoreMD5ForAttachments", "UnknownSopClassAccepted", "WebDavEnabled",
})
"""What Vigil's work depends on. Of every other key of Orthanc's the name alone is told: what stands there may be a secret of a
plugin that nobody here knows."""
ORTHANC_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{8}){4}\b")
UID = re.compile(r"(?<![\w.])(?:[0-2](?:\.(?:0|[1-9]\d*)){4,}|2\.25\.\d{9,})(?!\.?\d)")
"""An address of IPv4 and a version have fewer parts; a UID that is made of a UUID has three, the last of them long."""
STANDARD_UIDS = "1.2.840.10008."


class Pseudonyms:
    """An id of a study, a series or an image becomes a name that is the same throughout one bundle, and that nobody can turn
    back: the key is thrown away. A UID names a patient's study in every archive that has it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def over(self, text: str) -> str:
        return UID.sub(lambda found: found[0] if found[0].startswith(STANDARD_UIDS) else self._name("uid", found[0]),
                       ORTHANC_ID.sub(lambda found: self._name("orthanc", found[0]), text))

    def _name(self, kind: str, value: str) -> str:
        return f"{kind}-{hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:12]}"


def masked_configuration(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Orthanc's configuration as a vendor may see it."""
    shown: dict[str, Any] = {key: value for key, value in configuration.items()
             if key in ORTHANC_KEYS and isinstance(value, bool | int | float | str | list)}
    known = _known_keys()
    if isinstance(section := configuration.get("Vigil"), Mapping):
        shown["Vigil"] = {key: _masked(key, value, known) for key, value in section.items()}
    shown["(other keys)"] = sorted(key for key in configuration if key not in shown)
    return shown


def _masked(key: str, value: object, known: frozenset[str]) -> object:
    if isinstance(value, Mapping):
        return {each: _masked(each, item, known) for each, item in value.items()}
    if value is None or isinstance(value, bool):
        return value
    secret = SECRET.search(key) is not None and not NAMES_A_SECRET.match(key)
    if key not in known or key in OF_PEOPLE or secret:
        return LEFT_OUT
    if isinstance(value, list | tuple):
        return [_masked(key, item, known) for item in value]
    return LEFT_OUT if CREDENTIALS.search(str(value)) else value


def _known_keys() -> frozenset[str]:
    """Every key that the settings have, at whatever depth: a misspelt one may hold what its writer meant to be secret."""
    return frozenset(_keys(VigilSection, set()))


def _keys(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield field.alias or name
        for below in _models_in(field.annotation):
            yield from _keys(below, seen)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
