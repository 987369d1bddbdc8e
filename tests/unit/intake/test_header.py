from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data.data_manager import DATA_ROOT
from pydicom.uid import generate_uid

from hospital.ct_series import Patient, dicom_bytes
from vigil.intake.errors import TruncatedInstance, UnreadableInstance
from vigil.intake.header import read_dataset, read_header

FOLDER = Path(DATA_ROOT)
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
# One of each kind of encoding: explicit, implicit, big endian, deflated, JPEG-LS, RLE, nested sequences, an SR.
SEEDS = [
    (FOLDER / "test_files" / name).read_bytes()
    for name in (
        "CT_small.dcm", "rtplan.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_RLE.dcm", "liver_1frame.dcm", "test-SR.dcm",
    )
]


@pytest.fixture(scope="module")
def dicom(ct):
    return dicom_bytes(ct(1, declared=True)[0])


def test_what_intake_and_imaging_need_is_read(dicom, ct):
    image, header = ct(1, declared=True)[0], read_header("abc", dicom)
    assert header.orthanc_id == "abc"
    assert header.sop_instance_uid == image.SOPInstanceUID
    assert header.sop_class_uid == image.SOPClassUID
    assert header.series_instance_uid == image.SeriesInstanceUID
    assert header.transfer_syntax_uid == image.file_meta.TransferSyntaxUID
    assert header.modality == "CT"
    assert header.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert header.body_part == "HEAD"
    assert header.descriptions == "ct head without contrast head 1.5 h30s head routine"
    assert header.series_description == "HEAD 1.5 H30s"
    assert (header.series_number, header.acquisition_number, header.instance_number) == (2, 1, 1)
    assert header.images_in_acquisition == 1
    assert header.patient_age_years == 56
    assert header.age_by_birth_date_years == 56
    assert header.study_started == "20261123120000"
    assert header.has_pixel_data
    assert (header.frames, header.rows, header.columns) == (1, 8, 8)
    assert header.position_mm == (0, 0, 0)
    assert header.orientation == (1, 0, 0, 0, 1, 0)
    assert header.pixel_spacing_mm == (1, 1)
    assert header.slice_thickness_mm == 4
    assert header.frame_of_reference_uid == image.FrameOfReferenceUID


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_file_that_pydicom_tests_with_is_read_or_named_unreadable(path):
    data = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = read_header("id", data)
        except UnreadableInstance:
            return
        oracle = dcmread(path, force=True)
        assert "PixelData" not in read_dataset(data)
    assert header.sop_instance_uid == oracle.SOPInstanceUID
    pixels = oracle.get("PixelData") or oracle.get("FloatPixelData") or oracle.get("DoubleFloatPixelData")
    assert header.has_pixel_data == bool(pixels)
    assert header.rows == oracle.get("Rows", 0)


def test_an_image_cut_anywhere_never_seems_to_have_its_pixels(dicom):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kept in range(len(dicom)):
            try:
                assert not read_header("id", dicom[:kept]).has_pixel_data
            except UnreadableInstance:
                continue


def test_most_of_the_files_that_pydicom_tests_with_are_readable():
    readable = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in FILES:
            try:
                readable += read_header("id", path.read_bytes()).has_pixel_data
            except UnreadableInstance:
                continue
    assert readable >= 100


@st.composite
def broken_files(draw):
    data = bytearray(draw(st.sampled_from(SEEDS)))
    reach = min(len(data), 4000)
    for _ in range(draw(st.integers(1, 8))):
        position = draw(st.integers(128, reach - 1))
        kind = draw(st.sampled_from(("byte", "bytes", "drop", "insert", "cut")))
        if kind == "byte":
            data[position] = draw(st.integers(0, 255))
        elif kind == "bytes":
            noise = draw(st.binary(min_size=1, max_size=12))
            data[position:position + len(noise)] = noise
        elif kind == "drop":
            del data[position:position + draw(st.integers(1, 40))]
        elif kind == "insert":
            data[position:position] = draw(st.binary(min_size=1, max_size=12))
        else:
            del data[position:]
        reach = min(len(data), 4000)
        if reach <= 140:
            break
    return bytes(data)


@given(broken_files())
@settings(max_examples=400, deadline=None)
def test_a_broken_header_is_read_or_named_unreadable_and_nothing_else(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for read in (lambda: read_header("id", data), lambda: read_dataset(data)):
            try:
                read()
            except UnreadableInstance as error:
                assert error.message


@given(st.binary(max_size=600))
@settings(max_examples=200, deadline=None)
def test_any_bytes_at_all_are_read_or_named_unreadable(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for dicom in (data, bytes(128) + b"DICM" + data):
            try:
                read_header("id", dicom)
            except UnreadableInstance:
                continue


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_no_error_quotes_the_patient(position, noise):
    data = bytearray(SEEDS[0])
    place = 132 + position % 2000
    data[place:place + len(noise)] = noise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read_header("id", bytes(data))
        except UnreadableInstance as error:
            assert "CompressedSamples" not in str(error)
            assert error.__cause__ is None


def test_sequences_nested_beyond_reason_are_unreadable_and_no_crash():
    import struct

    from pydicom.uid import ExplicitVRLittleEndian

    uid = str(ExplicitVRLittleEndian).encode() + b"\0"
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    level = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    with pytest.raises(UnreadableInstance):
        read_header("id", bytes(128) + b"DICM" + meta + level * 20_000)


def test_no_pixel_element_is_no_pixel_data(ct):
    image = ct(1)[0]
    del image.PixelData
    header = read_header("id", dicom_bytes(image))
    assert not header.has_pixel_data
    assert header.pixel_sha256 == ""


def test_an_empty_pixel_element_is_no_pixel_data(ct):
    image = ct(1)[0]
    image.PixelData = b""
    assert not read_header("id", dicom_bytes(image)).has_pixel_data


@pytest.mark.parametrize(("keyword", "kind"), [("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)])
def test_floating_point_pixels_are_pixel_data(ct, keyword, kind):
    image = ct(1)[0]
    del image.PixelData
    image.BitsAllocated = np.dtype(kind).itemsize * 8
    setattr(image, keyword, np.zeros((8, 8), kind).tobytes())
    assert read_header("id", dicom_bytes(image)).has_pixel_data


def test_fewer_pixels_than_the_matrix_has_are_truncated(ct):
    image = ct(1)[0]
    image.PixelData = image.PixelData[:-16]
    with pytest.raises(TruncatedInstance, match="112 of 128"):
        read_header("id", dicom_bytes(image))


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID"])
def test_an_image_without_its_own_name_is_unreadable(ct, keyword):
    image = ct(1)[0]
    setattr(image, keyword, "")
    with pytest.raises(UnreadableInstance, match="lacks"):
        read_header("id", dicom_bytes(image))


@pytest.mark.parametrize(
    ("keyword", "value", "field", "expected"),
    [
        ("ImagePositionPatient", ["0", "0", "1e400"], "position_mm", None),
        ("ImagePositionPatient", ["0", "0"], "position_mm", None),
        ("ImageOrientationPatient", ["1", "0", "nan", "0", "1", "0"], "orientation", None),
        ("ImageOrientationPatient", ["1", "0", "0", "0", "1"], "orientation", None),
        ("PixelSpacing", ["wide", "1"], "pixel_spacing_mm", None),
        ("SliceThickness", "1_0", "slice_thickness_mm", None),
        ("InstanceNumber", "99999999999", "instance_number", None),
        ("InstanceNumber", "7.0", "instance_number", 7),
        ("InstanceNumber", "7.5", "instance_number", None),
        ("PatientAge", "very", "patient_age_years", 56),
    ],
)
def test_an_odd_value_is_an_absent_one(ct, keyword, value, field, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = ct(1)[0]
        raw = "\\".join(value) if isinstance(value, list) else value
        image[keyword].VR = "LO"  # so that pydicom writes what it is told
        image[keyword].value = raw.split("\\") if "\\" in raw else raw
        header = read_header("id", dicom_bytes(image))
    assert getattr(header, field) == expected


def test_descriptions_are_read_in_their_character_set(ct):
    image = ct(1, series_description="Schädel nativ")[0]
    for character_set in ("ISO_IR 100", "ISO_IR 192"):
        image.SpecificCharacterSet = character_set
        assert read_header("id", dicom_bytes(image)).series_description == "Schädel nativ"


def test_the_same_image_under_other_uids_has_the_same_pixel_hash_and_another_content_hash(ct):
    image = ct(1)[0]
    first = read_header("id", dicom_bytes(image))
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    second = read_header("id", dicom_bytes(image))
    assert first.pixel_sha256 == second.pixel_sha256
    assert first.content_sha256 != second.content_sha256


def test_the_same_stored_values_with_another_rescale_are_another_image(ct):
    image = ct(1)[0]
    first = read_header("id", dicom_bytes(image))
    image.RescaleIntercept = "0"
    assert read_header("id", dicom_bytes(image)).pixel_sha256 != first.pixel_sha256


def test_the_patient_is_known_by_hash_alone(ct):
    patient = Patient(name="Rarename^Zebedee", birth_date="19610203")
    header = read_header("id", dicom_bytes(ct(1, patient=patient)[0]))
    other = read_header("id", dicom_bytes(ct(1, patient=replace(patient, name="Other^Person"))[0]))
    assert "Rarename" not in repr(header) and "19610203" not in repr(header)
    assert header.identity_sha256 != other.identity_sha256


def test_what_tells_the_stacks_of_a_series_apart_is_read_and_odd_values_are_absent(ct, headers_of):
    image, odd = ct(2)
    image.EchoTime, image.DiffusionBValue, image.TemporalPositionIdentifier, image.TriggerTime = "90.5", 1000.0, 3, "400"
    odd.DiffusionBValue = float("nan")
    odd.EchoTime = ""
    read, absent = headers_of([image, odd])
    assert (read.echo_time_ms, read.b_value, read.temporal_position, read.trigger_time_ms) == (90.5, 1000.0, 3, 400.0)
    assert (absent.echo_time_ms, absent.b_value, absent.temporal_position, absent.trigger_time_ms) == (None,) * 4
