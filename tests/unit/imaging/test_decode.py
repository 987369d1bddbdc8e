"""Pixels of every kind, against other decoders (GDCM inside SimpleITK, pydicom) and against what was written."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from imaging_cases import lopsided, series
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from hospital.ct_series import Acquisition, dicom_bytes
from vigil.domain.errors import Category
from vigil.imaging.decode import BIG_ENDIAN, DECODERS, LITTLE_ENDIAN, RLE_LOSSLESS, Frames, decode
from vigil.imaging.errors import (
    ImagingError,
    NoPixelData,
    UnreadablePixels,
    UnsupportedPixels,
    UnsupportedTransferSyntax,
    VolumeTooLarge,
)
from vigil.intake.errors import UnreadableInstance
from vigil.intake.part10 import read_instance
from vigil.intake.selection import DECODABLE

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
ROWS, COLUMNS = 20, 14


def ct() -> Dataset:
    return series(lopsided((2, ROWS, COLUMNS)), Acquisition(seed="decode", spacing_mm=(2.0, 1.0, 1.0)))[0]


def decoded(dicom: bytes, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray[Any, np.dtype[np.float32]]:
    out = np.full((rows, columns), np.nan, np.float32)
    decode(read_instance(dicom)).into(out)
    return out


def written(dataset: Dataset, syntax: UID, *, big_endian: bool = False) -> bytes:
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    if big_endian or syntax == ImplicitVRLittleEndian:
        dcmwrite(buffer, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=not big_endian,
                 enforce_file_format=True)  # fmt: skip
        return buffer.getvalue()
    return dicom_bytes(dataset)


@pytest.mark.parametrize("name", [
    "693_J2KI.dcm", "CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_expb.dcm",
    "MR_small_implicit.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm",
    "JPEG2000.dcm",
])  # fmt: skip
def test_real_files_give_the_values_that_gdcm_reads(name: str) -> None:
    dicom = (SAMPLES / name).read_bytes()
    header = pydicom.dcmread(SAMPLES / name, stop_before_pixels=True)
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(SAMPLES / name), SimpleITK.sitkFloat32)).squeeze()
    ours = decoded(dicom, header.Rows, header.Columns)
    padding = header.get("PixelPaddingValue")
    if header.Modality == "CT" and padding is not None:
        is_padding = theirs == padding * header.RescaleSlope + header.RescaleIntercept
        theirs[is_padding] = -1024
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("bits", "syntax"), [(8, JPEGBaseline8Bit), (12, JPEGExtended12Bit)], ids=["baseline", "extended"])
def test_lossy_jpeg_gives_the_values_that_gdcm_reads_to_a_step(bits: int, syntax: UID, tmp_path: Path) -> None:
    dataset = ct()
    values = (lopsided((2, ROWS, COLUMNS))[0] + 1024).astype("<u2") >> (12 - bits)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (8 if bits == 8 else 16), bits, bits - 1
    dataset.PixelData = encapsulate([LOSSY[syntax](values)])
    dataset["PixelData"].VR = "OB"
    dicom = written(dataset, syntax)
    (tmp_path / "lossy.dcm").write_bytes(dicom)
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "lossy.dcm"), SimpleITK.sitkFloat32)).squeeze()
    np.testing.assert_allclose(decoded(dicom), theirs, atol=2)


def test_a_codestream_that_contradicts_pixel_representation_is_read_as_pydicom_reads_it() -> None:
    path = SAMPLES / "J2K_pixelrep_mismatch.dcm"
    header = pydicom.dcmread(path)
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat32)).squeeze()
    header.RescaleSlope, header.RescaleIntercept = "1", "0"
    ours = decoded(dicom_bytes(header), header.Rows, header.Columns)
    assert ours.min() < 0
    np.testing.assert_array_equal(ours, theirs)


def _rle(values: np.ndarray[Any, Any]) -> bytes:
    from pydicom.pixels.encoders import RLELosslessEncoder

    return RLELosslessEncoder.encode(
        values, rows=ROWS, columns=COLUMNS, samples_per_pixel=1, bits_allocated=16, bits_stored=16, pixel_representation=0,
        photometric_interpretation="MONOCHROME2", number_of_frames=1,
    )  # fmt: skip


ENCODERS: dict[UID, Callable[[Any], bytes]] = {
    RLELossless: _rle,
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: lambda values: imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", reversible=True),
    HTJ2KLossless: imagecodecs.htj2k_encode,
    JPEGLossless: imagecodecs.ljpeg_encode,
    JPEGLosslessSV1: imagecodecs.ljpeg_encode,
}


LOSSY: dict[UID, Callable[[Any], bytes]] = {
    JPEGBaseline8Bit: lambda values: imagecodecs.jpeg8_encode(np.minimum(values, 255).astype("u1"), level=90),
    JPEGExtended12Bit: lambda values: imagecodecs.jpeg8_encode(values, level=90, bitspersample=12),
}


@pytest.mark.parametrize("syntax", ENCODERS, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_compressed_pixels_give_the_values_that_were_compressed(syntax: UID, signed: bool) -> None:
    dataset = ct()
    hu = lopsided((2, ROWS, COLUMNS))[0]
    if signed:  # 16 bits, stored as HU
        values = hu.astype("<i2")
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 16, 15
        dataset.RescaleIntercept = "0"
    else:
        values = (hu + 1024).astype("<u2")
    dataset.PixelData = encapsulate([ENCODERS[syntax](np.ascontiguousarray(values.view("<u2")))])
    dataset["PixelData"].VR = "OB"
    np.testing.assert_array_equal(decoded(written(dataset, syntax)), hu)


def test_a_frame_in_several_fragments_is_joined() -> None:
    dataset, hu = ct(), lopsided((2, ROWS, COLUMNS))[0]
    whole = imagecodecs.jpegls_encode((hu + 1024).astype("<u2"))
    dataset.PixelData = encapsulate([whole], fragments_per_frame=3)
    dataset["PixelData"].VR = "OB"
    np.testing.assert_array_equal(decoded(written(dataset, JPEGLSLossless)), hu)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_uncompressed_syntaxes_give_the_same_values(syntax: UID) -> None:
    np.testing.assert_array_equal(decoded(written(ct(), syntax)), lopsided((2, ROWS, COLUMNS))[0])


def test_big_endian_gives_the_same_values_and_padding() -> None:
    dataset = ct()
    stored = np.frombuffer(dataset.PixelData, "<u2").copy()
    stored[5] = 3000
    dataset.PixelPaddingValue = 3000
    dataset["PixelPaddingValue"].VR = "US"
    dataset.PixelData = stored.astype(">u2").tobytes()
    values = decoded(written(dataset, ExplicitVRBigEndian, big_endian=True))
    expected = lopsided((2, ROWS, COLUMNS))[0].ravel()
    expected[5] = -1024
    np.testing.assert_array_equal(values.ravel(), expected)


@given(
    bits=st.integers(9, 16), signed=st.booleans(), slope=st.sampled_from([1.0, 0.5, 2.25]),
    intercept=st.sampled_from([-1024.0, 0.0, 100.5]), litter=st.booleans(), seed=st.integers(0, 1000), data=st.data(),
)  # fmt: skip
def test_every_bit_layout_gives_pydicom_s_values(
    bits: int, signed: bool, slope: float, intercept: float, litter: bool, seed: int, data: st.DataObject
) -> None:
    high_bit = data.draw(st.integers(bits - 1, 15))
    dataset = ct()
    random = np.random.default_rng(seed)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = random.integers(low, high + 1, (ROWS, COLUMNS))
    shift = high_bit + 1 - bits
    words = (values & ((1 << bits) - 1)) << shift
    if litter:  # overlays of old lie in the unused bits
        unused = 0xFFFF & ~(((1 << bits) - 1) << shift)
        words |= random.integers(0, 1 << 16, words.shape) & unused
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, high_bit, int(signed)
    dataset.RescaleSlope, dataset.RescaleIntercept = str(slope), str(intercept)
    dataset.PixelData = words.astype("<u2").tobytes()
    np.testing.assert_allclose(decoded(dicom_bytes(dataset)), values * slope + intercept, rtol=1e-6)


@pytest.mark.parametrize("representation", [0, 1])
def test_padding_of_ct_is_air(representation: int) -> None:
    dataset = ct()
    stored = np.full((ROWS, COLUMNS), 1000, "<i2")
    stored[0, :3] = -2000 if representation else 4000
    stored[1, :3] = -1990 if representation else 4010
    dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = representation, 16, 15
    dataset.PixelPaddingValue = int(stored[0, 0])
    dataset.PixelPaddingRangeLimit = int(stored[1, 0])
    for name in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        dataset[name].VR = "SS" if representation else "US"
    dataset.PixelData = stored.tobytes()
    values = decoded(dicom_bytes(dataset))
    assert (values[:2, :3] == -1024).all()
    assert (values[2:] == -24).all()


def without(name: str) -> Callable[[Dataset], None]:
    return lambda dataset: dataset.__delattr__(name)


def setting(**values: object) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for name, value in values.items():
            setattr(dataset, name, value)

    return change


@pytest.mark.parametrize(("change", "error", "category"), [
    (without("PixelData"), NoPixelData, Category.NO_PIXEL_DATA),
    (setting(PixelData=b""), NoPixelData, Category.NO_PIXEL_DATA),
    (setting(PixelData=b"\0" * 100), UnreadablePixels, Category.UNREADABLE_INSTANCE),
    (without("RescaleIntercept"), UnreadablePixels, Category.UNREADABLE_INSTANCE),
    (setting(RescaleSlope="0"), UnreadablePixels, Category.UNREADABLE_INSTANCE),
    (setting(RescaleType="US"), UnsupportedPixels, Category.OUT_OF_SCOPE),
    (setting(NumberOfFrames="2"), UnsupportedPixels, Category.OUT_OF_SCOPE),
    (setting(PhotometricInterpretation="RGB", SamplesPerPixel=3), UnsupportedPixels, Category.OUT_OF_SCOPE),
    (setting(BitsAllocated=32), UnsupportedPixels, Category.OUT_OF_SCOPE),
    (setting(HighBit=3), UnreadablePixels, Category.UNREADABLE_INSTANCE),
    (setting(BitsStored=0), UnreadablePixels, Category.UNREADABLE_INSTANCE),
    (setting(Rows=21), UnreadablePixels, Category.UNREADABLE_INSTANCE),
])  # fmt: skip
def test_what_cannot_be_a_slice_is_refused_by_name(
    change: Callable[[Dataset], None], error: type[ImagingError], category: Category
) -> None:
    dataset = ct()
    change(dataset)
    with pytest.raises(error) as caught:
        decoded(dicom_bytes(dataset))
    assert caught.value.category is category


def test_an_unsupported_transfer_syntax_is_named() -> None:
    dataset = ct()
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].VR = "OB"
    with pytest.raises(UnsupportedTransferSyntax, match=r"MPEG2.*1\.2\.840\.10008\.1\.2\.4\.100") as caught:
        decoded(written(dataset, MPEG2MPML))
    assert caught.value.category is Category.UNSUPPORTED_TRANSFER_SYNTAX


def damaged(stream: bytes, random: np.random.Generator) -> bytes:
    """Some bytes changed, and half of the time the rest missing."""
    changed = bytearray(stream)
    for position in random.integers(0, len(changed), 3):
        changed[position] = random.integers(0, 256)
    return bytes(changed[:int(random.integers(len(changed) // 2, 2 * len(changed)))])


FUZZ = """
import sys
sys.path[:0] = sys.argv[2:]
import numpy as np
import test_decode as cases
syntax = cases.UID(sys.argv[1])
random = np.random.default_rng(7)
stream = (cases.ENCODERS | cases.LOSSY)[syntax]((cases.lopsided((2, cases.ROWS, cases.COLUMNS))[0] + 1024).astype("<u2"))
for _ in range(400):
    dataset = cases.ct()
    dataset.PixelData = cases.encapsulate([cases.damaged(stream, random)])
    dataset["PixelData"].VR = "OB"
    try:
        cases.decoded(cases.written(dataset, syntax))
    except (cases.ImagingError, cases.UnreadableInstance) as error:
        assert error.category is cases.Category.UNREADABLE_INSTANCE, error.category
print("whole")
"""


@pytest.mark.parametrize("syntax", ENCODERS | LOSSY, ids=lambda syntax: syntax.name)
def test_a_damaged_stream_is_a_named_error_or_some_image_and_the_process_lives(syntax: UID) -> None:
    """In a process of its own: a decoder that writes past its memory would end this one."""
    root = Path(__file__).parents[3]
    paths = [str(Path(__file__).parent), str(root / "plugin"), str(root / "scripts")]
    done = subprocess.run([sys.executable, "-c", FUZZ, syntax, *paths], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr[-2000:]


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEGLossless], ids=lambda syntax: syntax.name)
def test_a_stream_without_its_end_is_refused_and_not_waited_for(syntax: UID) -> None:
    dataset = ct()
    stream = ENCODERS[syntax]((lopsided((2, ROWS, COLUMNS))[0] + 1024).astype("<u2"))
    dataset.PixelData = encapsulate([stream[:len(stream) * 3 // 4]])
    dataset["PixelData"].VR = "OB"
    with pytest.raises(UnreadablePixels, match="cut off"):
        decoded(written(dataset, syntax))


@pytest.mark.parametrize("syntax", [syntax for syntax in ENCODERS if syntax != RLELossless], ids=lambda syntax: syntax.name)
def test_a_stream_of_another_size_is_refused_before_it_is_decoded(syntax: UID) -> None:
    dataset = ct()
    dataset.PixelData = encapsulate([ENCODERS[syntax](np.zeros((ROWS, COLUMNS + 2), "<u2"))])
    dataset["PixelData"].VR = "OB"
    with pytest.raises(UnreadablePixels, match="are 20 x 16 with 1 samples, and the header says 20 x 14"):
        decoded(written(dataset, syntax))


def test_a_file_that_ends_in_its_pixels_is_refused() -> None:
    dicom = dicom_bytes(ct())
    with pytest.raises(UnreadableInstance, match="cut off"):
        decoded(dicom[:-50])
    assert dcmread(BytesIO(dicom)).Rows == ROWS


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless],
                         ids=lambda syntax: syntax.name)
def test_a_header_that_promises_gigabytes_is_refused_before_anything_of_that_size_is_asked_for(syntax: UID) -> None:
    dataset = ct()
    dataset.Rows = dataset.Columns = 65535
    if syntax != ExplicitVRLittleEndian:
        dataset.PixelData = encapsulate([b"\0" * 100])
        dataset["PixelData"].VR = "OB"
    tracemalloc.start()
    try:
        with pytest.raises((VolumeTooLarge, UnreadableInstance)):
            decode(read_instance(written(dataset, syntax)))
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def with_table(dataset: Dataset, first: int, values: np.ndarray[Any, Any], vr: str) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values) % 65536, first, 16])
    item.ModalityLUTType = "HU"
    item.add_new("LUTData", vr, values.astype("<u2").tobytes() if vr == "OW" else values.tolist())
    dataset.ModalityLUTSequence = [item]
    del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
    return dataset


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("vr", ["OW", "US"])
@pytest.mark.parametrize("first", [0, 700, -40])
def test_a_modality_table_gives_the_values_that_pydicom_gives(syntax: UID, vr: str, first: int) -> None:
    values = np.random.default_rng(4).integers(0, 65536, 1500)
    dataset = ct()
    if first < 0:
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 16, 15
        dataset.PixelData = (lopsided((2, ROWS, COLUMNS))[0]).astype("<i2").tobytes()
    dicom = written(with_table(dataset, first, values, vr), syntax)
    read = dcmread(BytesIO(dicom))
    ours = decoded(dicom)
    np.testing.assert_array_equal(ours, apply_modality_lut(read.pixel_array, read))
    assert len(np.unique(ours)) > 50


def test_a_table_of_a_ct_that_gives_no_hounsfield_units_is_refused() -> None:
    dataset = with_table(ct(), 0, np.arange(900), "OW")
    dataset.ModalityLUTSequence[0].ModalityLUTType = "OD"
    with pytest.raises(UnsupportedPixels, match="in 'OD', not in Hounsfield units"):
        decoded(dicom_bytes(dataset))


def test_a_modality_table_that_is_short_or_no_table_is_refused_by_name() -> None:
    for spoil in (lambda item: item.__delattr__("LUTData"), lambda item: setattr(item, "LUTDescriptor", [2000, 0, 16]),
                  lambda item: setattr(item, "LUTDescriptor", [900, 0])):
        dataset = with_table(ct(), 0, np.arange(900), "OW")
        spoil(dataset.ModalityLUTSequence[0])
        with pytest.raises(UnreadablePixels, match="Modality LUT"):
            decoded(dicom_bytes(dataset))


def test_every_transfer_syntax_that_intake_lets_pass_is_decoded() -> None:
    assert frozenset(DECODERS) | LITTLE_ENDIAN | {BIG_ENDIAN, RLE_LOSSLESS} == DECODABLE


@pytest.mark.parametrize("shape", [(4, 6), (3, 5)])
@pytest.mark.parametrize("vr", ["OW", "OB"])
def test_bytes_in_big_endian_words_come_back_in_their_order(shape: tuple[int, int], vr: str) -> None:
    values = np.arange(2 * shape[0] * shape[1], dtype=np.uint8).reshape(2, *shape)
    stored = values.tobytes()
    ds = Dataset()
    ds.Rows, ds.Columns, ds.NumberOfFrames = *shape, 2
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.add_new(0x7FE00010, vr, np.frombuffer(stored, ">u2").astype("<u2").tobytes() if vr == "OW" else stored)
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True, little_endian=False, implicit_vr=False)
    frames = Frames(read_instance(buffer.getvalue()))
    assert [frames.image(number).pixels.tolist() for number in (1, 2)] == values.tolist()
