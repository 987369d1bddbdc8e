from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from pydicom import dcmwrite
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from hospital.ct_series import dicom_bytes
from vigil.intake import part10
from vigil.intake.errors import TruncatedInstance, UnreadableInstance
from vigil.intake.part10 import read_dataset, read_instance, read_meta


@pytest.fixture(scope="module")
def image(ct):
    return ct(1)[0]


@pytest.fixture(scope="module")
def dicom(image):
    return dicom_bytes(image)


def with_group_length(dicom, length):
    return dicom[:140] + struct.pack("<I", length) + dicom[144:]


@pytest.mark.parametrize("length", [0, 1, 4, 0xFFFFFFFF])
def test_a_wrong_group_length_does_not_move_the_start_of_the_data_set(dicom, length):
    assert read_meta(with_group_length(dicom, length)).end == read_meta(dicom).end


def test_the_data_set_begins_where_the_group_length_says_in_a_file_that_is_right(dicom):
    assert read_meta(dicom).end == 144 + struct.unpack_from("<I", dicom, 140)[0]


def test_another_sender_in_the_meta_information_leaves_the_content_hash_alone(ct, dicom):
    image = ct(1)[0]
    image.file_meta.SourceApplicationEntityTitle = "ANOTHER"
    other = dicom_bytes(image)
    assert other != dicom
    assert read_instance(other).content_sha256 == read_instance(dicom).content_sha256


@pytest.mark.parametrize("part", ["header", "pixels", "tail"])
def test_another_byte_anywhere_changes_the_content_hash(ct, part):
    image = ct(1)[0]
    image.DataSetTrailingPadding = bytes(64)
    dicom = dicom_bytes(image)
    at = {"header": dicom.index(b"Referrer"), "pixels": read_instance(dicom).pixels.start + 5, "tail": len(dicom) - 1}[part]
    other = dicom[:at] + bytes([dicom[at] ^ 1]) + dicom[at + 1:]
    assert read_instance(other).content_sha256 != read_instance(dicom).content_sha256
    assert (read_instance(other).pixel_digest == read_instance(dicom).pixel_digest) == (part != "pixels")


def test_another_transfer_syntax_alone_changes_the_content_hash(dicom):
    renamed = dicom.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
    assert read_instance(renamed).content_sha256 != read_instance(dicom).content_sha256


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_the_head_of_a_file_is_a_file_with_the_same_header_and_no_pixels(ct, syntax):
    image = ct(1)[0]
    image.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    dcmwrite(buffer, image, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian,
             enforce_file_format=True)
    whole = buffer.getvalue()
    head = read_instance(whole).head
    assert read_dataset(head) == read_dataset(whole)
    assert read_dataset(head).file_meta == read_dataset(whole).file_meta
    if syntax != DeflatedExplicitVRLittleEndian:
        assert read_instance(head).pixels is None
        assert len(head) == len(whole) - len(image.PixelData) - (8 if syntax == ImplicitVRLittleEndian else 12)


def test_implicit_meta_information_is_walked_too():
    # (0002,0010) as implicit VR, which PS3.10 forbids and some writers send
    uid = b"1.2.840.10008.1.2\0"
    meta = struct.pack("<HHI", 2, 0x10, len(uid)) + uid
    read = read_meta(bytes(128) + b"DICM" + meta + b"\x08\x00")
    assert (read.transfer_syntax_uid, read.end) == ("1.2.840.10008.1.2", 132 + len(meta))


@pytest.mark.parametrize("data", [b"", b"DICM", bytes(128), bytes(128) + b"DICX", b"%PDF-1.7" + bytes(200)])
def test_what_is_not_dicom_is_unreadable(data):
    with pytest.raises(UnreadableInstance, match="not a DICOM file"):
        read_instance(data)


@pytest.mark.parametrize("kept", [134, 150, 200, 250])
def test_a_file_cut_in_its_meta_information_is_truncated(dicom, kept):
    with pytest.raises(TruncatedInstance, match="file meta information"):
        read_dataset(dicom[:kept])


def test_a_file_cut_in_its_pixels_says_how_much_is_there(dicom):
    with pytest.raises(TruncatedInstance, match="108 of 128 bytes are there"):
        read_instance(dicom[:-20])


def test_a_file_cut_within_a_value_of_its_header_is_truncated(dicom):
    middle = dicom.index(b"CT HEAD WITHOUT CONTRAST") + 5
    with pytest.raises(TruncatedInstance, match="within its header"):
        read_instance(dicom[:middle])


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_the_pixels_are_found_in_every_uncompressed_encoding(ct, syntax):
    image = ct(1)[0]
    pixels = image.PixelData
    image.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        image.PixelData = pixels = bytes(reversed(pixels))
    found = read_instance(dicom_bytes(image)).pixels
    assert found is not None and found.source[found.start:found.end] == pixels


def test_the_data_set_is_given_without_pixels_and_with_its_meta_information(image, dicom):
    read = read_dataset(dicom)
    assert "PixelData" not in read
    assert read.PatientName == image.PatientName
    assert read.Rows == 8
    assert read.file_meta.TransferSyntaxUID == image.file_meta.TransferSyntaxUID


def encapsulated(dicom, *items, end=True):
    """The image with its pixels replaced by these items, as a JPEG transfer syntax has them."""
    start = dicom.rindex(struct.pack("<HH", 0x7FE0, 0x0010))
    body = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    closing = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if end else b""
    return dicom[:start] + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + body + closing


def test_fragments_are_pixels_and_an_offset_table_alone_is_none(dicom):
    filled = read_instance(encapsulated(dicom, b"", b"\xff\xd8\xff\xd9")).pixels
    assert filled is not None and filled.encapsulated and not filled.empty
    bare = read_instance(encapsulated(dicom, b"\0\0\0\0")).pixels
    assert bare is not None and bare.empty


@pytest.mark.parametrize("cut", [0, 3, 8, 13])
def test_fragments_that_never_end_are_truncated(dicom, cut):
    whole = encapsulated(dicom, b"", b"\xff\xd8\xff\xd9", end=False)
    with pytest.raises(TruncatedInstance, match="cut off in its fragment"):
        read_instance(whole[:len(whole) - cut] if cut else whole)


def test_fragments_that_are_no_items_are_unreadable(dicom):
    start = dicom.rindex(struct.pack("<HH", 0x7FE0, 0x0010))
    broken = dicom[:start] + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + bytes(64)
    with pytest.raises(UnreadableInstance, match="does not begin as an item"):
        read_instance(broken)


def test_a_deflated_data_set_that_grows_without_end_is_refused(dicom, monkeypatch):
    monkeypatch.setattr(part10, "LARGEST_INFLATED", 1 << 20)
    end = read_meta(dicom).end
    explicit, deflated = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"
    position = dicom.index(explicit, 0, end) - 2
    meta = dicom[:position] + struct.pack("<H", len(deflated)) + deflated + dicom[position + 2 + len(explicit):end]
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = squeezed.compress(bytes(1 << 21)) + squeezed.flush()
    with pytest.raises(UnreadableInstance, match="grows beyond"):
        read_instance(meta + bomb)
    with pytest.raises(TruncatedInstance, match="deflated"):
        read_instance(meta + bomb[:100])
    with pytest.raises(UnreadableInstance):
        read_instance(meta + b"\xff" * 100)
