"""Where results and alerts go: a PACS by DICOM or DICOMweb, a RIS or EHR by HL7."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from vigil.delivery.errors import DestinationInvalid
from vigil.delivery.hl7.profile import AcrIn, Hl7Profile, LinkAs, PriorityIn, StudyUidAs, Version
from vigil.domain.concepts import Code
from vigil.results.viewer_profile import PROFILES, Encoding, ViewerProfile
from vigil.settings import AssigningAuthority, Settings
from vigil.settings.destinations import PacsDestination as PacsSettings
from vigil.settings.destinations import ResultSelection, WebAuthentication
from vigil.settings.tls import TlsSettings

LONGEST_CONNECT_S = 5.0
"""Opening a connection cannot be interrupted by a stop, and takes milliseconds where it works at all."""


@dataclass(frozen=True)
class TlsFiles:
    """What TLS to a receiver needs, in PEM. ``authority``: who may vouch for the receiver; None: the machine's own
    authorities. ``server_name``: what stands in its certificate where that is not the host."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True)
class CommitmentNode:
    """Who is asked to confirm that it keeps what was sent (PS3.4 Annex J), how long its answer is waited for on the same
    association, and when an unanswered request is made anew."""

    aet: str
    port: int
    wait_s: float
    ask_again_s: float


@dataclass(frozen=True)
class PacsDestination:
    """A DICOM node that takes our result objects. ``aet`` is its title, ``calling_aet`` ours.

    ``timeout_s`` bounds each step on its own: negotiation, and each object until its C-STORE response.
    """

    name: str
    host: str
    port: int
    aet: str
    calling_aet: str = "VIGIL"
    timeout_s: float = 30.0
    connect_timeout_s: float = 5.0
    models: frozenset[str] | None = None
    """Ids of the models whose results go there; None: every model's."""
    profile: ViewerProfile = PROFILES["standard"]
    commitment: CommitmentNode | None = None
    """None where the node is not asked to confirm."""
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        for title, key in ((self.aet, "aet"), (self.calling_aet, "calling_aet")):
            if not 1 <= len(title.strip()) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
                raise DestinationInvalid(
                    f"PACS '{self.name}': {key} is no AE title (PS3.5 6.2): 1 to 16 printable ASCII characters "
                    "without backslash"
                )

    def takes(self, model_id: str) -> bool:
        return self.models is None or model_id in self.models

    @property
    def label(self) -> str:
        return f"PACS '{self.name}' ({self.aet} at {self.host}:{self.port})"


@dataclass(frozen=True)
class WebDestination:
    """A DICOMweb server that takes our result objects by STOW-RS. ``url``: the service, without /studies.

    ``timeout_s`` bounds each request on its own. ``authorization`` makes the header each time it is asked, so that a secret
    which is renewed in its file is read anew.
    """

    name: str
    url: str
    timeout_s: float = 30.0
    connect_timeout_s: float = 5.0
    models: frozenset[str] | None = None
    profile: ViewerProfile = PROFILES["standard"]
    certificate_authority: Path | None = None
    client_certificate: Path | None = None
    authentication: WebAuthentication | None = field(default=None, repr=False)

    def takes(self, model_id: str) -> bool:
        return self.models is None or model_id in self.models

    @property
    def label(self) -> str:
        return f"DICOMweb '{self.name}' ({self.url})"

    def authorization(self) -> str | None:
        """The value of the Authorization header. Raises :class:`DestinationInvalid` where the secret cannot be read."""
        wanted = self.authentication
        if wanted is None:
            return None
        secret = self._secret(wanted)
        if wanted.kind == "bearer":
            return f"Bearer {secret}"
        return "Basic " + base64.b64encode(f"{wanted.user}:{secret}".encode()).decode("ascii")

    def _secret(self, wanted: WebAuthentication) -> str:
        if wanted.secret_file is not None:
            try:
                secret = wanted.secret_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise DestinationInvalid(
                    f"{self.label}: its SecretFile {wanted.secret_file} cannot be read "
                    f"({getattr(error, 'strerror', None) or 'no text'}); let the user that runs Orthanc read it") from error
            where = f"SecretFile {wanted.secret_file}"
        else:
            secret = os.environ.get(wanted.secret_environment or "", "").strip()
            where = f"environment variable {wanted.secret_environment} of Orthanc"
        if not secret or not secret.isprintable():
            raise DestinationInvalid(f"{self.label}: the {where} holds no password or token of one line")
        return secret


PacsOrWeb = PacsDestination | WebDestination
"""Whoever takes result objects."""


class Connection(StrEnum):
    """Whether an MLLP connection outlives a message."""

    PERSISTENT = "persistent"
    PER_MESSAGE = "per-message"


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class RisDestination:
    """An HL7 v2 receiver over MLLP. ``timeout_s`` is the wait for the acknowledgement of one message. ``second``: where the
    same receiver listens when the first address does not answer."""

    name: str
    host: str
    port: int
    profile: Hl7Profile
    timeout_s: float = 30.0
    connect_timeout_s: float = 5.0
    connection: Connection = Connection.PERSISTENT
    second: Address | None = None
    tls: TlsFiles | None = None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The first, and the one that takes over."""
        first = Address(self.host, self.port)
        return (first,) if self.second is None else (first, self.second)

    def label_at(self, address: Address) -> str:
        """For messages to people."""
        return f"RIS '{self.name}' ({address})"


def pacs_destination(name: str, settings: Settings) -> PacsDestination:
    """The PACS that the settings call ``name``."""
    entry = settings.pacs[name]
    return PacsDestination(
        name=name, host=entry.host, port=entry.port, aet=entry.aet, calling_aet=entry.calling_aet,
        timeout_s=entry.timeout_seconds, connect_timeout_s=min(entry.timeout_seconds, LONGEST_CONNECT_S),
        models=_models(entry), profile=site_profile(entry), commitment=_commitment(entry),
        tls=_tls(entry.tls),
    )


def web_destination(name: str, settings: Settings) -> WebDestination:
    """The DICOMweb server that the settings call ``name``."""
    entry = settings.dicom_web[name]
    return WebDestination(
        name=name, url=entry.url.rstrip("/"), timeout_s=entry.timeout_seconds,
        connect_timeout_s=min(entry.timeout_seconds, LONGEST_CONNECT_S), models=_models(entry), profile=site_profile(entry),
        certificate_authority=entry.certificate_authority, client_certificate=entry.client_certificate,
        authentication=entry.authentication,
    )


def result_destination(name: str, settings: Settings) -> PacsOrWeb | None:
    """The destination of result objects that the settings call ``name``; None where there is none (any more)."""
    if name in settings.pacs:
        return pacs_destination(name, settings)
    return web_destination(name, settings) if name in settings.dicom_web else None


def site_profile(entry: ResultSelection) -> ViewerProfile:
    """The profile of a destination, with what the site set otherwise."""
    profile = PROFILES[entry.profile]
    if entry.transfer_syntaxes is not None:
        profile = replace(profile, encodings=tuple(Encoding(name) for name in entry.transfer_syntaxes))
    if entry.most_captures is not None:
        profile = replace(profile, most_captures=entry.most_captures)
    return profile


def ris_destination(name: str, settings: Settings) -> RisDestination:
    """The RIS that the settings call ``name``, with its profile and the site's time zone."""
    entry = settings.ris[name]
    profile = entry.profile
    return RisDestination(
        name=name, host=entry.host, port=entry.port, timeout_s=entry.timeout_seconds,
        connect_timeout_s=min(entry.timeout_seconds, LONGEST_CONNECT_S), connection=Connection(entry.connection),
        second=None if entry.second is None else Address(entry.second.host, entry.second.port),
        tls=_tls(entry.tls),
        profile=Hl7Profile(
            version=Version(profile.version), version_text=profile.version_text or "",
            sending_application=profile.sending_application,
            sending_facility=profile.sending_facility, receiving_application=profile.receiving_application,
            receiving_facility=profile.receiving_facility, processing_id=profile.processing_id,
            accept_acknowledgement=profile.accept_acknowledgement,
            application_acknowledgement=profile.application_acknowledgement,
            character_set=profile.character_set, result_status=profile.result_status,
            priority=PriorityIn(profile.priority), acr_category=AcrIn(profile.acr_category),
            patient_class=profile.patient_class,
            study_uid=StudyUidAs(profile.study_uid), study=_code(profile.study_uid_code), zds=profile.zds,
            link=profile.link, link_as=LinkAs(profile.link_as), coded_answer=profile.coded_answer, values=profile.values,
            notes=profile.notes, coding_systems=profile.coding_systems, test=profile.test,
            answer_kinds=frozenset(profile.answer_kinds),
            patient_assigning_authority=_authority(profile.patient_assigning_authority),
            zone=ZoneInfo(settings.time_zone),
        ),
    )


def _models(entry: ResultSelection) -> frozenset[str] | None:
    return None if entry.models is None else frozenset(entry.models)


def _commitment(entry: PacsSettings) -> CommitmentNode | None:
    wanted = entry.storage_commitment
    return None if wanted is None else CommitmentNode(
        aet=wanted.aet or entry.aet, port=wanted.port or entry.port, wait_s=wanted.wait_seconds,
        ask_again_s=wanted.ask_again_seconds)


def _tls(entry: TlsSettings | None) -> TlsFiles | None:
    return None if entry is None else TlsFiles(entry.authority_file, entry.certificate_file, entry.key_file, entry.server_name)


def _code(text: str) -> Code:
    value, meaning, scheme = [*text.split("^"), "", ""][:3]
    return Code(value, scheme, meaning)


def _authority(authority: AssigningAuthority | None) -> str:
    if authority is None:
        return ""
    parts = (authority.namespace_id, authority.universal_id, authority.universal_id_type)
    return "^".join(part for part in parts if part is not None)
