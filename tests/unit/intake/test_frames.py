"""Multi-frame images as a model sees them: split by what differs, whole or not, never a negative on a part."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence

import pytest
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage, generate_uid

from hospital.ct_series import dicom_bytes
from hospital.enhanced import Part, enhanced_ct
from vigil.domain.errors import Category
from vigil.intake.appraise import Appraisal, Verdict, appraise
from vigil.intake.completeness import Proof
from vigil.intake.errors import UnreadableInstance
from vigil.intake.frames import images_of, input_instances
from vigil.intake.header import ImageHeader, read_header
from vigil.intake.selection import Selection, select, suffices


def header(image: Dataset) -> ImageHeader:
    return read_header(f"id of {image.SOPInstanceUID}", dicom_bytes(image))


def parts(images: Sequence[Dataset], count: int, *, total: bool = True) -> list[Dataset]:
    """The series as one multi-frame image, cut into ``count`` instances."""
    size = len(images) // count
    return [
        enhanced_ct(images[number * size:(number + 1) * size], part=Part(number + 1, count if total else None))
        for number in range(count)
    ]


@pytest.fixture
def chosen(manifest):
    def choose(*images: Dataset) -> Selection:
        return select([header(image) for image in images], manifest().scope, manifest().inputs[0])

    return choose


@pytest.fixture
def seen(manifest, content_of, now):
    def look(images: Sequence[Dataset], quiet: dt.timedelta = dt.timedelta(0), **more: object) -> Appraisal:
        return appraise(content_of(list(images)), manifest(**more), now=now, quiet_since=now - quiet, stable_age_s=60)

    return look


def test_a_frame_is_an_image_with_the_values_of_its_functional_groups(ct):
    slices = ct(30)
    images = images_of(header(enhanced_ct(slices)))
    classic = [header(image) for image in slices]
    for frame, image in zip(images, classic, strict=True):
        assert frame.position_mm == pytest.approx(image.position_mm)
        for name in ("orientation", "pixel_spacing_mm", "slice_thickness_mm", "rows", "columns", "frame_of_reference_uid"):
            assert getattr(frame, name) == getattr(image, name), name
    assert [frame.frame for frame in images] == list(range(1, 31))
    assert images_of(images[3]) == (images[3],)
    assert [frame.frame for frame in images_of(header(enhanced_ct(slices)), (4, 2))] == [2, 4]


def test_one_object_is_a_candidate_whose_end_only_quiet_can_tell(ct, chosen):
    (candidate,) = chosen(enhanced_ct(ct(40))).candidates
    assert len(candidate.stack.headers) == 40
    assert candidate.completeness.proof is Proof.QUIET


def test_two_phases_in_one_object_are_two_stacks_and_the_first_is_taken(ct, chosen):
    first, second = ct(30), ct(30, seed="later")
    mixed = [image for pair in zip(first, second, strict=True) for image in pair]
    found = chosen(enhanced_ct(mixed, phases=[1, 2] * 30)).candidates
    assert [[image.frame for image in candidate.stack.headers] for candidate in found] == [
        list(range(1, 60, 2)), list(range(2, 61, 2))]


def test_two_objects_at_one_place_are_two_stacks(ct, chosen):
    first, second = enhanced_ct(ct(30)), enhanced_ct(ct(30, seed="later"))
    second.SeriesInstanceUID, second.FrameOfReferenceUID = first.SeriesInstanceUID, first.FrameOfReferenceUID
    found = chosen(first, second).candidates
    assert [len({image.sop_instance_uid for image in candidate.stack.headers}) for candidate in found] == [1, 1]


def test_the_same_object_under_two_uids_is_one_stack(ct, chosen):
    first, second = enhanced_ct(ct(30)), enhanced_ct(ct(30))
    second.SOPInstanceUID = generate_uid()
    (candidate,) = chosen(first, second).candidates
    assert (len(candidate.stack.headers), len(candidate.stack.duplicates)) == (30, 30)


def test_a_hole_between_frames_is_told(ct, chosen):
    slices = ct(40)
    del slices[20]
    found = chosen(enhanced_ct(slices))
    assert not found.candidates
    assert found.told.category is Category.SLICE_MISSING


@pytest.mark.parametrize("arrived", [1, 2, 3])
def test_of_a_cut_image_no_prefix_is_complete_and_the_whole_needs_no_quiet(ct, seen, arrived):
    found = seen(parts(ct(90), 3)[:arrived])
    if arrived == 3:
        assert (found.verdict, found.complete, found.evidence["proof"]) == (Verdict.WANTED, True, "declared")
        return
    assert (found.verdict, found.complete) == (Verdict.WAITING, False)
    late = seen(parts(ct(90), 3)[:arrived], dt.timedelta(hours=1))
    assert (late.verdict, late.complete) == (Verdict.REFUSED, False)
    assert late.reason.text == f"{arrived} of the 3 parts of a multi-frame image have arrived"


@pytest.mark.parametrize("arrived", [1, 2, 3])
def test_of_several_objects_that_declare_nothing_none_is_complete_before_it_is_quiet(ct, seen, arrived):
    images = parts(ct(90), 3, total=False)[:arrived]
    assert seen(images).verdict is Verdict.WAITING
    assert not seen(images).complete
    assert seen(images, dt.timedelta(minutes=2)).verdict is Verdict.WANTED


def test_the_frames_that_were_chosen_stand_in_the_analysis_and_are_found_again(ct, chosen, manifest):
    mixed = [image for pair in zip(ct(30), ct(30, seed="later"), strict=True) for image in pair]
    image = header(enhanced_ct(mixed, phases=[1, 2] * 30))
    stack = select([image], manifest().scope, manifest().inputs[0]).candidates[1].stack
    (item,) = input_instances(stack.headers)
    assert (item.frames, item.images) == (tuple(range(2, 61, 2)), 30)
    again = images_of(image, item.frames)
    assert suffices(again, manifest().scope, manifest().inputs[0])
    assert {frame.frame for frame in again} == {frame.frame for frame in stack.headers}


def test_contrast_that_a_sequence_names_counts(ct, seen):
    image = enhanced_ct(ct(40))
    agent = Dataset()
    agent.CodeValue, agent.CodingSchemeDesignator, agent.CodeMeaning = "109219006", "SCT", "Iodinated contrast agent"
    image.ContrastBolusAgentSequence = [agent]
    found = seen([image], dt.timedelta(hours=1), scope={"contrast": "none"})
    assert (found.verdict, found.reason.category) == (Verdict.REFUSED, Category.OUT_OF_SCOPE)
    usage = Dataset()
    usage.ContrastBolusAgentNumber, usage.ContrastBolusAgentAdministered = 1, "NO"
    image.SharedFunctionalGroupsSequence[0].ContrastBolusUsageSequence = [usage]
    assert seen([image], dt.timedelta(hours=1), scope={"contrast": "none"}).verdict is Verdict.WANTED


@pytest.mark.parametrize(("code", "verdict"), [("69536005", Verdict.WANTED), ("T-D3000", Verdict.NOT_APPLICABLE)])
def test_the_body_part_may_be_a_code(ct, seen, code, verdict):
    image = enhanced_ct(ct(40, study_description="CT", series_description="thin"))
    del image.BodyPartExamined, image.ProtocolName
    region, anatomy = Dataset(), Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = code, "SCT", "A part"
    anatomy.AnatomicRegionSequence, anatomy.FrameLaterality = [region], "U"
    image.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]
    assert seen([image], dt.timedelta(hours=1)).verdict is verdict


def test_an_mr_that_calls_itself_a_ct_is_refused_with_a_reason(ct, seen):
    image = enhanced_ct(ct(40))
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    found = seen([image], dt.timedelta(hours=1))
    assert (found.verdict, found.reason.category) == (Verdict.REFUSED, Category.OUT_OF_SCOPE)
    assert "stored as MR" in found.reason.text


def test_frames_without_a_place_of_their_own_are_refused_with_a_reason(ct, seen):
    image = enhanced_ct(ct(40))
    del image.PerFrameFunctionalGroupsSequence[7]
    found = seen([image], dt.timedelta(hours=1))
    assert (found.verdict, found.reason.category) == (Verdict.REFUSED, Category.NO_SUITABLE_SERIES)
    assert "where each frame lies" in found.reason.text


def test_damaged_functional_groups_are_read_or_named_unreadable_and_nothing_else(ct):
    """Seed 382 turned a sequence into a number of a wrong length, which pydicom tells by an exception of its own."""
    whole = dicom_bytes(enhanced_ct(ct(6)))
    end = whole.index(b"\xe0\x7f\x10\x00")
    position = whole.index(b"\x20\x00\x13\x91SQ") + 4
    damaged = [whole[:position] + b"SV" + whole[position + 2:]]
    for seed in range(400):
        chance, content = random.Random(seed), bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            at, length = chance.randrange(132, end), chance.choice((1, 2, 4))
            content[at:at + length] = chance.randbytes(length)
        damaged.append(bytes(content))
    read = 0
    for content in damaged:
        try:
            images_of(read_header("id", bytes(content)))
            read += 1
        except UnreadableInstance as error:
            assert error.category.value
    assert 0 < read < len(damaged)
