from __future__ import annotations

from dataclasses import replace

import pytest

from hospital.ct_series import Patient
from vigil.domain.errors import Category
from vigil.domain.gateway import Gateway, InstanceRecord
from vigil.intake.study import HeaderCache, StudyContent, StudyReader


def nothing_of_ours(uids):
    return set()


@pytest.fixture
def reader(shelf):
    gateway: Gateway = shelf
    return StudyReader(gateway, nothing_of_ours)


def test_a_study_that_is_gone_is_none(reader):
    assert reader.read("study") is None


def test_every_image_is_read_and_sorted_by_its_uid(shelf, reader, ct):
    images = ct(5)
    shelf.put("study", images[::-1])
    content = reader.read("study")
    assert [header.sop_instance_uid for header in content.headers] == sorted(str(image.SOPInstanceUID) for image in images)
    assert (content.orthanc_study_id, content.study_instance_uid, content.unreadable) == ("study", "1.2.3", ())
    assert not content.other_patients


def test_our_own_objects_are_left_out_without_being_fetched(shelf, ct):
    images, ours = ct(3), ct(2, seed="ours")
    shelf.put("study", [*images, *ours])
    own = {str(ds.SOPInstanceUID) for ds in ours}
    content = StudyReader(shelf, lambda uids: own & set(uids)).read("study")
    assert len(content.headers) == 3
    assert not any(key.split("/")[1] in own for key in shelf.fetched)


def test_an_unreadable_file_is_named_with_its_reason(shelf, reader, ct):
    shelf.put("study", ct(3))
    key, (uid, data) = sorted(shelf.files["study"].items())[1]
    shelf.files["study"][key] = (uid, data[:-40])
    content = reader.read("study")
    assert len(content.headers) == 2
    (orthanc_id, reason), = content.unreadable
    assert orthanc_id == key
    assert reason.category is Category.UNREADABLE_INSTANCE
    assert "88 of 128 bytes" in reason.text


def test_an_instance_deleted_while_the_study_is_read_is_simply_not_there(shelf, reader, ct):
    shelf.put("study", ct(3))
    shelf.vanish_when_read = {sorted(shelf.files["study"])[0]}
    assert len(reader.read("study").headers) == 2


def test_an_instance_that_orthanc_lists_and_has_lost_the_file_of_is_named_unreadable(shelf, reader, ct):
    shelf.put("study", ct(3))
    shelf.lost = {sorted(shelf.files["study"])[2]}
    content = reader.read("study")
    assert len(content.headers) == 2
    (_, reason), = content.unreadable
    assert reason.category is Category.UNREADABLE_INSTANCE


def test_a_study_deleted_while_it_is_read_is_none(shelf, reader, ct):
    shelf.put("study", ct(2))
    original = shelf.instances

    def deleted_after(study):
        records = original(study)
        shelf.vanish_when_read = {record.orthanc_id for record in records}
        shelf.files.pop(study, None)
        return records

    shelf.instances = deleted_after
    assert reader.read("study") is None


def test_unchanged_content_has_the_same_hash_and_any_change_another(shelf, reader, ct):
    images = ct(3)
    shelf.put("study", images[:2])
    two = reader.read("study").content_sha256
    assert reader.read("study").content_sha256 == two
    shelf.put("study", images[2:])
    three = reader.read("study").content_sha256
    assert three != two
    key, (uid, data) = sorted(shelf.files["study"].items())[0]
    shelf.files["study"][key] = (uid, data[:-10])
    cut = reader.read("study").content_sha256
    assert cut != three
    shelf.files["study"][key] = (uid, data[:-11])
    assert reader.read("study").content_sha256 not in (two, three, cut)


def test_an_image_overwritten_under_the_same_id_is_read_anew(shelf, reader, ct):
    images = ct(3)
    shelf.put("study", images)
    before = reader.read("study")
    images[1].SliceThickness = "9"
    shelf.put("study", images)
    after = reader.read("study")
    assert {header.slice_thickness_mm for header in before.headers} == {4}
    assert {header.slice_thickness_mm for header in after.headers} == {4, 9}
    assert before.content_sha256 != after.content_sha256


def test_an_unchanged_image_is_neither_fetched_nor_parsed_again(shelf, reader, ct):
    shelf.put("study", ct(3))
    before = reader.read("study")
    shelf.fetched.clear()
    after = reader.read("study")
    assert shelf.fetched == []
    assert after == before
    assert all(one is other for one, other in zip(after.headers, before.headers, strict=True))


def test_what_is_read_is_shared_with_whoever_holds_the_cache(shelf, ct):
    shelf.put("study", ct(3))
    cache = HeaderCache()
    StudyReader(shelf, nothing_of_ours, cache).read("study")
    assert len(cache) == 3, "also where it was empty when it was handed in"


def test_where_orthanc_does_not_name_its_files_each_is_read_every_time(shelf, reader, ct):
    shelf.names_files = False
    shelf.put("study", ct(3))
    before = reader.read("study")
    shelf.fetched.clear()
    assert reader.read("study") == before
    assert len(shelf.fetched) == 3


def record(name, file_uuid="file"):
    return InstanceRecord(name, "1.2", "series", file_uuid)


def test_a_header_counts_for_the_file_that_it_was_read_from_alone(headers_of, ct):
    cache, (header,) = HeaderCache(), headers_of(ct(1))
    cache.put(record("a", "first"), header)
    assert cache.of_file(record("a", "first")) is header
    assert cache.of_file(record("a", "second")) is None
    assert cache.of_file(record("a", "")) is None


def test_a_header_is_found_by_the_content_that_was_chosen_and_by_no_other(headers_of, ct):
    cache, (header,) = HeaderCache(), headers_of(ct(1))
    cache.put(record("a"), header)
    assert cache.of_content("a", header.content_sha256) is header
    assert cache.of_content("a", "other content") is None
    assert cache.of_content("b", header.content_sha256) is None


def test_the_cache_forgets_what_was_not_read_for_longest(headers_of, ct):
    cache = HeaderCache(capacity=2)
    headers = headers_of(ct(3))
    cache.put(record("a"), headers[0])
    cache.put(record("b"), headers[1])
    assert cache.of_file(record("a")) is headers[0]
    cache.put(record("c"), headers[2])
    assert len(cache) == 2
    assert cache.of_file(record("a")) is headers[0]
    assert cache.of_file(record("b")) is None


OTHER = Patient(name="Another^Person", patient_id="VIGIL-TEST-2", birth_date="19850505")


def test_two_patients_under_one_study_uid_are_a_conflict_in_both_studies(shelf, reader, ct):
    shelf.put("one", ct(3, seed="a"))
    shelf.put("two", ct(3, seed="b", patient=OTHER))
    for study in ("one", "two"):
        content = reader.read(study)
        assert content.other_patients
        assert content.identity_conflict.category is Category.IDENTITY_CONFLICT


def test_a_corrected_patient_id_is_no_conflict_for_the_images_are_the_same(shelf, reader, ct):
    shelf.put("wrong", ct(3))
    shelf.put("right", ct(3, patient=Patient(patient_id="CORRECTED"))[:1])
    for study in ("wrong", "right"):
        content = reader.read(study)
        assert not content.other_patients
        assert content.identity_conflict is None


def test_another_study_that_holds_only_our_own_objects_is_no_other_patient(shelf, ct):
    ours = ct(2, seed="ours", patient=OTHER)
    shelf.put("one", ct(3))
    shelf.put("two", ours)
    own = {str(ds.SOPInstanceUID) for ds in ours}
    content = StudyReader(shelf, lambda uids: own & set(uids)).read("one")
    assert not content.other_patients


def test_studies_of_other_uids_play_no_part(shelf, reader, ct):
    shelf.put("one", ct(3, seed="a"))
    shelf.put("two", ct(3, seed="b", patient=OTHER), uid="9.9")
    assert not reader.read("one").other_patients


@pytest.mark.parametrize("change", [{"name": "Another^Person"}, {"birth_date": "19850505"}, {"sex": "F"}])
def test_images_of_two_patients_in_one_study_are_a_conflict(ct, content_of, change):
    content = content_of([*ct(2), *ct(2, seed="b", patient=replace(Patient(), **change))])
    assert content.identity_conflict.category is Category.IDENTITY_CONFLICT


def test_an_object_that_names_no_patient_is_no_conflict(ct, content_of):
    assert content_of([*ct(2), *ct(2, seed="b", patient=Patient(birth_date="", sex=""))]).identity_conflict is None


def test_a_silent_header_does_not_hide_that_two_others_contradict_each_other(ct, content_of):
    silent = Patient(birth_date="", sex="")
    content = content_of([
        *ct(1, seed="a"), *ct(1, seed="b", patient=silent), *ct(1, seed="c", patient=replace(Patient(), sex="F"))
    ])
    assert content.identity_conflict is not None


def test_an_empty_study_has_no_conflict():
    assert StudyContent("study", "1.2.3", ()).identity_conflict is None
