"""What one HL7 receiver wants: receivers differ, so every choice that differs is a setting of its own profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum

from vigil.delivery.errors import DestinationInvalid
from vigil.domain.answer import AnswerKind
from vigil.domain.concepts import Code
from vigil.settings.hl7 import ANSWERED

CODECS = {"ASCII": "ascii", "UNICODE UTF-8": "utf-8", "ISO IR87": "iso2022_jp"} | {
    f"8859/{part}": f"iso8859-{part}" for part in (*range(1, 10), 15)
}
"""HL7 table 0211 to Python's codecs: only sets in which every delimiter is written as one byte of ASCII. Japanese in JIS is
written as ISO 2022 demands it: back to ASCII before each delimiter."""
STUDY = Code("113014", "DCM", "DICOM Study")


class Version(StrEnum):
    V231 = "2.3.1"
    V24 = "2.4"
    V251 = "2.5.1"


class StudyUidAs(StrEnum):
    """Value type of the OBX that carries the Study Instance UID, or none."""

    ST = "ST"
    HD = "HD"
    RP = "RP"
    NONE = "none"


class PriorityIn(StrEnum):
    """Where STAT and ASAP stand. AUTO: in TQ1 since version 2.5, before in OBR-27.6."""

    AUTO = "auto"
    TQ1 = "TQ1"
    OBR_27 = "OBR-27"
    OBR_5 = "OBR-5"
    NONE = "none"


class AcrIn(StrEnum):
    """Where the ACR actionable category stands: an OBX of its own, OBX-15 of the answer's OBX, or the text alone."""

    OBX = "OBX"
    OBX_15 = "OBX-15"
    NONE = "none"


class LinkAs(StrEnum):
    """Value type of the OBX that carries the link."""

    RP = "RP"
    ST = "ST"
    TX = "TX"


@dataclass(frozen=True)
class Hl7Profile:
    """One receiver's choices. Applications and facilities may be written ``NAME`` or ``NAME^universal id^type``.

    ``version_text``: MSH-12 where the receiver wants another word than the version. ``result_status``: OBR-25 and OBX-11 of
    a result. ``R`` (stored, not verified) is the honest one: in table 0123 ``P`` is a *verified* early result. ``study``:
    OBX-3 of the Study Instance UID. ``link``: address of the report with ``{study_uid}`` and ``{report_uid}`` in it.
    ``coding_systems``: names of coding systems (table 0396) that the receiver knows under another name. ``coded_answer``,
    ``values``, ``notes``: whether the coded answer, the numbers and the NTE segments are sent beside the text.
    ``patient_assigning_authority``: of patient ids whose images name no issuer. ``patient_class``: PV1-2. ``zone``: the site's
    time zone, for images that do not tell theirs and for times that people read. ``test``: every message says that it is one.
    """

    version: Version = Version.V251
    version_text: str = ""
    sending_application: str = "VIGIL"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    processing_id: str = "P"
    accept_acknowledgement: str = ""
    application_acknowledgement: str = ""
    character_set: str = "UNICODE UTF-8"
    result_status: str = "R"
    priority: PriorityIn = PriorityIn.AUTO
    acr_category: AcrIn = AcrIn.OBX
    patient_class: str = "U"
    study_uid: StudyUidAs = StudyUidAs.ST
    study: Code = STUDY
    zds: bool = False
    link: str | None = None
    link_as: LinkAs = LinkAs.RP
    coded_answer: bool = True
    values: bool = True
    notes: bool = True
    coding_systems: Mapping[str, str] = field(default_factory=dict)
    answer_kinds: frozenset[AnswerKind] = field(default_factory=lambda: frozenset({AnswerKind.POSITIVE}))
    patient_assigning_authority: str = ""
    zone: tzinfo | None = None
    test: bool = False

    def __post_init__(self) -> None:
        if self.character_set not in CODECS:
            raise DestinationInvalid(
                f"HL7 character_set '{self.character_set}' is not one of {', '.join(CODECS)} (HL7 table 0211)"
            )
        if self.result_status not in {"R", "P"}:
            raise DestinationInvalid(
                f"HL7 result_status '{self.result_status}' is not R (unverified) or P (preliminary); never final"
            )
        if self.processing_id not in {"P", "T", "D"}:
            raise DestinationInvalid(
                f"HL7 processing_id '{self.processing_id}' is not P (production), T (training) or D (debugging)"
            )
        if (self.accept_acknowledgement, self.application_acknowledgement) not in ANSWERED:
            raise DestinationInvalid(
                "HL7 accept_acknowledgement and application_acknowledgement are both empty, AL and NE, AL and AL, "
                "or NE and AL: in any other pair a delivered message may have no answer"
            )
        if self.priority is PriorityIn.TQ1 and self.version is not Version.V251:
            raise DestinationInvalid(f"HL7 priority: version {self.version} has no TQ1 segment; use OBR-27")

    @property
    def codec(self) -> str:
        return CODECS[self.character_set]

    @property
    def coded(self) -> str:
        """The data type of a coded value: CWE since version 2.5, CE before."""
        return "CWE" if self.version is Version.V251 else "CE"

    @property
    def priority_in(self) -> PriorityIn:
        if self.priority is not PriorityIn.AUTO:
            return self.priority
        return PriorityIn.TQ1 if self.version is Version.V251 else PriorityIn.OBR_27

    @property
    def header_character_sets(self) -> tuple[str, str]:
        """MSH-18 and MSH-20. ASCII is the default, and not named; JIS is the second set, reached by escape sequences."""
        if self.character_set == "ISO IR87":
            return "~ISO IR87", "ISO 2022-1994"
        return ("" if self.character_set == "ASCII" else self.character_set), ""
