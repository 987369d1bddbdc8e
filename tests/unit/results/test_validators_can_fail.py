"""A validator that finds nothing proves something only where it can find something: faults sown into good results, each of
which is caught, and by whom.

Two are caught by nothing that we know of but by our own checks: the segmentation in another frame of reference, and the title
that is not of its context group. Two more are caught by PixelMed alone; they stand in
``test_objects_pass_validators``, beside the reports that it is started for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from result_cases import Case, two_findings
from result_files import Write, Written

from validators.dcmtk import dsrdump
from validators.dicom3tools import dcentvfy, dciodvfy
from validators.own_checks import complaints, concept, groups
from vigil.results.objects import Role

OTHER_UID = "2.25.123456789"


@dataclass(frozen=True)
class Fault:
    """``sow`` changes the object of a role; ``caught_by``: every one of the judges that must object, and no other does."""

    role: Role
    sow: Callable[[Dataset], None]
    caught_by: frozenset[str]


def _wrong_patient(ds: Dataset) -> None:
    ds.PatientID = "SOMEBODY-ELSE"


def _no_evidence(ds: Dataset) -> None:
    del ds.CurrentRequestedProcedureEvidenceSequence


def _evidence_of_nothing(ds: Dataset) -> None:
    series = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    series.ReferencedSOPSequence[3].ReferencedSOPInstanceUID = OTHER_UID


def _another_segment(ds: Dataset) -> None:
    for group in groups(ds):
        for item in group.ContentSequence:
            if concept(item) == "121191":
                item.ReferencedSOPSequence[0].ReferencedSegmentNumber = 7


def _other_frame_of_reference(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = OTHER_UID


def _title_outside_its_group(ds: Dataset) -> None:
    title = ds.ConceptNameCodeSequence[0]
    title.CodeValue, title.CodeMeaning = "121070", "Findings"


def _no_conversion_type(ds: Dataset) -> None:
    del ds.ConversionType


def _time_of_its_own(ds: Dataset) -> None:
    ds.SeriesTime = "235959"


def _bad_segment_number(ds: Dataset) -> None:
    ds.SegmentSequence[1].SegmentNumber = 5


def _no_code_value(ds: Dataset) -> None:
    del ds.ContentSequence[0].ConceptNameCodeSequence[0].CodeValue


def _region_off_the_image(ds: Dataset) -> None:
    for group in groups(ds):
        for item in group.ContentSequence:
            if item.ValueType == "SCOORD":
                item.GraphicData = [value + 1000 for value in item.GraphicData]


def _no_region(ds: Dataset) -> None:
    """Of the second finding: valid, and OHIF fails on it."""
    drawn = [group for group in groups(ds) if any(item.ValueType == "SCOORD" for item in group.ContentSequence)]
    drawn[1].ContentSequence = [item for item in drawn[1].ContentSequence if item.ValueType != "SCOORD"]


def _a_person_observed(ds: Dataset) -> None:
    (observer,) = [item for item in ds.ContentSequence if concept(item) == "121005"]
    code = observer.ConceptCodeSequence[0]
    code.CodeValue, code.CodeMeaning = "121006", "Person"


FAULTS = {
    "wrong patient": Fault(Role.REPORT, _wrong_patient, frozenset({"dcentvfy", "own"})),
    "missing evidence": Fault(Role.REPORT, _no_evidence, frozenset({"dciodvfy"})),
    "evidence that is not there": Fault(Role.REPORT, _evidence_of_nothing, frozenset({"dcentvfy"})),
    "segment that is not there": Fault(Role.REPORT, _another_segment, frozenset({"own"})),
    "wrong frame of reference": Fault(Role.SEGMENTATION, _other_frame_of_reference, frozenset({"own"})),
    "title outside CID 7021": Fault(Role.REPORT, _title_outside_its_group, frozenset({"own"})),
    "missing conversion type": Fault(Role.SUMMARY, _no_conversion_type, frozenset({"dciodvfy"})),
    "inconsistent series attribute": Fault(Role.KEY_SLICE, _time_of_its_own, frozenset({"dcentvfy"})),
    "bad segment number": Fault(Role.SEGMENTATION, _bad_segment_number, frozenset({"dciodvfy", "own"})),
    "missing code": Fault(Role.REPORT, _no_code_value, frozenset({"dciodvfy", "dsrdump"})),
    "region off its image": Fault(Role.REPORT, _region_off_the_image, frozenset({"own"})),
    "finding without a region": Fault(Role.REPORT, _no_region, frozenset({"own"})),
    "person as observer": Fault(Role.REPORT, _a_person_observed, frozenset({"own"})),
}


@pytest.fixture(scope="module")
def good(write: Write) -> Written:
    case: Case = two_findings(matrix=128)
    return write("seeded", case.asked, case.files)


def test_nothing_is_found_where_no_fault_was_sown(good: Written) -> None:
    changed = good.results[-1]
    assert _judges(good, good.results[0], good.results[0]) | _judges(good, changed, changed) == frozenset()


@pytest.mark.parametrize("name", FAULTS)
def test_a_sown_fault_is_caught(good: Written, name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    path = next(path for path in good.results if path.name.startswith(fault.role))
    ds = dcmread(path)
    fault.sow(ds)
    broken = tmp_path / path.name
    ds.save_as(broken)
    assert _judges(good, path, broken) == fault.caught_by


def _judges(good: Written, replaced: Path, by: Path) -> frozenset[str]:
    """Those who object to the study with one of its results replaced."""
    results = [by if path == replaced else path for path in good.results]
    verdicts = {
        "dciodvfy": dciodvfy(by).clean,
        "dcentvfy": dcentvfy([*good.sources, *results]).clean,
        "dsrdump": not by.name.startswith(Role.REPORT) or dsrdump(by).clean,
        "own": not complaints(*([dcmread(path, stop_before_pixels=True) for path in paths] for paths in (good.sources, results))),
    }
    return frozenset(name for name, is_clean in verdicts.items() if not is_clean)
