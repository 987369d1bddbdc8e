"""Every object, over every kind of answer and the variations that hospitals bring, before validators that others wrote."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom import Dataset, dcmread
from result_cases import DIAMETER, MAIN, MASS, OEDEMA, STARTED, request, study
from result_files import Write, Written
from written_cases import write_all

from hospital.ct_series import Acquisition
from validators.dcmqi import segimage2itkimage, tid1500reader
from validators.dcmtk import dsrdump
from validators.dicom3tools import dcentvfy, dciodvfy
from validators.own_checks import complaints
from validators.pixelmed import UNCHECKED, validate_reports
from vigil.domain import codes
from vigil.domain.answer import AnswerKind
from vigil.results.objects import Role

DRAWN = {
    "positive", "measured", "two findings", "oblique latin-1 512", "japanese 256", "utf-8", "cleared", "multi-frame",
    "radiograph 2500", "radiograph inverted", "mammogram", "heat map", "ordered", "no body part", "superseding",
    "several findings", "boxes 512", "boxes on a radiograph",
}  # fmt: skip
DIFFERENT = {
    "positive", "negative", "measured", "not-analysed", "triage only", "two findings", "multi-frame", "radiograph 2500",
    "japanese 256", "superseding", "several findings", "several not drawn",
    "boxes 512", "boxes on a radiograph",
}  # fmt: skip
"""Reports that differ in what a template says: PixelMed takes seconds a report, and the others have the trees of these."""
READ = {"positive", "negative", "indeterminate", "measured", "oblique latin-1 512", "japanese 256", "multi-frame"}


@pytest.fixture(scope="module")
def cases(write: Write) -> dict[str, Written]:
    return write_all(write)


def test_the_cases_are_those_of_the_acceptance_list(cases: dict[str, Written]) -> None:
    assert set(cases) >= {kind.value for kind in AnswerKind} | DRAWN | {"triage only"}
    matrices = {int(case.asked.reference.get("Columns")) for case in cases.values()}
    assert min(matrices) <= 256
    assert max(matrices) >= 2500


def test_dciodvfy_finds_no_error_in_any_object(cases: dict[str, Written]) -> None:
    """Of the key slices three: they differ in their pixels and their place."""
    found = {}
    for name, case in cases.items():
        slices = [path for path in case.results if path.name.startswith(Role.KEY_SLICE)]
        for path in set(case.results) - set(slices) | {*slices[:1], *slices[-1:], *slices[len(slices) // 2 :][:1]}:
            if not (verdict := dciodvfy(path)).clean:
                found[f"{name} {path.name}"] = verdict.output
    assert not found


def test_dcentvfy_finds_no_error_over_sources_and_results(cases: dict[str, Written]) -> None:
    found = {
        name: verdict.errors
        for name, case in cases.items()
        if not (verdict := dcentvfy([*case.sources, *case.results])).clean
    }
    assert not found


def test_our_own_profile_has_no_complaint(cases: dict[str, Written]) -> None:
    for name, case in cases.items():
        assert complaints(_headers(case.sources), _headers(case.results)) == (), name


def test_dsrdump_reads_every_report(cases: dict[str, Written]) -> None:
    reports = [path for case in cases.values() for path in (case.report, case.text_report)]
    assert not {str(path): verdict.output for path in reports if not (verdict := dsrdump(path)).clean}


def test_pixelmed_finds_no_error_in_any_report_and_the_faults_in_broken_ones(cases: dict[str, Written]) -> None:
    checked = {
        name: cases[name].report if name in DRAWN else _titled_as_measurement_report(cases[name].report) for name in DIFFERENT
    }
    own_title = cases["negative"].report
    positive = cases["positive"].report
    broken = {"device UID": _without_device_uid(positive), "segment": _without_segment(positive)}
    verdicts = validate_reports([*checked.values(), own_title, *broken.values()])
    assert not {name: verdicts[path].output for name, path in checked.items() if not verdicts[path].clean}
    assert verdicts[own_title].errors == (UNCHECKED,)
    for name, path in broken.items():
        assert verdicts[path].errors, name
        assert UNCHECKED not in verdicts[path].errors, name


def test_an_independent_reader_reads_what_was_measured(cases: dict[str, Written]) -> None:
    for name in READ:
        case = cases[name]
        read = tid1500reader(case.report)
        (group,) = [item for item in read["Measurements"] if item.get("measurementItems")]
        value, measured = group["measurementItems"][0], case.asked.answer.measured
        assert measured is not None
        assert float(value["value"]) == pytest.approx(measured.value, abs=1e-3), name
        assert value["units"]["CodeValue"] == measured.unit.value
        assert value["quantity"]["CodeValue"] == measured.concept.value
        assert group["Finding"]["CodeValue"] == case.asked.manifest.finding.concept.value
        assert group["FindingSite"]["CodeValue"] == "12738006"
        assert group["measurementAlgorithmIdentification"]["AlgorithmVersion"] == "1.0.0"
        assert read["observerContext"]["DeviceObserverUID"] == case.asked.device.device_uid


def test_an_independent_reader_reads_both_of_two_findings_and_their_segments(cases: dict[str, Written]) -> None:
    case = cases["two findings"]
    told = {item["ReferencedSegment"]: float(item["measurementItems"][0]["value"])
            for item in tid1500reader(case.report)["Measurements"] if "ReferencedSegment" in item}  # fmt: skip
    asked = {number: finding.measurements[0].value for number, finding in enumerate(case.asked.answer.findings, start=1)}
    assert told == pytest.approx(asked, abs=1e-3)
    assert len(told) == 2


def test_an_independent_reader_reads_of_several_findings_the_one_that_is_drawn_or_all(cases: dict[str, Written]) -> None:
    for name, expected in (("several findings", {MASS: 72.0}), ("several not drawn", {MAIN: 12.0, MASS: 72.0, OEDEMA: 44.0})):
        read = {item["Finding"]["CodeValue"]: float(item["measurementItems"][0]["value"])
                for item in tid1500reader(cases[name].report)["Measurements"] if item.get("measurementItems")}  # fmt: skip
        assert read == {concept.value: value for concept, value in expected.items()}, name


def test_an_independent_reader_reads_the_score_of_each_box(cases: dict[str, Written]) -> None:
    for name, expected in (("boxes 512", [91.3, 62.4, 58.8, 55.0]), ("boxes on a radiograph", [88.0, 61.5, 50.1])):
        told = [float(item["value"]) for group in tid1500reader(cases[name].report)["Measurements"]
                for item in group.get("measurementItems", ()) if item["quantity"]["CodeValue"] == "111012"]
        assert sorted(told, reverse=True) == expected, name


def test_an_independent_reader_reads_no_value_where_the_clearance_lets_none_out(cases: dict[str, Written]) -> None:
    group = tid1500reader(cases["triage only"].report)["Measurements"][0]
    assert not group.get("measurementItems")


def test_an_independent_reader_reads_the_very_voxels(cases: dict[str, Written]) -> None:
    """Count, place and orientation of every segment, also of oblique slices."""
    for name in ("positive", "two findings", "oblique latin-1 512", "measured", "multi-frame"):
        case = cases[name]
        images = segimage2itkimage(case.segmentation)
        masks = [case.asked.masks[finding.region or ""] for finding in case.asked.answer.findings]
        assert len(images) == len(masks), name
        for image, mask in zip(images, masks, strict=True):
            read = SimpleITK.GetArrayFromImage(image)
            assert int((read > 0).sum()) == int(mask.sum()), name
            slices, rows, columns = np.nonzero(mask)
            middle = (slices.mean(), rows.mean(), columns.mean())
            assert _centre_mm(image, read > 0) == pytest.approx(_in_patient(case, *middle), abs=0.01), name


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


def test_a_radiograph_is_reported_on_its_image_in_its_unit(cases: dict[str, Written]) -> None:
    for name in ("radiograph 2500", "radiograph inverted", "mammogram"):
        (group,) = [item for item in tid1500reader(cases[name].report)["Measurements"] if item.get("measurementItems")]
        assert group["measurementItems"][0]["quantity"]["CodeValue"] == DIAMETER.value
        assert group["measurementItems"][0]["units"]["CodeValue"] == codes.MILLIMETRE.value


def _headers(paths: tuple[Path, ...]) -> list[Dataset]:
    return [dcmread(path, stop_before_pixels=True) for path in paths]


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
    """TID 1004 demands it, and only a checker of templates sees that it is missing."""
    ds = dcmread(path)
    named = [item.ConceptNameCodeSequence[0].CodeValue for item in ds.ContentSequence]
    del ds.ContentSequence[named.index("121012")]
    return _only_against_its_template(ds, path.with_name("no-device.dcm"))


def _without_segment(path: Path) -> Path:
    """TID 1411 demands a Referenced Segment where there is neither region nor surface."""
    ds = dcmread(path)
    (measurements,) = [item for item in ds.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"]
    removed = Counter[str]()
    for group in measurements.ContentSequence:
        kept = [item for item in group.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue != "121191"]
        removed["121191"] += len(group.ContentSequence) - len(kept)
        group.ContentSequence = kept
    assert removed["121191"] == 1
    return _only_against_its_template(ds, path.with_name("no-segment.dcm"))


def _only_against_its_template(ds: Dataset, path: Path) -> Path:
    ds.save_as(path)
    assert dciodvfy(path).clean
    assert dsrdump(path).clean
    return path


def _centre_mm(image: SimpleITK.Image, inside: np.ndarray) -> tuple[float, ...]:
    slices, rows, columns = (float(indices.mean()) for indices in np.nonzero(inside))
    return tuple(image.TransformContinuousIndexToPhysicalPoint((columns, rows, slices)))


def _in_patient(case: Written, index: float, row: float, column: float) -> tuple[float, ...]:
    """A point of the sources in patient space (PS3.3 C.7.6.2.1.1); slices are evenly spaced."""
    asked = case.asked
    first, second = asked.plane(0), asked.plane(1)
    position, next_position = (np.array(plane.ImagePositionPatient, float) for plane in (first, second))
    cosines = np.array(first.ImageOrientationPatient, float)
    down, across = (float(value) for value in first.PixelSpacing)
    return tuple(position + index * (next_position - position) + column * across * cosines[:3] + row * down * cosines[3:])
