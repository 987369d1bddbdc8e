"""What a model says of a study: one of six kinds of answer, with what was measured, and why.

Silence is never negative (law 3): positive, negative, indeterminate, measured, not analysed and failed are six different
answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from vigil.domain.concepts import Code
from vigil.domain.errors import Category

UNITY = "1"
"""UCUM's unit of what is only counted."""


class AnswerKind(StrEnum):
    POSITIVE = "positive"
    NEGATIVE = "negative"
    INDETERMINATE = "indeterminate"
    MEASURED = "measured"
    """A measurement that decides nothing: neither positive nor negative, and never an alarm."""
    NOT_ANALYSED = "not-analysed"
    FAILED = "failed"

    @property
    def analysed(self) -> bool:
        """Whether the model itself answered."""
        return self not in (AnswerKind.NOT_ANALYSED, AnswerKind.FAILED)

    @property
    def shows_place(self) -> bool:
        """Whether an outline is drawn: a positive's is its claim, a measurement's is what was measured."""
        return self in (AnswerKind.POSITIVE, AnswerKind.MEASURED)


def number(value: float, unit: Code) -> str:
    """As people read it, with one decimal; whole where something is counted."""
    told = f"{value:.1f}"
    return told.removesuffix(".0") if unit.value == UNITY else told


def quantity(told: str, unit: Code) -> str:
    """A number with its unit as people read it: what only counts has none (UCUM writes 1)."""
    return told if unit.value == UNITY else f"{told} {unit_text(unit)}"


def unit_text(unit: Code) -> str:
    """UCUM's annotation where there is one, for it says what people say: SUVbw of "g/ml{SUVbw}". Nothing of what only counts."""
    if unit.value == UNITY:
        return ""
    return unit.value.partition("{")[2].rstrip("}") or unit.value


@dataclass(frozen=True)
class Measurement:
    """A number with its meaning and its UCUM unit, for example a volume of 19.9 mL."""

    concept: Code
    value: float
    unit: Code

    def text(self) -> str:
        return quantity(number(self.value, self.unit), self.unit)


@dataclass(frozen=True)
class Criterion:
    """The rule that made the answer: positive at or above ``threshold`` (in ``unit``), of this operating point."""

    operating_point: str
    concept: Code
    threshold: float
    unit: Code

    def text(self) -> str:
        return quantity(number(self.threshold, self.unit), self.unit)


@dataclass(frozen=True)
class Finding:
    """One finding of a model: what, where, how much. ``region`` names the mask of the inference that shows it.

    ``key_slices``: indices into the analysed slices (order of ``Answer.inputs``), most telling first.
    """

    concept: Code
    category: Code
    site: Code
    measurements: tuple[Measurement, ...]
    region: str | None = None
    key_slices: tuple[int, ...] = ()
    acr_category: int | None = None
    kind: AnswerKind | None = None
    """Of several findings each has its own; None is the answer's."""
    severity: Code | None = None
    laterality: Code | None = None


@dataclass(frozen=True)
class Part:
    """What a model of several findings says of one of them, also of one that it did not find. ``sentence`` stands alone."""

    concept: Code
    category: Code
    site: Code
    kind: AnswerKind
    sentence: str
    measured: Measurement | None = None
    criterion: Criterion | None = None


@dataclass(frozen=True)
class Reason:
    """Why a study was not analysed, failed or waits, for a program (category) and for a person (text)."""

    category: Category
    text: str


@dataclass(frozen=True)
class InputInstance:
    """One image that was analysed. ``content_sha256`` is of the data set without its file meta information. ``frames``: which
    of a multi-frame image, from 1; empty of any other. ``input``: which of the model's inputs it served; empty where the model
    has one, and where nothing was selected."""

    orthanc_id: str
    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    content_sha256: str
    frames: tuple[int, ...] = ()
    input: str = ""

    @property
    def images(self) -> int:
        """How many pictures it stands for."""
        return len(self.frames) or 1


@dataclass(frozen=True)
class Answer:
    """A model's answer. ``sentence`` stands alone: a reader of it needs nothing else.

    ``measured``: the value the criterion was applied to (also of a negative), None where nothing was measured. ``parts``: of a
    model of several findings what it says of each, in the order of its manifest; empty of any other. The kind of the answer is
    that of its gravest part, and so are ``measured`` and ``criterion``.
    """

    kind: AnswerKind
    sentence: str
    criterion: Criterion | None = None
    measured: Measurement | None = None
    findings: tuple[Finding, ...] = ()
    reason: Reason | None = None
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        if not self.kind.analysed and self.reason is None:
            raise ValueError(f"an answer of kind {self.kind} needs a reason")
        if self.parts and gravest(self.parts).kind is not self.kind:
            raise ValueError(f"an answer of kind {self.kind} has a part of kind {gravest(self.parts).kind}")

    def kind_of(self, finding: Finding) -> AnswerKind:
        return finding.kind or self.kind

    @property
    def grave_findings(self) -> tuple[Finding, ...]:
        """Those of the answer's own kind: what is told where a positive is, and nothing that is only uncertain beside it."""
        return tuple(finding for finding in self.findings if self.kind_of(finding) is self.kind)

    def withdrawn_by(self, newer: Answer) -> bool:
        """Whether a positive, or one of its several, no longer stands in an answer that replaces this one."""
        if self.kind is not AnswerKind.POSITIVE:
            return False
        if newer.kind is not AnswerKind.POSITIVE or not (self.parts or newer.parts):
            return newer.kind is not AnswerKind.POSITIVE
        return bool(self.positives - newer.positives - newer.left_open)

    def stands_in(self, newer: Answer, concept: Code) -> bool:
        """Whether of one positive of this answer nothing else is said in one that replaces it."""
        if newer.kind is not AnswerKind.POSITIVE or not (self.parts or newer.parts):
            return newer.kind is AnswerKind.POSITIVE
        return concept in newer.positives | newer.left_open

    def not_judged_again_by(self, newer: Answer) -> bool:
        """Whether a positive of this answer could not be looked for in one that would replace it."""
        return bool((self.positives - newer.positives) & newer.left_open)

    @property
    def left_open(self) -> frozenset[Code]:
        """What could not be judged of several findings."""
        return frozenset(part.concept for part in self.parts if not part.kind.analysed)

    @property
    def positives(self) -> frozenset[Code]:
        return frozenset(item.concept for item in self.findings if self.kind_of(item) is AnswerKind.POSITIVE)


GRAVITY = (AnswerKind.POSITIVE, AnswerKind.INDETERMINATE, AnswerKind.NEGATIVE, AnswerKind.NOT_ANALYSED)
"""Of the parts of an answer, the gravest first. What could not be analysed stands only beside a positive: without one, the whole
study was not analysed."""


def gravest_parts_first(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Of one gravity in the order of the manifest."""
    return tuple(sorted(parts, key=lambda part: GRAVITY.index(part.kind)))


def gravest(parts: tuple[Part, ...]) -> Part:
    return gravest_parts_first(parts)[0]


def joined(parts: tuple[Part, ...]) -> str:
    """The sentences, the gravest first."""
    return " ".join(_closed(part.sentence) for part in gravest_parts_first(parts))


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def of_a_part_of_the_study(answer: Answer, why: str) -> Answer:
    """A positive of images that are not all: what else it says of its several findings does not leave (law 2)."""
    parts = tuple(part if part.kind is AnswerKind.POSITIVE else unanswered(part, why) for part in answer.parts)
    if not parts:
        return answer
    found = tuple(item for item in answer.findings if answer.kind_of(item) is AnswerKind.POSITIVE)
    gone = tuple(noted(part.concept, "") for part in parts if part.kind is not AnswerKind.POSITIVE)
    notes = tuple(note for note in answer.notes if not note.startswith(gone)) if gone else answer.notes
    return replace(answer, parts=parts, sentence=joined(parts), findings=found, notes=notes)


def noted(concept: Code, note: str) -> str:
    """A note to one of several findings."""
    return f"{concept.meaning}: {note}"


def unanswered(part: Part, why: str) -> Part:
    return replace(part, kind=AnswerKind.NOT_ANALYSED, measured=None, criterion=None,
                   sentence=f"{part.concept.meaning}: not analysed: {why.rstrip('.')}. This is not a negative result.")


@dataclass(frozen=True)
class Analysis:
    """One run of one model on one content of one study, as the ledger holds it from its first moment.

    ``created_at`` is frozen with the analysis: dates and times of its objects and messages come from it alone (law 4).
    """

    analysis_id: str
    orthanc_study_id: str
    study_instance_uid: str
    model_id: str
    model_version: str
    weights_sha256: str
    operating_point: str
    renderer_version: str
    settings_sha256: str
    inputs_sha256: str
    inputs: tuple[InputInstance, ...]
    created_at: datetime
    correlation_id: str
    stage: str
    predecessor_id: str | None = None
    revision: int = 1
    refusal: Reason | None = None
    arrived_at: datetime | None = None
    """When the last image of the study had arrived: latencies are counted from here."""
    study_started_at: datetime | None = None
    """When the study was made, as its images say: nothing old alarms (law 6)."""
    reference_instance: str = field(default="")
    """Orthanc id of the image whose patient and study attributes the results copy (the first input, or any image of the
    study where nothing was selected)."""
