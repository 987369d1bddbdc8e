"""The receivers of HL7 alerts as the settings name them: where they listen, how they want their messages, and TLS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from vigil.domain.answer import AnswerKind
from vigil.settings.base import Host, Port, Seconds, Section
from vigil.settings.tls import TlsSettings


def _without_credentials(link: str) -> str:
    if not re.fullmatch(r"https?://[^\s@|^~\\]+", link):
        raise ValueError("not a plain address")
    return link


def _own_coding_systems(systems: Mapping[str, str]) -> Mapping[str, str]:
    for name in (*systems, *systems.values()):
        if not re.fullmatch(r"[A-Za-z0-9_.\-]{1,20}", name):
            raise ValueError("no name of a coding system")
    return systems


def _each_once(kinds: tuple[AnswerKind, ...]) -> tuple[AnswerKind, ...]:
    if len(set(kinds)) != len(kinds):
        raise ValueError("named twice")
    return kinds


HierarchicDesignator = Annotated[str, Field(pattern=r"^[^|~\\&\x00-\x1f\x7f]{0,180}$")]
"""Text of an MSH application or facility: components (^) are allowed, the other delimiters are not."""
CodedElement = Annotated[str, Field(pattern=r"^[^|^~\\&\x00-\x1f\x7f]{1,20}(\^[^|^~\\&\x00-\x1f\x7f]{0,199}){0,2}$")]
ANSWERED = (("", ""), ("AL", "NE"), ("AL", "AL"), ("NE", "AL"))
"""MSH-15 and MSH-16 (HL7 table 0155): original mode, or enhanced mode in which at least one answer always comes."""
Component = Annotated[str, Field(pattern=r"^[^|^~\\&\x00-\x1f\x7f]{1,180}$")]


class AssigningAuthority(Section):
    """CX-4 of PID-3: who assigned the patient's identifier."""

    namespace_id: Component = Field(description="text of 1 to 180 characters without | ^ ~ \\ &")
    universal_id: Component | None = Field(default=None, description="null, or text of 1 to 180 characters without | ^ ~ \\ &")
    universal_id_type: Component | None = Field(default=None, description='null, or a type such as "ISO"')

    @model_validator(mode="after")
    def _both_or_none(self) -> AssigningAuthority:
        if (self.universal_id is None) != (self.universal_id_type is None):
            raise ValueError("UniversalId and UniversalIdType are given together or not at all (HL7 table 0301)")
        return self


class Hl7Profile(Section):
    """How one receiver wants its ORU^R01; receivers differ, so each choice is a setting. ``base``: the shipped profile whose
    values stand where the site gives none; :func:`vigil.settings.reading.load` puts them there."""

    base: Literal["standard", "legacy-2.3.1", "minimal"] = Field(
        default="standard", description='"standard", "legacy-2.3.1" or "minimal"')
    version: Literal["2.5.1", "2.4", "2.3.1"] = Field(default="2.5.1", description='"2.5.1", "2.4" or "2.3.1"')
    version_text: Annotated[str, Field(pattern=r"^[^|~\\&\x00-\x1f\x7f]{1,60}$")] | None = Field(
        default=None, description="null, or what the receiver wants to read as the version (MSH-12)")
    sending_application: HierarchicDesignator = Field(default="VIGIL", description="text (MSH-3) without | ~ \\ &")
    sending_facility: HierarchicDesignator = Field(default="", description="text (MSH-4) without | ~ \\ &")
    receiving_application: HierarchicDesignator = Field(default="", description="text (MSH-5) without | ~ \\ &")
    receiving_facility: HierarchicDesignator = Field(default="", description="text (MSH-6) without | ~ \\ &")
    processing_id: Literal["P", "T", "D"] = Field(
        default="P", description='"P" (production), "T" (training) or "D" (debugging), MSH-11')
    accept_acknowledgement: Literal["", "AL", "NE"] = Field(default="", description='"", "AL" or "NE" (MSH-15)')
    application_acknowledgement: Literal["", "AL", "NE"] = Field(
        default="", description='"", "AL" or "NE" (MSH-16)')
    character_set: Literal[
        "UNICODE UTF-8", "ASCII", "ISO IR87", "8859/1", "8859/2", "8859/3", "8859/4", "8859/5", "8859/6", "8859/7", "8859/8",
        "8859/9", "8859/15",
    ] = Field(default="UNICODE UTF-8",
              description='"UNICODE UTF-8", "ASCII", "ISO IR87" or "8859/1" to "8859/9", "8859/15" (MSH-18)')
    result_status: Literal["R", "P"] = Field(
        default="R", description='"R" (stored, not verified) or "P" (preliminary); never final')
    priority: Literal["auto", "TQ1", "OBR-27", "OBR-5", "none"] = Field(
        default="auto", description='"auto", "TQ1" (from version 2.5.1), "OBR-27", "OBR-5" or "none": where STAT stands')
    acr_category: Literal["OBX", "OBX-15", "none"] = Field(
        default="OBX", description='"OBX", "OBX-15" or "none": where the ACR actionable category stands')
    patient_class: Literal["B", "C", "E", "I", "N", "O", "P", "R", "U"] = Field(
        default="U", description='a letter of HL7 table 0004, such as "E" (emergency), "I" (inpatient) or "U" (unknown): PV1-2')
    study_uid: Literal["ST", "RP", "HD", "none"] = Field(
        default="ST", description='"ST", "RP", "HD" or "none": the data type of the OBX that holds the study UID')
    study_uid_code: CodedElement = Field(
        default="113014^DICOM Study^DCM",
        description="a code, or code^text^coding system: the identifier (OBX-3) of the OBX that holds the study UID")
    zds: bool = Field(default=False, description="true or false: whether a ZDS segment is added")
    link: Annotated[str, AfterValidator(_without_credentials)] | None = Field(
        default=None, description="null, or an address that begins with http:// or https:// and holds no user or password")
    link_as: Literal["RP", "ST", "TX"] = Field(
        default="RP", description='"RP", "ST" or "TX": the data type of the OBX that holds the link')
    coded_answer: bool = Field(default=True, description="true or false: whether the answer is sent as a code beside the text")
    values: bool = Field(default=True, description="true or false: whether measured values are sent as numbers beside the text")
    notes: bool = Field(default=True, description="true or false: whether the remarks are sent as NTE segments")
    coding_systems: Annotated[Mapping[str, str], AfterValidator(_own_coding_systems)] = Field(
        default_factory=dict, description='an object: the receiver\'s name for a coding system, such as {"99VIGIL": "L"}')
    test: bool = Field(default=False, description="true or false: whether every message is marked as a test and never urgent")
    answer_kinds: Annotated[tuple[AnswerKind, ...], AfterValidator(_each_once)] = Field(
        default=(AnswerKind.POSITIVE,), min_length=1,
        description='a list, each once, of "positive", "negative", "indeterminate", "measured", "not-analysed" and "failed"')
    patient_assigning_authority: AssigningAuthority | None = Field(
        default=None, description="null, or an object with NamespaceId, UniversalId and UniversalIdType")

    @model_validator(mode="after")
    def _consistent(self) -> Hl7Profile:
        if self.priority == "TQ1" and self.version != "2.5.1":
            raise ValueError(f'version {self.version} has no TQ1 segment; give Priority "auto" or "OBR-27"')
        if (self.accept_acknowledgement, self.application_acknowledgement) not in ANSWERED:
            raise ValueError(
                'AcceptAcknowledgement and ApplicationAcknowledgement are both "", "AL" and "NE", "AL" and "AL", '
                'or "NE" and "AL": in any other pair a message may stay without an answer')
        return self


class SecondAddress(Section):
    """Where the same receiver listens when its first address does not answer."""

    host: Host = Field(description="a host name or an IP address")
    port: Port = Field(description="a port number, 1 to 65535")


class RisDestination(Section):
    """A receiver of HL7 messages over MLLP."""

    host: Host = Field(description="a host name or an IP address")
    port: Port = Field(description="a port number, 1 to 65535")
    timeout_seconds: Seconds = Field(default=10.0, description="a number of seconds above 0, at most 3600")
    connection: Literal["persistent", "per-message"] = Field(
        default="persistent", description='"persistent" or "per-message"')
    second: SecondAddress | None = Field(
        default=None, description="null, or an object with the Host and Port that take over from the first")
    tls: TlsSettings | None = Field(
        default=None, description="null, or an object with AuthorityFile, CertificateFile, KeyFile and ServerName")
    profile: Hl7Profile = Field(default_factory=Hl7Profile, description="an object: the HL7 profile of this receiver")
