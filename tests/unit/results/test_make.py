"""What is made of an answer, and that it is always the same."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from result_cases import JAPANESE, STARTED, UTF8, request, study

from hospital.ct_series import Acquisition
from vigil.domain.answer import AnswerKind
from vigil.domain.identity import object_uid
from vigil.domain.manifest import PermittedOutput
from vigil.results.errors import ReferenceUnusable, RequestContradicts
from vigil.results.heat_map import HeatMap
from vigil.results.make import make_results
from vigil.results.objects import Role
from vigil.results.options import Captures, ResultOptions, SegmentationKind
from vigil.results.request import ResultRequest

ROOT = Path(__file__).parents[3]
PRINT_DIGESTS = """
import hashlib
from dataclasses import replace
from result_cases import request
from vigil.domain.answer import AnswerKind
from vigil.results.make import make_results
from vigil.results.options import CaptureSyntax, ResultOptions
for kind, syntax in zip(AnswerKind, [*CaptureSyntax, *CaptureSyntax]):
    options = ResultOptions(multiframe=True, full_frame=True, capture_syntax=syntax)
    for made in make_results(replace(request(kind), options=options)):
        print(hashlib.sha256(made.dicom).hexdigest())
"""


def read(asked: ResultRequest) -> list[Dataset]:
    return [dcmread(BytesIO(made.dicom)) for made in make_results(asked)]


def test_two_processes_make_the_same_bytes() -> None:
    def digests(seed: str) -> str:
        paths = (ROOT / "plugin", ROOT / "scripts", Path(__file__).parent)
        environment = {"PYTHONPATH": ":".join(map(str, paths)), "PYTHONHASHSEED": seed, "TZ": f"UTC{seed}"}
        done = subprocess.run([sys.executable, "-c", PRINT_DIGESTS], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert digests("1") == digests("7") != ""


def test_each_kind_has_a_summary_first_and_a_report_last(each_kind: dict[AnswerKind, ResultRequest]) -> None:
    for kind, asked in each_kind.items():
        roles = [made.role for made in make_results(asked)]
        assert roles[0] is Role.SUMMARY
        assert roles[-1] is Role.REPORT
        assert (Role.KEY_SLICE in roles) == (kind in (AnswerKind.POSITIVE, AnswerKind.MEASURED))
        assert roles.count(Role.SEGMENTATION) == (kind in (AnswerKind.POSITIVE, AnswerKind.MEASURED))
        assert roles.count(Role.PRESENTATION_STATE) == (kind in (AnswerKind.POSITIVE, AnswerKind.MEASURED))
        assert roles.count(Role.KEY_OBJECTS) == (kind is AnswerKind.POSITIVE)
        assert not {Role.MULTIFRAME, Role.FULL_SEGMENTATION} & set(roles)


def test_uids_come_from_the_analysis_the_role_and_the_index(each_kind: dict[AnswerKind, ResultRequest]) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    for made in make_results(asked):
        assert made.sop_instance_uid == object_uid(asked.analysis.analysis_id, made.role, made.index)
        ds = dcmread(BytesIO(made.dicom))
        assert (ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.SOPClassUID) == (
            made.sop_instance_uid, made.series_instance_uid, made.sop_class_uid,
        )  # fmt: skip


def test_another_analysis_shares_no_uid(each_kind: dict[AnswerKind, ResultRequest]) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    other = replace(asked, analysis=replace(asked.analysis, analysis_id="f" * 32))

    def uids(of: ResultRequest) -> set[str]:
        return {uid for made in make_results(of) for uid in (made.sop_instance_uid, made.series_instance_uid)}

    assert not uids(asked) & uids(other)


def test_pixels_say_nothing_of_who_the_patient_is() -> None:
    acquisition = Acquisition(seed="the same", spacing_mm=(20.0, 1.8, 1.8), started=STARTED)
    pictures = []
    for patient in (UTF8, JAPANESE):
        files, hu = study(patient=patient, slices=8, acquisition=acquisition)
        pictures.append([ds.PixelData for ds in read(request(files=files, hu=hu)) if "PixelData" in ds])
    assert pictures[0] == pictures[1]


def test_a_triage_only_clearance_lets_out_neither_value_nor_place(small_study: tuple[list[Dataset], object]) -> None:
    files, hu = small_study
    asked = request(files=files, hu=hu, outputs=frozenset({PermittedOutput.NOTIFICATION}))
    objects = read(asked)
    assert len(objects) == 2
    measured = asked.answer.measured
    assert measured is not None
    for ds in objects:
        assert f"{measured.value:.1f} mL" not in str(ds)
    assert "SCOORD" not in str(objects[-1])
    louder = replace(measured, value=measured.value * 3)
    finding = replace(asked.answer.findings[0], measurements=(louder,), key_slices=(2,))
    other = replace(asked, answer=replace(asked.answer, measured=louder, findings=(finding,), sentence="Elsewhere, 60 mL."))
    assert [ds.get("PixelData") for ds in read(other)] == [ds.get("PixelData") for ds in objects]


def test_without_contour_nothing_is_drawn_and_the_key_image_is_only_named(small_study: tuple[list[Dataset], object]) -> None:
    files, hu = small_study
    outputs = frozenset(PermittedOutput) - {PermittedOutput.CONTOUR}
    roles = [made.role for made in make_results(request(files=files, hu=hu, outputs=outputs))]
    assert roles == [Role.SUMMARY, Role.KEY_OBJECTS, Role.REPORT]


def test_an_empty_mask_makes_no_key_slice_and_no_segmentation(small_study: tuple[list[Dataset], object]) -> None:
    files, hu = small_study
    asked = request(files=files, hu=hu)
    empty = replace(asked, masks={"hyperdense": np.zeros_like(asked.masks["hyperdense"])})
    assert [made.role for made in make_results(empty)] == [Role.SUMMARY, Role.REPORT]


def test_a_reference_of_another_study_is_refused(small_study: tuple[list[Dataset], object]) -> None:
    files, hu = small_study
    other, _ = study(slices=8, acquisition=Acquisition(seed="another study", spacing_mm=(20.0, 1.8, 1.8)))
    with pytest.raises(ReferenceUnusable, match="another study"):
        make_results(replace(request(files=files, hu=hu), reference=other[0]))


def test_voxels_that_do_not_fit_the_slices_are_refused(small_study: tuple[list[Dataset], object]) -> None:
    files, hu = small_study
    asked = request(files=files, hu=hu)
    assert asked.voxels is not None
    with pytest.raises(RequestContradicts, match="source slices"):
        make_results(replace(asked, voxels=asked.voxels[:-1]))
    with pytest.raises(RequestContradicts, match="'hyperdense'"):
        make_results(replace(asked, masks={"hyperdense": asked.masks["hyperdense"][:, :-1]}))


EVERYTHING = ResultOptions(captures=Captures.ALL, multiframe=True, full_frame=True, text_report=True)
NOTHING = ResultOptions(
    captures=Captures.NONE, segmentation=SegmentationKind.NONE, key_objects=False, presentation_state=False
)


def test_options_choose_what_is_made_and_summary_and_report_are_always_there(small_study: tuple[list[Dataset], object]) -> None:
    files, hu = small_study
    asked = request(files=files, hu=hu)
    assert {made.role for made in make_results(replace(asked, options=EVERYTHING))} == set(Role)
    least = make_results(replace(asked, options=NOTHING))
    assert [made.role for made in least] == [Role.SUMMARY, Role.REPORT]
    assert "1.2.840.10008.5.1.4.1.1.66" not in str(dcmread(BytesIO(least[-1].dicom)))


def test_no_option_widens_what_the_clearance_lets_out(small_study: tuple[list[Dataset], object]) -> None:
    files, hu = small_study
    asked = request(files=files, hu=hu, outputs=frozenset({PermittedOutput.NOTIFICATION}))
    assert {made.role for made in make_results(replace(asked, options=EVERYTHING))} == {
        Role.SUMMARY, Role.REPORT, Role.TEXT_REPORT}


def test_every_series_has_a_number_and_a_uid_of_its_own(small_study: tuple[list[Dataset], object]) -> None:
    files, hu = small_study
    objects = read(replace(request(files=files, hu=hu), options=EVERYTHING))
    series = {(ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription) for ds in objects}
    assert len(series) == len({uid for uid, _, _ in series}) == len({number for _, number, _ in series}) == len(Role)
    assert all(number >= 9000 and text.startswith("AI ") and len(text) <= 64 for _, number, text in series)
    for ds in objects:
        (equipment,) = ds.ContributingEquipmentSequence
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert "ab" * 32 in equipment.ContributionDescription
        assert list(equipment.SoftwareVersions) == ["0.1.0", "ONNX Runtime 1.26.0 CPU"]


def test_frames_and_a_heat_map_that_do_not_fit_are_refused(small_study: tuple[list[Dataset], object]) -> None:
    files, hu = small_study
    asked = request(files=files, hu=hu)
    with pytest.raises(RequestContradicts, match="3 frame numbers"):
        make_results(replace(asked, frames=(1, 2, 3)))
    with pytest.raises(RequestContradicts, match="heat map"):
        make_results(replace(asked, heat_map=HeatMap("Heat", "", np.zeros((1, 2, 2), np.float32), 0, 1)))
