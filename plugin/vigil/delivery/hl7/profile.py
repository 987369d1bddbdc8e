"""What one HL7 receiver wants: receivers differ, so every choice that differs is a setting of its own profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum

from vigil.delivery.errors import DestinationInvalid
from vigil.domain.answer import AnswerKind

CODECS = {"ASCII": "ascii", "UNICODE UTF-8": "utf-8"} | {f"8859/{part}": f"iso8859-{part}" for part in (*range(1, 10), 15)}
"""HL7 table 0211 to Python's codecs: only sets in which no character's bytes look like a delimiter."""


class Version(StrEnum):
    V231 = "2.3.1"
    V24 = "2.4"
    V251 = "2.5.1"


class StudyUidAs(StrEnum):
    """Value type of the OBX that carries the Study Instance UID."""

    ST = "ST"
    HD = "HD"
    RP = "RP"


@dataclass(frozen=True)
class Hl7Profile:
    """One receiver's choices. Applications and facilities may be written ``NAME`` or ``NAME^universal id^type``.

    ``result_status``: OBR-25 and OBX-11 of a result. ``R`` (stored, not verified) is the honest one: in table 0123
    ``P`` is a *verified* early result. ``link``: address of the report with ``{study_uid}`` and ``{report_uid}`` in it.
    ``patient_assigning_authority``: of patient ids whose images name no issuer. ``zone``: the site's time zone, for
    images that do not tell theirs and for times that people read.
    """

    version: Version = Version.V251
    sending_application: str = "VIGIL"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    processing_id: str = "P"
    character_set: str = "UNICODE UTF-8"
    result_status: str = "R"
    study_uid: StudyUidAs = StudyUidAs.ST
    zds: bool = False
    link: str | None = None
    answer_kinds: frozenset[AnswerKind] = field(default_factory=lambda: frozenset({AnswerKind.POSITIVE}))
    patient_assigning_authority: str = ""
    zone: tzinfo | None = None

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

    @property
    def codec(self) -> str:
        return CODECS[self.character_set]

    @property
    def coded(self) -> str:
        """The data type of a coded value: CWE since version 2.5, CE before."""
        return "CWE" if self.version is Version.V251 else "CE"
