"""TLS to a receiver, the same three files whatever protocol it speaks."""

from __future__ import annotations

from pydantic import Field, model_validator

from vigil.settings.base import AbsolutePath, Host, Section


class TlsSettings(Section):
    """TLS to a receiver: files in PEM, read again for each new connection, so that a renewed certificate needs no restart."""

    authority_file: AbsolutePath | None = Field(
        default=None, description="null for the machine's own authorities, or an absolute path: who may vouch for the receiver")
    certificate_file: AbsolutePath | None = Field(
        default=None, description="null, or an absolute path: our own certificate, where the receiver asks for one")
    key_file: AbsolutePath | None = Field(default=None, description="null, or an absolute path: the key of our certificate")
    server_name: Host | None = Field(
        default=None, description="null for the Host, or the name that stands in the receiver's certificate")

    @model_validator(mode="after")
    def _both_or_none(self) -> TlsSettings:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("CertificateFile and KeyFile are given together or not at all")
        return self
