"""What a result says in words: on the summary image and in the report, the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydicom import Dataset

from vigil.domain.answer import AnswerKind, Criterion, Measurement, Part, joined, quantity
from vigil.domain.qualities import followed_by, qualities_of
from vigil.results.lettering import legible
from vigil.results.request import ResultRequest

NOT_PRIMARY = "AI RESULT - NOT FOR PRIMARY DIAGNOSIS"
RESEARCH = "RESEARCH: not cleared for clinical use"
NO_ANSWER = "No answer. Read as if no AI had been run."
NO_THRESHOLD = "A measurement: it is held against no threshold, and decides nothing."
NOT_NEGATIVE = "This is NOT a negative result."

KIND_WORDS = {
    AnswerKind.POSITIVE: "POSITIVE",
    AnswerKind.NEGATIVE: "NEGATIVE",
    AnswerKind.INDETERMINATE: "INDETERMINATE",
    AnswerKind.MEASURED: "MEASURED",
    AnswerKind.NOT_ANALYSED: "NOT ANALYSED",
    AnswerKind.FAILED: "ANALYSIS FAILED",
}


@dataclass(frozen=True)
class Score:
    """The measured value against its threshold, as text and as numbers of the same unit."""

    label: str
    value: float
    value_text: str
    threshold: float
    threshold_text: str
    operating_point: str


def sentence(request: ResultRequest) -> str:
    """The sentence that stands alone, with what the findings are like. A model that may not let out a number gets one without
    it."""
    return followed_by(_sentence(request), request.answer)


def _sentence(request: ResultRequest) -> str:
    answer = request.answer
    if answer.parts:
        return joined(tuple(
            part if part.measured is None or request.lets_out(part.measured)
            else replace(part, sentence=_without_number(part.concept.meaning, part.kind)) for part in answer.parts))
    if answer.kind.analysed and not request.lets_out(answer.measured):
        return _without_number(request.manifest.finding.concept.meaning, answer.kind)
    return answer.sentence


def _without_number(finding: str, kind: AnswerKind) -> str:
    return {
        AnswerKind.POSITIVE: f"{finding}: suspected by the model.",
        AnswerKind.NEGATIVE: f"{finding}: not suspected by the model. This does not exclude it.",
        AnswerKind.INDETERMINATE: f"{finding}: the model gives no clear answer.",
        AnswerKind.MEASURED: f"{finding}: measured by the model.",
    }[kind]


def part_words(request: ResultRequest, part: Part) -> str:
    """One of several findings in a line: "Effusion: NEGATIVE, 12.0 % (threshold 50.0 %)"."""
    value = part_value(request, part)
    told = [KIND_WORDS[part.kind], *([value] if value else []), *qualities_of(part.concept, request.answer)]
    return f"{part.concept.meaning}: {', '.join(told)}"


def part_value(request: ResultRequest, part: Part) -> str:
    """Value and threshold, where the clearance lets the value out; else nothing."""
    if part.measured is None or part.criterion is None or not request.lets_out(part.measured):
        return ""
    value, threshold = apart(part.measured, part.criterion)
    return f"{value} (threshold {threshold})"


def score(request: ResultRequest) -> Score | None:
    """Value and threshold, where both exist and the clearance lets the value out. None of several findings: each has its own."""
    measured, criterion = request.answer.measured, request.answer.criterion
    if request.answer.parts or measured is None or criterion is None or not request.lets_out(measured):
        return None
    value_text, threshold_text = apart(measured, criterion)
    return Score(
        measured.concept.meaning, measured.value, value_text, criterion.threshold, threshold_text, criterion.operating_point
    )  # fmt: skip


def plain_value(request: ResultRequest) -> tuple[str, str] | None:
    """What was measured and how much of it, where it is held against no threshold and the clearance lets it out."""
    measured, criterion = request.answer.measured, request.answer.criterion
    if measured is None or criterion is not None or not request.lets_out(measured):
        return None
    return measured.concept.meaning, measured.text()


def apart(measured: Measurement, criterion: Criterion) -> tuple[str, str]:
    """Value and threshold with as many digits as it takes to see which is larger: "5.0" against "5.0" would be no
    explanation of a negative."""
    value, threshold = measured.value, criterion.threshold
    for digits in range(1, 5):
        told, limit = f"{value:.{digits}f}", f"{threshold:.{digits}f}"
        if (float(told) >= float(limit)) == (value >= threshold):
            break
    return quantity(told, measured.unit), quantity(limit, criterion.unit)


def criterion_words(request: ResultRequest) -> str:
    """The rule, for example "Positive at or above 5.0 mL (operating point 'default')"."""
    criterion = request.answer.criterion
    if request.answer.kind is AnswerKind.MEASURED:
        return NO_THRESHOLD
    if request.answer.parts:
        rules = (f"{part.concept.meaning} {part.criterion.text()}" for part in request.answer.parts if part.criterion is not None)
        return f"Positive at or above: {'; '.join(rules)} (operating point '{request.analysis.operating_point}')"
    if criterion is None:
        return f"Operating point '{request.analysis.operating_point}'"
    return f"Positive at or above {criterion.text()} (operating point '{criterion.operating_point}')"


def inputs_words(request: ResultRequest) -> str:
    """What was analysed: "CT series 2 'HEAD 1.5 H30s', 108 images, study of 2026-11-23", and the further series of a model of
    several inputs. Nothing that names a patient."""
    study = _study_date(str(request.reference.get("StudyDate") or ""))
    if not request.sources:
        return f"No image of the study{study} was analysed." if study else "No image was analysed."
    series = [_series_words(request.sources, len(request.frames))]
    series += [_series_words(sources) for sources in request.further_sources]
    return "; ".join(series) + (f", study{study}" if study else "")


def _series_words(sources: Sequence[Dataset], frames: int = 0) -> str:
    first = sources[0]
    number = first.get("SeriesNumber")
    description = str(first.get("SeriesDescription") or "").strip()
    parts = [f"{first.get('Modality', '')} series"]
    if number is not None and str(number) != "":
        parts.append(str(number))
    if description and legible(description):
        parts.append(f"'{description}'")
    number_of_images = len({str(source.SOPInstanceUID) for source in sources})
    images = f"{number_of_images} images" if number_of_images != 1 else "1 image"
    if frames:
        images += f" of {frames} frames"
    return f"{' '.join(parts)}, {images}"


def image_words(request: ResultRequest, index: int) -> str:
    """What people call a slice: "image 15", or "frame 15" of a multi-frame image."""
    frame = request.frame(index)
    return f"frame {frame}" if frame is not None else f"image {request.sources[index].get('InstanceNumber') or index + 1}"


def slice_words(request: ResultRequest, index: int) -> str:
    """Which image a slice is: "Image 15, slice 15 of 24", or of a radiograph "Image 1, R MLO"."""
    source, words = request.sources[index], [image_words(request, index).capitalize()]
    laterality = str(source.get("ImageLaterality") or source.get("Laterality") or "")
    view = f"{laterality if laterality in ('L', 'R') else ''} {source.get('ViewPosition') or ''}".strip()
    if view:
        words.append(view)
    if len(request.sources) > 1:
        words.append(f"slice {index + 1} of {len(request.sources)}")
    return ", ".join(words)


def reason_words(request: ResultRequest) -> str:
    reason = request.answer.reason
    return reason.text if reason is not None else request.answer.sentence


def supersedes_words(request: ResultRequest) -> str:
    if request.predecessor is None:
        return ""
    return "Replaces this model's earlier result for this study. Disregard that one."


def _study_date(date: str) -> str:
    return f" of {date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else ""
