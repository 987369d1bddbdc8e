"""The flat report: a Basic Text SR (PS3.3 A.35.1) of named texts, for reporting systems that read nothing else.

Such a system fills the fields of a dictation template from the TEXT items that stand directly below the root, by the code or
the meaning of their names. So every name stands at most once, whatever the answer, and every model uses the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset
from pydicom.uid import BasicTextSRStorage

from vigil.domain import codes
from vigil.domain.answer import Finding, gravest_parts_first
from vigil.domain.concepts import Code
from vigil.domain.qualities import qualities
from vigil.results import boxes, wording
from vigil.results.document import Place, Series, code_item, finished
from vigil.results.key_slices import located
from vigil.results.moment import Moment
from vigil.results.objects import ResultObject
from vigil.results.patient_study import encodable
from vigil.results.report_document import evidence, new_document, study_item
from vigil.results.report_encoding import encode_sequences
from vigil.results.request import ResultRequest

PLACE = Place(Series.TEXT_REPORT, index=0, instance_number=1)
LINE_BREAK = "\r\n"


def text_report(request: ResultRequest) -> ResultObject:
    """The answer as named texts: one report, for every kind of answer."""
    ds = new_document(request, PLACE, BasicTextSRStorage)
    ds.CurrentRequestedProcedureEvidenceSequence = [study_item(request.analysis.study_instance_uid, evidence(request))]
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = [code_item(codes.AI_RESULT)]
    ds.ContinuityOfContent = "SEPARATE"
    ds.ContentSequence = [_text(name, encodable(text, ds)) for name, text in _texts(request) if text]
    encode_sequences(ds)
    return finished(request, PLACE, ds)


def _text(name: Code, text: str) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "TEXT"
    item.ConceptNameCodeSequence = [code_item(name)]
    item.TextValue = text
    return item


def _texts(request: ResultRequest) -> Iterator[tuple[Code, str]]:
    """In the order in which a person reads them. The conclusion stands alone: a template may take it and nothing else."""
    manifest, answer = request.manifest, request.answer
    kind = wording.KIND_WORDS[answer.kind]
    standing = [wording.NOT_PRIMARY, *([wording.RESEARCH] if request.is_research else [])]
    yield codes.AI_STANDING, ". ".join(standing)
    yield codes.AI_MODEL, f"{manifest.name} {manifest.version} ({manifest.vendor})"
    yield codes.AI_ANSWER, kind
    if answer.kind.analysed:
        yield codes.CONCLUSION, f"{kind}. {wording.sentence(request)}"
        yield codes.AI_VALUE, _value(request)
        yield codes.AI_CRITERION, wording.criterion_words(request)
        yield codes.AI_FINDINGS, LINE_BREAK.join(_findings(request))
    else:
        yield codes.CONCLUSION, f"{kind}. {wording.reason_words(request)} {wording.NO_ANSWER} {wording.NOT_NEGATIVE}"
    yield codes.AI_INPUTS, wording.inputs_words(request)
    yield codes.AI_TIME, Moment.of(request.analysis.created_at, request.reference).words()
    notes = [*answer.notes, *(f"Limitation: {limitation}" for limitation in manifest.limitations)]
    if request.predecessor is not None:
        notes.insert(0, wording.supersedes_words(request))
    yield codes.AI_NOTES, LINE_BREAK.join(notes)


def _value(request: ResultRequest) -> str:
    if request.answer.parts:
        values = ((part, wording.part_value(request, part)) for part in gravest_parts_first(request.answer.parts))
        return LINE_BREAK.join(f"{part.concept.meaning}: {value}" for part, value in values if value)
    measured = request.answer.measured
    if measured is None or not request.lets_out(measured):
        return ""
    return f"{measured.concept.meaning}: {measured.text()}"


def _findings(request: ResultRequest) -> Iterator[str]:
    """Of several findings also those that were not found."""
    answer, several = request.answer, bool(request.answer.parts)
    for item in located(request):
        told = [_what(item.finding) + (f": {wording.KIND_WORDS[answer.kind_of(item.finding)]}" if several else "")]
        told += [f"{number.concept.meaning} {number.text()}" for number in item.finding.measurements if request.lets_out(number)]
        told += qualities(item.finding)
        if item.key_slice is not None:
            told.append(_image(request, item.key_slice))
        yield f"{item.number}. {', '.join(told)}"
    yield from boxes.lines(request)
    found = {finding.concept for finding in answer.findings}
    yield from (wording.part_words(request, part) for part in answer.parts if part.concept not in found)


def _what(finding: Finding) -> str:
    """What, and where it is, unless that is the same word."""
    same = finding.concept == finding.site
    return finding.concept.meaning if same else f"{finding.concept.meaning} ({finding.site.meaning})"


def _image(request: ResultRequest, index: int) -> str:
    """As people name it: the numbers that their viewer shows."""
    series = str(request.sources[index].get("SeriesNumber") or "")
    return f"{wording.image_words(request, index)} of series {series}" if series else wording.image_words(request, index)
