"""The report as its readers need it: a viewer, an archive, a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage
from result_cases import CASES, TRIAGE_ONLY, headers, request, study

from vigil.domain import codes
from vigil.domain.answer import AnswerKind, Measurement
from vigil.domain.concepts import Code
from vigil.domain.manifest import PermittedOutput
from vigil.domain.manifest.ensemble import Ensemble
from vigil.results.attribution import algorithm_parameters
from vigil.results.errors import RequestContradicts
from vigil.results.make import make_results
from vigil.results.objects import Role
from vigil.results.request import PredecessorReport, ResultRequest
from vigil.results.structured_report import structured_report

Kinds = dict[AnswerKind, ResultRequest]


def report(asked: ResultRequest) -> Dataset:
    return dcmread(BytesIO(structured_report(asked).dicom))


def items(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence") or []:
        yield item
        yield from items(item)


def name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue) if "ConceptNameCodeSequence" in item else ""


def template(group: Dataset) -> str:
    return str(group.ContentTemplateSequence[0].TemplateIdentifier)


def named(ds: Dataset, code: str) -> list[Dataset]:
    return [item for item in items(ds) if name(item) == code]


def texts(ds: Dataset) -> str:
    return "\n".join(str(item.TextValue) for item in items(ds) if item.ValueType == "TEXT")


def test_every_report_is_complete_unverified_and_preliminary(each_kind: Kinds) -> None:
    for asked in each_kind.values():
        ds = report(asked)
        assert ds.SOPClassUID == Comprehensive3DSRStorage
        assert ds.ContentTemplateSequence[0].TemplateIdentifier == "1500"
        assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
        assert "VerifyingObserverSequence" not in ds
        assert [item.ConceptCodeSequence[0].CodeValue for item in named(ds, "121005")] == ["121007"]  # a device, no person
        assert asked.device.device_uid == named(ds, "121012")[0].UID
        assert named(ds, "121058")[0].ConceptCodeSequence[0].CodeValue == "25045-6"
        assert ds.SeriesDescription.startswith("AI ")
        assert ds.SeriesNumber >= 9000


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (AnswerKind.POSITIVE, codes.PRESENT), (AnswerKind.NEGATIVE, codes.ABSENT),
        (AnswerKind.INDETERMINATE, codes.INDETERMINATE), (AnswerKind.NOT_ANALYSED, codes.NOT_ANALYSED),
        (AnswerKind.FAILED, codes.FAILED), (AnswerKind.MEASURED, codes.MEASURED),
    ],
)  # fmt: skip
def test_six_kinds_of_answer_are_six_codes(each_kind: Kinds, kind: AnswerKind, code: Code) -> None:
    (container,) = named(report(each_kind[kind]), "C0034375")
    coded = [item for item in container.ContentSequence if item.ValueType == "CODE"]
    assert [item.ConceptCodeSequence[0].CodeValue for item in coded] == [code.value]


def test_only_a_report_with_a_drawn_region_bears_the_title_that_viewers_draw(each_kind: Kinds) -> None:
    for kind, asked in each_kind.items():
        ds = report(asked)
        drawn = [item for item in items(ds) if item.ValueType == "SCOORD"]
        assert bool(drawn) == (kind in (AnswerKind.POSITIVE, AnswerKind.MEASURED))
        assert (ds.ConceptNameCodeSequence[0].CodeValue == "126000") == bool(drawn)


def test_a_finding_whose_mask_is_empty_is_told_in_text(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    ds = report(replace(asked, masks={"hyperdense": np.zeros_like(asked.masks["hyperdense"])}))
    assert ds.ConceptNameCodeSequence[0].CodeValue == "VG-RESULT"


def test_what_a_viewer_shows_as_text_has_a_name(each_kind: Kinds) -> None:
    """OHIF 3.12 shows nothing at all of a text that has one item without."""
    for asked in each_kind.values():
        ds = report(asked)
        if ds.ConceptNameCodeSequence[0].CodeValue != "126000":
            assert all(name(item) for item in items(ds))


def test_no_report_is_running_text(each_kind: Kinds) -> None:
    """Of running text a viewer shows the values without their names: "Present Absent 4 mL"."""
    for asked in each_kind.values():
        ds = report(asked)
        containers = [ds, *(item for item in items(ds) if item.ValueType == "CONTAINER")]
        assert {container.ContinuityOfContent for container in containers} == {"SEPARATE"}


def test_the_conclusion_is_one_sentence_under_its_own_name(each_kind: Kinds) -> None:
    for asked in each_kind.values():
        (conclusion,) = named(report(asked), "121077")
        assert asked.answer.sentence in conclusion.TextValue


def test_the_region_is_closed_inside_the_image_and_on_the_key_slice(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    (group,) = [item for item in named(report(asked), "125007") if template(item) == "1410"]
    (region,) = [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
    points = np.array(region.GraphicData).reshape(-1, 2)
    source = asked.sources[asked.answer.findings[0].key_slices[0]]
    assert region.GraphicType == "POLYLINE"
    assert (points[0] == points[-1]).all()
    assert points.min() >= 0
    assert (points.max(axis=0) <= (source.Columns, source.Rows)).all()
    assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    mask = asked.masks["hyperdense"][asked.answer.findings[0].key_slices[0]]
    rows, columns = np.nonzero(mask)
    assert points[:, 0].min() == pytest.approx(columns.min(), abs=1)
    assert points[:, 1].max() == pytest.approx(rows.max() + 1, abs=1)


def test_every_group_is_tracked_and_names_its_algorithm_and_the_rule(each_kind: Kinds) -> None:
    for kind in (AnswerKind.POSITIVE, AnswerKind.NEGATIVE, AnswerKind.INDETERMINATE):
        groups = named(report(each_kind[kind]), "125007")
        for group in groups:
            concepts = {name(item) for item in group.ContentSequence}
            assert {"112039", "112040", "276214006", "121071", "363698007", "111001", "111003", "111000"} <= concepts
            rule = "\n".join(item.TextValue for item in group.ContentSequence if name(item) == "111002")
            assert "operating point: default" in rule
            assert "5 mL, positive at or above" in rule
        (number,) = [item for group in groups for item in group.ContentSequence if item.ValueType == "NUM"]
        assert "111001" in [name(item) for item in number.ContentSequence]


def test_an_ensemble_is_named_with_the_rule(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    several = asked.manifest.model_copy(update={"ensemble": Ensemble(files=("second.onnx", "third.onnx"), flips=("W", "HW"))})
    assert "mean of 3 networks, each also flipped along W, HW" in algorithm_parameters(replace(asked, manifest=several))
    assert not any("mean of" in parameter for parameter in algorithm_parameters(asked))


def test_the_segment_of_a_finding_and_its_outline_share_their_tracking(each_kind: Kinds) -> None:
    """OHIF 3.12 joins groups by it, and stops at a segment's group that no drawn one joins."""
    asked = each_kind[AnswerKind.POSITIVE]
    groups = {template(item): item for item in named(report(asked), "125007")}
    assert set(groups) == {"1410", "1411"}
    tracked = [[(item.get("UID"), item.get("TextValue")) for item in group.ContentSequence
                if name(item) in ("112039", "112040")] for group in groups.values()]
    assert tracked[0] == tracked[1]
    (segment,) = [item for item in groups["1411"].ContentSequence if name(item) == "121191"]
    (referred,) = segment.ReferencedSOPSequence
    (made,) = [item for item in make_results(asked) if item.role is Role.SEGMENTATION]
    assert (referred.ReferencedSOPInstanceUID, referred.ReferencedSegmentNumber) == (made.sop_instance_uid, 1)
    (series,) = [item for item in groups["1411"].ContentSequence if name(item) == "121232"]
    assert asked.sources[0].SeriesInstanceUID == series.UID


def test_what_was_measured_is_told_once(each_kind: Kinds) -> None:
    ds = report(each_kind[AnswerKind.POSITIVE])
    assert [template(group) for group in named(ds, "125007") for item in group.ContentSequence
            if item.ValueType == "NUM"] == ["1411"]


def test_an_outline_without_a_segment_keeps_the_measurement(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    for source in (sources := headers(list(asked.sources))):
        del source.FrameOfReferenceUID
    (group,) = named(report(replace(asked, sources=sources)), "125007")
    assert template(group) == "1410"
    assert "NUM" in [item.ValueType for item in group.ContentSequence]


def test_a_segment_without_an_outline_is_told_in_text(each_kind: Kinds) -> None:
    """Of an answer that is no positive nothing is drawn into images, but its segment is there to be switched on."""
    asked, other = each_kind[AnswerKind.POSITIVE], each_kind[AnswerKind.INDETERMINATE]
    ds = report(replace(other, answer=replace(other.answer, findings=asked.answer.findings)))
    assert [template(group) for group in named(ds, "125007")] == ["1411"]
    assert ds.ConceptNameCodeSequence[0].CodeValue == "VG-RESULT"
    assert all(name(item) for item in items(ds))


def test_the_text_stands_alone(each_kind: Kinds) -> None:
    negative = texts(report(each_kind[AnswerKind.NEGATIVE]))
    assert "NEGATIVE. Hyperdense intracranial volume of 0.9 mL, below the threshold of 5.0 mL" in negative
    assert "does not exclude" in negative
    assert "NOT FOR PRIMARY DIAGNOSIS" in negative
    assert "RESEARCH: not cleared for clinical use" in negative
    refused = texts(report(each_kind[AnswerKind.NOT_ANALYSED]))
    assert "A slice is missing" in refused
    assert "No answer. Read as if no AI had been run. This is NOT a negative result." in refused
    assert "slice-missing" in refused


def test_a_refused_study_has_no_measurement_and_refers_to_the_image_that_it_knows(each_kind: Kinds) -> None:
    for kind in (AnswerKind.NOT_ANALYSED, AnswerKind.FAILED):
        ds = report(each_kind[kind])
        assert not [item for item in items(ds) if item.ValueType == "NUM"]
        (series,) = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        referred = [item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence]
        assert referred == [each_kind[kind].reference.SOPInstanceUID]


def test_the_evidence_lists_every_analysed_image_and_the_library_few(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    ds = report(asked)
    series, segmentation = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    listed = [item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence]
    assert listed == [source.SOPInstanceUID for source in asked.sources]
    (made,) = [item for item in make_results(asked) if item.role is Role.SEGMENTATION]
    assert segmentation.SeriesInstanceUID == made.series_instance_uid
    (referred,) = segmentation.ReferencedSOPSequence
    assert (referred.ReferencedSOPClassUID, referred.ReferencedSOPInstanceUID) == (SegmentationStorage, made.sop_instance_uid)
    (library,) = named(ds, "111028")
    images = [item for item in items(library) if item.ValueType == "IMAGE"]
    assert 1 <= len(images) <= 8
    key = asked.sources[asked.answer.findings[0].key_slices[0]]
    assert images[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == key.SOPInstanceUID


def test_the_order_of_the_study_is_referred_to() -> None:
    files, hu = study(slices=8)
    item = Dataset()
    item.RequestedProcedureID, item.RequestedProcedureDescription = "RP-7", "CT head"
    for ds in files:
        ds.RequestAttributesSequence = [item]
    (referred,) = report(request(files=files, hu=hu)).ReferencedRequestSequence
    assert (referred.RequestedProcedureID, referred.AccessionNumber) == ("RP-7", "ACC-1")
    assert referred.StudyInstanceUID == files[0].StudyInstanceUID
    assert referred.PlacerOrderNumberImagingServiceRequest in ("", None)


def test_a_study_without_an_order_refers_to_none() -> None:
    files, hu = study(slices=8)
    for ds in files:
        ds.AccessionNumber = ""
    assert "ReferencedRequestSequence" not in report(request(files=files, hu=hu))


def test_a_superseding_report_names_the_one_it_replaces(each_kind: Kinds) -> None:
    earlier = PredecessorReport(Comprehensive3DSRStorage, "2.25.1", "2.25.2", "2.25.3")
    ds = report(replace(each_kind[AnswerKind.NEGATIVE], predecessor=earlier))
    (document,) = ds.PredecessorDocumentsSequence
    (series,) = document.ReferencedSeriesSequence
    assert (document.StudyInstanceUID, series.SeriesInstanceUID) == ("2.25.3", "2.25.2")
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.1"
    assert "Replaces this model's earlier result" in texts(ds)


def test_a_clearance_without_measurement_lets_no_number_out(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.NEGATIVE]
    regulatory = asked.manifest.regulatory.model_copy(update={"permitted_outputs": frozenset({PermittedOutput.NOTIFICATION})})
    ds = report(replace(asked, manifest=asked.manifest.model_copy(update={"regulatory": regulatory})))
    assert not [item for item in items(ds) if item.ValueType == "NUM"]
    assert "0.9" not in texts(ds)
    assert "This does not exclude it" in texts(ds)


def test_weights_and_bundle_are_named_in_the_contributing_equipment(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    (item,) = report(asked).ContributingEquipmentSequence
    assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert list(item.SoftwareVersions) == ["0.1.0", "ONNX Runtime 1.26.0 CPU"]
    assert asked.analysis.weights_sha256 in item.ContributionDescription


def test_a_region_on_a_multi_frame_image_names_its_frame() -> None:
    asked = CASES["multi-frame"]().asked
    ds = report(asked)
    key = asked.answer.findings[0].key_slices[0]
    (region,) = [item for item in items(ds) if item.ValueType == "SCOORD"]
    (reference,) = region.ContentSequence[0].ReferencedSOPSequence
    assert (reference.ReferencedSOPInstanceUID, reference.ReferencedFrameNumber) == (asked.reference.SOPInstanceUID, key + 1)
    (library,) = named(ds, "111028")
    listed = [item.ReferencedSOPSequence[0].ReferencedFrameNumber for item in items(library) if item.ValueType == "IMAGE"]
    assert listed[0] == key + 1
    assert len(set(listed)) == len(listed) > 1
    (series,) = [item for item in ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
                 if item.SeriesInstanceUID == asked.reference.SeriesInstanceUID]
    assert len(series.ReferencedSOPSequence) == 1


def test_each_of_two_findings_has_its_outline_its_value_and_its_tracking() -> None:
    asked = CASES["two findings"]().asked
    groups = named(report(asked), "125007")
    tracked = [next(item.UID for item in group.ContentSequence if name(item) == "112040") for group in groups]
    assert [template(group) for group in groups] == ["1410", "1411", "1410", "1411"]
    assert tracked[0] == tracked[1] != tracked[2] == tracked[3]
    values = [float(item.MeasuredValueSequence[0].NumericValue) for group in groups for item in group.ContentSequence
              if item.ValueType == "NUM"]
    assert values == pytest.approx([finding.measurements[0].value for finding in asked.answer.findings])


def test_a_radiograph_has_its_outline_on_the_image_and_no_place_in_space() -> None:
    asked = CASES["radiograph inverted"]().asked
    ds = report(asked)
    (group,) = named(ds, "125007")
    (library,) = named(ds, "111028")
    assert template(group) == "1410"
    assert not named(ds, "112227")  # no frame of reference
    assert [item.ConceptCodeSequence[0].CodeValue for item in items(library) if name(item) == "121139"] == ["DX"]
    assert not [item for item in items(ds) if item.ValueType == "SCOORD3D"]


def certain(asked: ResultRequest, value: float, unit: Code = codes.PERCENT) -> ResultRequest:
    (finding,) = asked.answer.findings
    measured = Measurement(codes.CERTAINTY_OF_FINDING, value, unit)
    return replace(asked, answer=replace(asked.answer, findings=(replace(finding, measurements=(measured,)),)))


def test_how_certain_the_model_is_is_a_percentage(each_kind: Kinds) -> None:
    ds = report(certain(each_kind[AnswerKind.POSITIVE], 87.0))
    (number,) = named(ds, "111012")
    (value,) = number.MeasuredValueSequence
    assert (value.NumericValue, value.MeasurementUnitsCodeSequence[0].CodeValue) == (87.0, "%")


def test_a_certainty_that_is_no_percentage_is_refused(each_kind: Kinds) -> None:
    asked = each_kind[AnswerKind.POSITIVE]
    for wrong in (certain(asked, 187.0), certain(asked, -1.0), certain(asked, 0.87, codes.COUNT)):
        with pytest.raises(RequestContradicts, match="from 0 to 100"):
            make_results(wrong)


def test_a_clearance_for_a_score_lets_the_certainty_out_and_no_measurement(each_kind: Kinds) -> None:
    asked = certain(each_kind[AnswerKind.POSITIVE], 87.0)
    (finding,) = asked.answer.findings
    volume = Measurement(codes.HYPERDENSE_VOLUME, 20.0, codes.MILLILITRE)
    answer = replace(asked.answer, findings=(replace(finding, measurements=(*finding.measurements, volume)),))
    for outputs, told in ((TRIAGE_ONLY, []), (TRIAGE_ONLY | {PermittedOutput.SCORE}, ["111012"])):
        regulatory = asked.manifest.regulatory.model_copy(update={"permitted_outputs": outputs})
        ds = report(replace(asked, answer=answer, manifest=asked.manifest.model_copy(update={"regulatory": regulatory})))
        assert [name(item) for item in items(ds) if item.ValueType == "NUM"] == told


def test_a_device_is_the_author(each_kind: Kinds) -> None:
    for asked in each_kind.values():
        (author,) = report(asked).AuthorObserverSequence
        assert (author.ObserverType, author.DeviceUID) == ("DEV", asked.device.device_uid)
