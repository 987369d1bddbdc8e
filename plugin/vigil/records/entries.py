"""What the ledger gives back: one frozen type for each kind of thing that it remembers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from vigil.domain.answer import Analysis, Answer, Reason

AnalysisState = Literal[
    "pending", "running", "answered", "stored", "ended-study-deleted", "ended-model-replaced", "ended-early", "shadow",
    "failed-to-start",
]
UNFINISHED_ANALYSIS = frozenset({"pending", "running", "answered"})
FINISHED_ANALYSIS = frozenset({
    "stored", "ended-study-deleted", "ended-model-replaced", "ended-early", "shadow", "failed-to-start"})
ENDED_UNANSWERED = frozenset({"ended-study-deleted", "ended-model-replaced"})
"""Answered nobody: where the study is looked at again, it is owed an answer."""

ResultKind = Literal["dicom", "stow-rs"]
"""Deliveries of result objects, by the way that they take."""
DeliveryKind = ResultKind | Literal["hl7"]
RESULT_KINDS = frozenset({"dicom", "stow-rs"})
FINISHED_DELIVERY = frozenset({"delivered", "parked", "suppressed", "held", "cancelled"})
WAITING = "waiting"
"""The state of a delivery that is not finished."""
RESULT, RETRACTION = "result", "retraction"
"""What a delivery is for: to tell an answer, or to take back the one that was told."""
STAT, ASAP, ROUTINE = 0, 1, 2
"""Priorities of a delivery: the lower goes first."""
WITHDRAWAL = -1
"""The step of a message to people that takes back what they were told."""
RESTORE = "the restore of a backup"
"""Who holds an alert that may have been told after the copy was made."""
OPEN = "open"
"""The state of a critical result that nobody has acknowledged yet."""


@dataclass(frozen=True)
class Installation:
    installation_id: str
    device_uid: str
    installed_at: datetime
    first_change_sequence: int
    restored_at: datetime | None = None
    """When this state was put back from a backup last."""


@dataclass(frozen=True)
class StudyState:
    study_id: str
    touched_at: datetime
    evaluated_at: datetime | None
    content_sha256: str | None
    next_look_at: datetime | None
    deleted_at: datetime | None


@dataclass(frozen=True)
class AnalysisRecord:
    analysis: Analysis
    state: str
    answer: Answer | None
    superseded_by: str | None
    finished_at: datetime | None
    reason: Reason | None = None


class FinishedObject(Protocol):
    """A result object, as :class:`vigil.results.objects.ResultObject` is one."""

    @property
    def role(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def sop_class_uid(self) -> str: ...
    @property
    def sop_instance_uid(self) -> str: ...
    @property
    def series_instance_uid(self) -> str: ...
    @property
    def dicom(self) -> bytes: ...


@dataclass(frozen=True)
class ObjectRecord:
    """``size`` and ``sha256`` are of the DICOM file."""

    role: str
    index: int
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    sha256: str
    size: int
    orthanc_id: str | None
    stored_at: datetime | None


@dataclass(frozen=True)
class DeliveryRecord:
    """``reason``: why the last attempt failed, or why the delivery ended. ``state``: "waiting" until it is finished."""

    delivery_id: str
    destination: str
    kind: str
    analysis_id: str
    revision: int
    state: str
    created_at: datetime
    attempts: int
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    reason: Reason | None
    finished_at: datetime | None
    priority: int = ROUTINE
    owed_since: datetime | None = None
    """When a person asked for it again; None where nobody did."""
    refusals: int = 0
    """How many of its attempts were refused."""
    purpose: str = RESULT
    order_key: str | None = None

    @property
    def owed_from(self) -> datetime:
        """From here its deadline runs."""
        return self.owed_since or self.created_at


@dataclass(frozen=True)
class CommitmentRequest:
    """A request to confirm storage that was made and is not answered yet."""

    transaction_uid: str
    asked_at: datetime


@dataclass(frozen=True)
class Acknowledgement:
    code: str
    text: str
    at: datetime


@dataclass(frozen=True)
class CriticalResult:
    """A positive answer that people are to be told of. ``category``: the gravest of its findings (ACR), None where it has none.
    ``counted_from``: the steps of its ladder count from here. ``state``: "open", "acknowledged" or "ended"."""

    analysis_id: str
    category: int | None
    found_at: datetime
    counted_from: datetime
    state: str
    finished_at: datetime | None
    reason: Reason | None


@dataclass(frozen=True)
class Notification:
    """One message to people. ``state``: "waiting" (tried again at ``next_at``), "sent", "failed" or "withheld". ``at``: when
    it was sent or given up; while it waits, since when."""

    analysis_id: str
    step: int
    channel: str
    method: str
    state: str
    attempts: int
    at: datetime
    next_at: datetime | None
    reason: Reason | None
    refusals: int = 0


@dataclass(frozen=True)
class PersonAcknowledgement:
    """Who has received a critical result, and how we know: by the command, by a link, by a webhook's answer, or over REST."""

    analysis_id: str
    by: str
    method: str
    channel: str | None
    at: datetime


@dataclass(frozen=True)
class Retraction:
    """An answer that no longer stands, and none replaces it. ``kind``: "withdrawal" or "wrong-patient". ``by``: None where Vigil
    found it out itself."""

    analysis_id: str
    kind: str
    by: str | None
    at: datetime


@dataclass(frozen=True)
class Hold:
    subject: str
    by: str
    at: datetime
