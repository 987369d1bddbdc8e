"""Where results and alerts go: a PACS by DICOM, a RIS or EHR by HL7."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from vigil.delivery.errors import DestinationInvalid
from vigil.delivery.hl7.profile import Hl7Profile
from vigil.domain.answer import AnswerKind


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
    answer_kinds: frozenset[AnswerKind] = field(default_factory=lambda: frozenset(AnswerKind))

    def __post_init__(self) -> None:
        for title, key in ((self.aet, "aet"), (self.calling_aet, "calling_aet")):
            if not 1 <= len(title.strip()) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
                raise DestinationInvalid(
                    f"PACS '{self.name}': {key} is no AE title (PS3.5 6.2): 1 to 16 printable ASCII characters "
                    "without backslash"
                )

    @property
    def label(self) -> str:
        return f"PACS '{self.name}' ({self.aet} at {self.host}:{self.port})"


class Connection(StrEnum):
    """Whether an MLLP connection outlives a message."""

    PERSISTENT = "persistent"
    PER_MESSAGE = "per-message"


@dataclass(frozen=True)
class RisDestination:
    """An HL7 v2 receiver over MLLP. ``timeout_s`` is the wait for the acknowledgement of one message."""

    name: str
    host: str
    port: int
    profile: Hl7Profile
    timeout_s: float = 30.0
    connect_timeout_s: float = 5.0
    connection: Connection = Connection.PERSISTENT

    @property
    def label(self) -> str:
        return f"RIS '{self.name}' ({self.host}:{self.port})"
