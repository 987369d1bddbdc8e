"""Every case of ``result_cases`` and the variations that only a report knows, with every flavour, as files: made once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pydicom import Dataset
from result_cases import CASES, LATIN, UTF8, Case, request, study
from result_files import Write, Written

from vigil.domain.answer import AnswerKind
from vigil.results.make import make_results
from vigil.results.objects import Role
from vigil.results.options import ResultOptions
from vigil.results.request import PredecessorReport, ResultRequest

WITH_TEXT = ResultOptions(text_report=True)
EVERY_FLAVOUR = ResultOptions(text_report=True, multiframe=True, full_frame=True)


def ordered() -> Case:
    """With what a worklist leaves in a header."""
    files, hu = study(patient=LATIN, slices=16)
    for ds in files:
        item = Dataset()
        item.RequestedProcedureID = "RP-7"
        item.RequestedProcedureDescription = "CT Schädel"
        item.ScheduledProcedureStepID = "SPS-7"
        ds.RequestAttributesSequence = [item]
    return Case(request(files=files, hu=hu), files)


def no_body_part() -> Case:
    files, hu = study(patient=UTF8, slices=16)
    for ds in files:
        del ds.BodyPartExamined
    return Case(request(files=files, hu=hu), files)


OWN_CASES: dict[str, Callable[[], Case]] = {"ordered": ordered, "no body part": no_body_part}


def write_all(write: Write) -> dict[str, Written]:
    made = {}
    for name, make in (CASES | OWN_CASES).items():
        case = make()
        made[name] = write(name.replace(" ", "-"), _every_flavour(case.asked), case.files)
    made["superseding"] = _superseding(write)
    return made


def _every_flavour(asked: ResultRequest) -> ResultRequest:
    return replace(asked, options=EVERY_FLAVOUR)


def _superseding(write: Write) -> Written:
    """A result that replaces another one, which still lies beside it."""
    files, hu = study()
    first = make_results(request(AnswerKind.NEGATIVE, files=files, hu=hu))
    (report,) = (item for item in first if item.role is Role.REPORT)
    earlier = PredecessorReport(
        report.sop_class_uid, report.sop_instance_uid, report.series_instance_uid, str(files[0].StudyInstanceUID)
    )
    written = write("superseding", _every_flavour(request(files=files, hu=hu, predecessor=earlier)), files)
    paths = []
    for number, item in enumerate(first):
        paths.append(written.report.with_name(f"earlier-{number}.dcm"))
        paths[-1].write_bytes(item.dicom)
    return replace(written, sources=(*written.sources, *paths))
