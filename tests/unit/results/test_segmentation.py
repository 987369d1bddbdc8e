"""The segmentation: whole, in its place, and the same in software that the project did not write."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import SegmentationStorage
from result_cases import JAPANESE, LATIN, UTF8, headers, request, study
from result_files import Write

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from validators.dcmqi import segimage2itkimage, tid1500reader
from validators.dicom3tools import dcentvfy, dciodvfy
from validators.pixelmed import validate_reports
from vigil.domain.answer import AnswerKind
from vigil.domain.manifest import PermittedOutput, RegulatoryStatus
from vigil.results.make import make_results
from vigil.results.objects import ResultObject, Role
from vigil.results.picture import colour_of
from vigil.results.request import ResultRequest
from vigil.results.segmentation import segmentation

Kinds = dict[AnswerKind, ResultRequest]
TURN = np.deg2rad(23.0)
PLANES = {
    "axial": (1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "oblique": (float(np.cos(TURN)), float(np.sin(TURN)), 0.0, 0.0, 0.0, -1.0),
    "upside down": (-1, 0, 0, 0, 1, 0),
}


def seg(asked: ResultRequest) -> Dataset:
    return dcmread(BytesIO(made(asked).dicom))


def made(asked: ResultRequest) -> ResultObject:
    found = segmentation(asked)
    assert found is not None
    return found


def several(asked: ResultRequest) -> ResultRequest:
    """Three findings, of which the second has an empty mask, in slices that leave a gap."""
    (finding,) = asked.answer.findings
    shape = next(iter(asked.masks.values())).shape
    masks = {name: np.zeros(shape, bool) for name in ("one", "none", "three")}
    masks["one"][3:5, 10:21, 30:37] = True
    masks["three"][4, 50:53, 60:61] = True
    masks["three"][9, 50, 60] = True
    findings = tuple(replace(finding, region=name, key_slices=()) for name in masks)
    return replace(asked, masks=masks, answer=replace(asked.answer, findings=findings))


def frames(ds: Dataset, number: int) -> dict[str, NDArray[np.bool_]]:
    """The frames of a segment by the source image that each was derived from."""
    read = {}
    for plane, groups in zip(ds.pixel_array.reshape(-1, ds.Rows, ds.Columns), ds.PerFrameFunctionalGroupsSequence, strict=True):
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            (source,) = groups.DerivationImageSequence[0].SourceImageSequence
            read[str(source.ReferencedSOPInstanceUID)] = plane.astype(bool)
    return read


def marked(plane: str) -> tuple[list[Dataset], NDArray[np.bool_], ResultRequest]:
    """A series of that orientation and a mask in it that no flip, turn or exchange of axes leaves alone."""
    acquisition = Acquisition(
        seed=f"marker {plane}", spacing_mm=(2.5, 0.8, 0.6), orientation=PLANES[plane], origin_mm=(-31.5, 17.25, 402.0),
        started=dt.datetime(2025, 3, 14, tzinfo=dt.UTC),
    )
    hu = np.zeros((11, 40, 56), np.float32)
    mask = np.zeros(hu.shape, bool)
    mask[2:5, 4:10, 7:30] = True
    mask[4:8, 4:7, 7:9] = True
    mask[9, 33, 50] = True  # the marker, behind an empty slice
    files = [dcmread(BytesIO(dicom_bytes(ds))) for ds in ct_series(hu, acquisition)]
    return files, mask, replace(request(files=files, hu=hu), masks={"hyperdense": mask})


def test_the_object_is_binary_automatic_and_in_the_sources_frame_of_reference(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    ds = seg(asked)
    assert (ds.SOPClassUID, ds.Modality, ds.SegmentationType) == (SegmentationStorage, "SEG", "BINARY")
    assert asked.sources[0].FrameOfReferenceUID == ds.FrameOfReferenceUID
    assert ds.SeriesDescription == "AI Hyperdense volume on CT head 1.0.0 segmentation"
    assert ds.SeriesNumber >= 9000
    others = {dcmread(BytesIO(item.dicom)).SeriesNumber for item in make_results(asked) if item.role is not Role.SEGMENTATION}
    assert ds.SeriesNumber not in others
    (segment,) = ds.SegmentSequence
    assert (segment.SegmentNumber, segment.SegmentLabel) == (1, "Hyperdense intracranial region")
    assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == ("AUTOMATIC", asked.manifest.name)
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "VG-HDR"
    assert segment.AnatomicRegionSequence[0].CodeValue == "12738006"
    assert "NOT FOR PRIMARY DIAGNOSIS" in segment.SegmentDescription


def test_a_segment_is_tracked_identified_and_coloured_as_report_and_capture(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    (segment,) = seg(asked).SegmentSequence
    report = dcmread(BytesIO(make_results(asked)[-1].dicom))
    (measurements,) = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"]
    for group in measurements.ContentSequence:
        said = {item.ConceptNameCodeSequence[0].CodeValue: item for item in group.ContentSequence}
        assert segment.TrackingUID == said["112040"].UID
        assert segment.TrackingID == said["112039"].TextValue
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmName == said["111001"].TextValue
        assert algorithm.AlgorithmVersion == said["111003"].TextValue == "1.0.0"
        assert algorithm.AlgorithmSource == said["122405"].TextValue
    assert "weights SHA-256" in algorithm.AlgorithmParameters
    colour = highdicom.color.CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb()
    assert colour == pytest.approx(colour_of(1), abs=1)
    captures = [dcmread(BytesIO(item.dicom)) for item in make_results(asked) if item.role is Role.KEY_SLICE]
    assert any((capture.pixel_array == colour_of(1)).all(axis=2).any() for capture in captures)


def test_only_slices_with_the_finding_are_frames_and_each_names_its_source(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    mask = asked.masks["hyperdense"]
    shown = np.flatnonzero(mask.any(axis=(1, 2))).tolist()
    ds = seg(asked)
    read = frames(ds, 1)
    assert list(read) == [asked.sources[index].SOPInstanceUID for index in shown]
    for index in shown:
        assert (read[str(asked.sources[index].SOPInstanceUID)] == mask[index]).all()
    (series,) = ds.ReferencedSeriesSequence
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence] == list(read)


def test_each_finding_with_a_mask_is_a_segment_and_the_report_names_the_right_one(each_kind: Kinds, write: Write) -> None:
    asked = several(each_kind[AnswerKind.POSITIVE])
    ds = seg(asked)
    assert [item.SegmentNumber for item in ds.SegmentSequence] == [1, 2]
    assert len({item.TrackingUID for item in ds.SegmentSequence}) == 2
    assert len({tuple(item.RecommendedDisplayCIELabValue) for item in ds.SegmentSequence}) == 2
    assert len({item.SegmentLabel for item in ds.SegmentSequence}) == 2
    for number, name in ((1, "one"), (2, "three")):
        whole = np.stack([frames(ds, number).get(str(source.SOPInstanceUID), np.zeros((ds.Rows, ds.Columns), bool))
                          for source in asked.sources])
        assert (whole == asked.masks[name]).all()
    case = write("several", asked, [])
    read = tid1500reader(case.report)["Measurements"]
    tracked = {item["ReferencedSegment"]: item["TrackingUniqueIdentifier"] for item in read if "ReferencedSegment" in item}
    assert tracked == {item.SegmentNumber: item.TrackingUID for item in ds.SegmentSequence}
    assert len({item["TrackingUniqueIdentifier"] for item in read}) == 3
    assert dciodvfy(case.segmentation).clean


def test_frames_that_fill_no_whole_byte_are_read_back(each_kind: Kinds) -> None:
    """Of 7 x 5 pixels a frame ends within a byte and the next one begins there."""
    asked = each_kind[AnswerKind.POSITIVE]
    generator = np.random.default_rng(7)
    sources = headers(list(asked.sources[:11]))
    for source in sources:
        source.Rows, source.Columns = 7, 5
    mask = generator.random((11, 7, 5)) < 0.4
    mask[5] = False
    small = replace(asked, sources=sources, voxels=np.zeros(mask.shape, np.float32), masks={"hyperdense": mask})
    read = frames(seg(small), 1)
    assert len(read) == 10
    for source, plane in zip(sources, mask, strict=True):
        assert (read.get(str(source.SOPInstanceUID), np.zeros((7, 5), bool)) == plane).all()


def test_highdicom_reads_the_same_volume(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    mask = asked.masks["hyperdense"]
    read = highdicom.seg.segread(BytesIO(made(asked).dicom)).get_pixels_by_source_instance(
        [str(source.SOPInstanceUID) for source in asked.sources], segment_numbers=[1], assert_missing_frames_are_empty=True
    )
    assert (read[..., 0].astype(bool) == mask).all()


@pytest.mark.parametrize("plane", PLANES)
def test_an_independent_reader_finds_each_voxel_where_it_lies_in_the_patient(plane: str, write: Write) -> None:
    files, mask, asked = marked(plane)
    case = write(f"marked {plane}", asked, files)
    (image,) = segimage2itkimage(case.segmentation)
    read = SimpleITK.GetArrayFromImage(image)
    assert int((read > 0).sum()) == int(mask.sum())
    # the affine, from the series as the scanner wrote it
    row, column = np.array(PLANES[plane][:3]), np.array(PLANES[plane][3:])
    directions = np.array([row, column, np.cross(row, column)]).T
    assert np.array(image.GetDirection()).reshape(3, 3) == pytest.approx(directions, abs=1e-5)
    assert image.GetSpacing() == pytest.approx((0.6, 0.8, 2.5), abs=1e-5)
    first = int(np.flatnonzero(mask.any(axis=(1, 2)))[0])
    assert image.GetOrigin() == pytest.approx([float(value) for value in files[first].ImagePositionPatient], abs=1e-4)
    # and every voxel, the marker among them, by its coordinates alone
    expected = np.array([
        np.array(files[z].ImagePositionPatient, float) + x * 0.6 * row + y * 0.8 * column for z, y, x in np.argwhere(mask)
    ])  # fmt: skip
    found = np.array([
        image.TransformIndexToPhysicalPoint((int(x), int(y), int(z))) for z, y, x in np.argwhere(read > 0)
    ])  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-3)
    assert dciodvfy(case.segmentation).clean
    assert dcentvfy([*case.sources, *case.results]).clean


def test_a_flipped_frame_is_noticed(write: Write) -> None:
    """That the test above can fail: the same bits from bottom to top lie elsewhere."""
    files, mask, asked = marked("oblique")
    case = write("flipped", asked, files)
    flipped = write("flipped too", replace(asked, masks={"hyperdense": mask[:, ::-1]}), files)
    one, other = (segimage2itkimage(item.segmentation)[0] for item in (case, flipped))
    assert SimpleITK.GetArrayFromImage(one).sum() == SimpleITK.GetArrayFromImage(other).sum()
    assert not (SimpleITK.GetArrayFromImage(one) == SimpleITK.GetArrayFromImage(other)).all()


def test_an_empty_mask_makes_no_segmentation(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    assert segmentation(replace(asked, masks={"hyperdense": np.zeros_like(asked.masks["hyperdense"])})) is None
    assert segmentation(replace(asked, masks={})) is None


def test_a_clearance_without_contour_makes_no_segmentation(small_study: tuple[list[Dataset], NDArray[np.float32]]) -> None:
    files, hu = small_study
    outputs = frozenset(PermittedOutput) - {PermittedOutput.CONTOUR}
    asked = request(files=files, hu=hu, outputs=outputs)
    assert segmentation(asked) is None
    assert Role.SEGMENTATION not in [item.role for item in make_results(asked)]
    assert "121191" not in str(dcmread(BytesIO(make_results(asked)[-1].dicom)))


@pytest.mark.parametrize("kind", [kind for kind in AnswerKind if kind.analysed and kind is not AnswerKind.POSITIVE])
def test_it_hangs_on_the_finding_and_not_on_the_kind_of_answer(each_kind: Kinds, kind: AnswerKind) -> None:
    positive, asked = each_kind[AnswerKind.POSITIVE], each_kind[kind]
    without = replace(asked, answer=replace(asked.answer, findings=()))
    assert Role.SEGMENTATION not in [item.role for item in make_results(without)]
    with_finding = replace(asked, answer=replace(asked.answer, findings=positive.answer.findings), masks=positive.masks)
    assert Role.SEGMENTATION in [item.role for item in make_results(with_finding)]


def test_images_without_a_frame_of_reference_make_no_segmentation(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    sources = headers(list(asked.sources))
    for source in sources:
        del source.FrameOfReferenceUID
    assert segmentation(replace(asked, sources=sources)) is None


def test_patient_and_study_are_copied_to_the_byte() -> None:
    for patient in (JAPANESE, LATIN, UTF8):
        files, hu = study(patient=patient, slices=8)
        asked = request(files=files, hu=hu)
        result, source = seg(asked), headers(files[:1])[0]
        for keyword in ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "StudyID", "AccessionNumber"):
            assert result.get_item(keyword).value == source.get_item(keyword).value, keyword
        assert result.get_item("SpecificCharacterSet").value == source.get_item("SpecificCharacterSet").value


def test_no_date_and_no_uid_comes_from_elsewhere_than_the_request(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    ds = seg(asked)
    moments = {str(element.value) for element in ds.iterall() if element.VR in ("DA", "TM", "DT") and element.value}
    assert moments == {"20250314", "093000", "094107", "20250314094107+0000", "19700101"}
    own = {str(element.value) for element in ds.iterall() if element.VR == "UI" and str(element.value).startswith("2.25.")}
    other = replace(asked, analysis=replace(asked.analysis, analysis_id="f" * 32))
    shared = own & {str(element.value) for element in seg(other).iterall() if element.VR == "UI"}
    assert shared == {asked.device.device_uid}
    assert made(asked).dicom == made(replace(asked, voxels=np.zeros_like(asked.voxels))).dicom


def test_the_loss_of_a_source_is_inherited(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    assert seg(asked).LossyImageCompression == "00"
    sources = headers(list(asked.sources))
    for source in sources:
        source.LossyImageCompression, source.LossyImageCompressionRatio = "01", "8.5"
        source.LossyImageCompressionMethod = "ISO_15444_1"
    ds = seg(replace(asked, sources=sources))
    assert (ds.LossyImageCompression, float(ds.LossyImageCompressionRatio)) == ("01", 8.5)


def test_research_is_said_and_a_cleared_model_does_not_say_it(small_study: tuple[list[Dataset], NDArray[np.float32]]) -> None:
    files, hu = small_study
    assert "RESEARCH" in seg(request(files=files, hu=hu)).ContentDescription
    cleared = seg(request(files=files, hu=hu, status=RegulatoryStatus.CLEARED))
    assert "RESEARCH" not in str(cleared)
    assert cleared.ContentDescription == "AI RESULT - NOT FOR PRIMARY DIAGNOSIS"


def test_many_frames_are_all_kept_and_said(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    sources = [headers([asked.sources[0]])[0] for _ in range(401)]
    for index, source in enumerate(sources):
        source.Rows = source.Columns = 8
        source.SOPInstanceUID = f"1.2.3.{index + 1}"
        source.ImagePositionPatient = [0, 0, index]
    masks = {"hyperdense": np.ones((401, 8, 8), bool)}
    ds = seg(replace(asked, sources=sources, voxels=np.zeros((401, 8, 8), np.float32), masks=masks))
    assert ds.NumberOfFrames == 401
    assert "401 frames" in ds.SegmentSequence[0].SegmentDescription
    assert "frames" not in seg(asked).SegmentSequence[0].SegmentDescription


@pytest.mark.parametrize("fault", ["segment number of a frame", "segment number of the reference", "no segment", "patient"])
def test_a_seeded_fault_is_caught(fault: str, each_kind: Kinds, small_study: tuple[list[Dataset], object], write: Write,
                                  tmp_path: Path) -> None:  # fmt: skip
    case = write(f"fault {fault}", each_kind[AnswerKind.POSITIVE], small_study[0])
    outlined, report = dcmread(case.segmentation), dcmread(case.report)
    broken = tmp_path / "broken.dcm"
    volumetric = next(
        item
        for container in report.ContentSequence if container.ConceptNameCodeSequence[0].CodeValue == "126010"
        for item in container.ContentSequence if item.ContentTemplateSequence[0].TemplateIdentifier == "1411"
    )  # fmt: skip
    names = [item.ConceptNameCodeSequence[0].CodeValue for item in volumetric.ContentSequence]
    reference = volumetric.ContentSequence[names.index("121191")]
    if fault == "segment number of a frame":
        for groups in outlined.PerFrameFunctionalGroupsSequence:
            groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7
        outlined.save_as(broken)
        assert dciodvfy(broken).errors
    elif fault == "segment number of the reference":
        reference.ReferencedSOPSequence[0].ReferencedSegmentNumber = 7
        report.save_as(broken)
        assert segment_numbers(broken) - {item.SegmentNumber for item in outlined.SegmentSequence}
    elif fault == "no segment":
        volumetric.ContentSequence.remove(reference)
        report.save_as(broken)
        assert dciodvfy(broken).clean, "or PixelMed is not needed for it"
        verdicts = validate_reports([case.report, broken])
        assert verdicts[case.report].errors == ()
        assert verdicts[broken].errors
    else:
        outlined.PatientID = "SOMEBODY-ELSE"
        outlined.save_as(broken)
        intact = [path for path in case.results if path != case.segmentation]
        assert dcentvfy([*case.sources, *intact, broken]).errors


def segment_numbers(report: Path) -> set[int]:
    return {item["ReferencedSegment"] for item in tid1500reader(report)["Measurements"] if "ReferencedSegment" in item}


def test_the_report_refers_to_a_segment_that_exists(each_kind: Kinds, small_study: tuple[list[Dataset], object],
                                                    write: Write) -> None:  # fmt: skip
    case = write("refers", each_kind[AnswerKind.POSITIVE], small_study[0])
    ds = dcmread(case.segmentation)
    referring = [item for item in tid1500reader(case.report)["Measurements"] if "ReferencedSegment" in item]
    assert [item["segmentationSOPInstanceUID"] for item in referring] == [ds.SOPInstanceUID]
    assert segment_numbers(case.report) == {item.SegmentNumber for item in ds.SegmentSequence}
