"""Where result objects go: DICOM nodes and DICOMweb servers, with what each is sent and how.

The description of each field is what a person is told when its value is not allowed, so it says what is.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from vigil.settings.base import AbsolutePath, ApplicationEntity, Host, Port, Seconds, Section, without_credentials
from vigil.settings.tls import TlsSettings

ProfileName = Literal["standard", "sc-only", "ohif", "weasis", "reporting-text", "multiframe-sc", "full-frame-seg"]
TransferSyntax = Literal["uncompressed", "rle", "jpeg-ls", "jpeg-2000"]


def _different(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is not None and len(set(names)) != len(names):
        raise ValueError("named twice")
    return names


class ResultSelection(Section):
    """Which results a destination is sent. ``models``: None means every live model. ``transfer_syntaxes`` and ``most_captures``:
    None means what the profile says."""

    models: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="null for every model, or a list of ids that Vigil.Models names")
    profile: ProfileName = Field(
        default="standard",
        description='"standard", "sc-only", "ohif", "weasis", "reporting-text", "multiframe-sc" or "full-frame-seg"')
    transfer_syntaxes: Annotated[tuple[TransferSyntax, ...] | None, AfterValidator(_different)] = Field(
        default=None, min_length=1,
        description='null for those of the profile, or a list, the preferred first, each once, of "uncompressed", "rle", '
                    '"jpeg-ls" and "jpeg-2000"')
    most_captures: int | None = Field(
        default=None, ge=0, le=10_000, description="null for that of the profile, or a whole number, 0 to 10000")


class StorageCommitment(Section):
    """The PACS is asked to confirm that it keeps what it took. ``port``, ``aet``: None where it is the same node."""

    aet: ApplicationEntity | None = Field(
        default=None, description="null for the Aet of the destination, or an application entity title")
    port: Port | None = Field(default=None, description="null for the Port of the destination, or a port number, 1 to 65535")
    wait_seconds: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = Field(
        default=2.0, description="a number of seconds from 0 to 60: the wait for an answer on the same association")
    ask_again_seconds: Seconds = Field(
        default=900.0, description="a number of seconds above 0, at most 3600, after which an unanswered request is made anew")


class PacsDestination(ResultSelection):
    """A DICOM node that the results are sent to."""

    host: Host = Field(description="a host name or an IP address")
    port: Port = Field(description="a port number, 1 to 65535")
    aet: ApplicationEntity = Field(description="an application entity title, 1 to 16 ASCII characters without backslash")
    calling_aet: ApplicationEntity = Field(
        default="VIGIL", description="an application entity title, 1 to 16 ASCII characters without backslash")
    timeout_seconds: Seconds = Field(default=10.0, description="a number of seconds above 0, at most 3600")
    tls: TlsSettings | None = Field(
        default=None, description="null, or an object with AuthorityFile, CertificateFile, KeyFile and ServerName")
    storage_commitment: StorageCommitment | None = Field(
        default=None, description="null, or an object (it may be empty) where the node confirms what it keeps")


class CommitmentListener(Section):
    """Where a PACS that confirms on an association of its own finds us. The one port that Vigil opens."""

    aet: ApplicationEntity = Field(description="an application entity title, 1 to 16 ASCII characters without backslash")
    port: Port = Field(description="a port number, 1 to 65535, that nobody else listens on")
    address: Host = Field(description='the address to listen on, such as "192.0.2.5" (or "0.0.0.0" for every interface)')


class WebAuthentication(Section):
    """The secret itself never stands in the settings."""

    kind: Literal["basic", "bearer"] = Field(description='"basic" or "bearer"')
    user: str | None = Field(default=None, min_length=1, max_length=128, pattern=r"^[^:\x00-\x1f\x7f]+$",
                             description="for basic, a user name without colon; null for bearer")
    secret_file: AbsolutePath | None = Field(
        default=None, description="null, or the absolute path of a file that holds the password or token alone")
    secret_environment: str | None = Field(
        default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$",
        description="null, or the name of an environment variable of Orthanc that holds the password or token")

    @model_validator(mode="after")
    def _one_secret(self) -> WebAuthentication:
        if (self.secret_file is None) == (self.secret_environment is None):
            raise ValueError("give either SecretFile or SecretEnvironment")
        if (self.kind == "basic") != (self.user is not None):
            raise ValueError('User is given with the kind "basic", and only with it')
        return self


class DicomWebDestination(ResultSelection):
    """A DICOMweb server that the results are sent to by STOW-RS."""

    url: Annotated[str, AfterValidator(without_credentials)] = Field(
        description="the address of the DICOMweb service, to which /studies is added; it begins with https:// or http:// and "
                    "holds no user or password")
    authentication: WebAuthentication | None = Field(
        default=None, description="null, or an object with Kind and SecretFile or SecretEnvironment")
    certificate_authority: AbsolutePath | None = Field(
        default=None, description="null for the authorities of the system, or the absolute path of a PEM file")
    client_certificate: AbsolutePath | None = Field(
        default=None, description="null, or the absolute path of a PEM file with our certificate and its key")
    timeout_seconds: Seconds = Field(default=30.0, description="a number of seconds above 0, at most 3600")

    @model_validator(mode="after")
    def _secret_in_the_dark(self) -> DicomWebDestination:
        parts = urlsplit(self.url)
        if parts.query or parts.fragment:
            raise ValueError("Url holds no ? and no #")
        if parts.scheme == "http" and self.authentication is not None and not _loopback(parts.hostname or ""):
            raise ValueError("with Authentication, Url begins with https:// (or names this machine itself): the secret would "
                             "travel in clear")
        return self


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
