"""Colours: every colour image of pydicom's test data as pydicom shows it, or refused with a named reason."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space, pixel_array
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage

from vigil.domain.errors import Category, VigilError
from vigil.imaging.colour import ColourFrames, is_colour, luminance
from vigil.intake.part10 import read_instance

DATA = Path(pydicom.__file__).parent / "data"
FILES = sorted(path for path in DATA.rglob("*.dcm"))
LOSSY = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.91"})
LEAST_READ = 20


def colours() -> list[Path]:
    found = []
    for path in FILES:
        try:
            if is_colour(read_instance(path.read_bytes())):
                found.append(path)
        except VigilError:
            continue
    return found


def written(ds: Dataset) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def picture(values: NDArray[np.uint8], photometric: str = "RGB", planar: int = 0, **changes: Any) -> bytes:
    ds = Dataset()
    ds.Rows, ds.Columns = values.shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, photometric, planar
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    stored = np.moveaxis(values, -1, 0) if planar else values
    ds.PixelData = np.ascontiguousarray(stored).tobytes()
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return written(ds)


def first(dicom: bytes) -> NDArray[np.uint8]:
    return ColourFrames(read_instance(dicom)).image(1)


@pytest.mark.parametrize("path", colours(), ids=lambda path: path.name)
def test_a_colour_image_is_read_or_refused_with_a_named_reason(path: Path) -> None:
    try:
        frames = ColourFrames(read_instance(path.read_bytes()))
        for number in range(1, frames.count + 1):
            assert frames.image(number).dtype == np.uint8
    except VigilError as error:
        assert error.category is not Category.INTERNAL


def test_what_is_read_is_what_pydicom_shows() -> None:
    read = 0
    for path in colours():
        try:
            frames = ColourFrames(read_instance(path.read_bytes()))
            ours = [frames.image(number) for number in range(1, frames.count + 1)]
        except VigilError:
            continue
        ds = dcmread(path, force=True)
        if ds.PhotometricInterpretation == "PALETTE COLOR":
            theirs = pydicom.pixels.apply_color_lut(ds.pixel_array, ds)
            theirs = theirs >> 8 if theirs.dtype == np.uint16 else theirs
        else:
            try:
                theirs = pixel_array(ds)
            except Exception:  # noqa: BLE001 - pydicom lacks the decoder
                continue
        theirs = theirs if frames.count > 1 else theirs[None]
        read += 1
        difference = np.abs(np.stack(ours).astype(int) - theirs)
        lossy = ds.file_meta.TransferSyntaxUID in LOSSY
        assert difference.max() <= (2 if lossy else 0), path.name
    assert read >= LEAST_READ


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("planar", [0, 1])
def test_planes_and_kinds_of_colour_come_to_the_same(photometric: str, planar: int) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (6, 9, 3), np.uint8)
    stored = rgb if photometric == "RGB" else convert_color_space(rgb, "RGB", "YBR_FULL")
    assert np.abs(first(picture(stored, photometric, planar)).astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422", "YBR_FULL"])
@pytest.mark.parametrize("inside", ["RGB", "YCBCR"])
def test_a_jpeg_is_turned_into_rgb_once_by_its_own_markers(photometric: str, inside: str) -> None:
    """Whatever the header says: a second conversion, or none, would make another picture."""
    rgb = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    stream = imagecodecs.jpeg8_encode(rgb, level=98, colorspace="RGB", outcolorspace=inside)
    assert (b"Adobe" in stream) == (inside == "RGB")
    ds = dcmread(BytesIO(picture(rgb, photometric)))
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].VR = "OB"
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    assert np.abs(first(buffer.getvalue()).astype(int) - rgb).max() <= 3


@pytest.mark.parametrize(("photometric", "expected"), [("RGB", "RGB"), ("YBR_FULL_422", "YCBCR")])
def test_where_a_jpeg_says_nothing_its_header_does(photometric: str, expected: str) -> None:
    rgb = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    stream = imagecodecs.jpeg8_encode(rgb, level=98, colorspace="RGB", outcolorspace=expected)
    size = int.from_bytes(stream[4:6], "big")
    ds = dcmread(BytesIO(picture(rgb, photometric)))
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([stream[:2] + stream[4 + size:]])  # without its first segment, JFIF or Adobe
    ds["PixelData"].VR = "OB"
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    assert np.abs(first(buffer.getvalue()).astype(int) - rgb).max() <= 3


def test_luminance_is_what_is_bright_to_the_eye() -> None:
    assert luminance(np.array([[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)) == pytest.approx(
        np.array([[255, 76.245, 149.685, 29.07]]))


@pytest.mark.parametrize(("changes", "said"), [
    ({"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}, "16 allocated bits"), ({"SamplesPerPixel": 4}, "4 samples"),
    ({"PhotometricInterpretation": "CMYK"}, "CMYK"), ({"Rows": 60000, "Columns": 60000}, "MiB"),
    ({"NumberOfFrames": 2}, "too short"), ({"PhotometricInterpretation": "YBR_FULL_422"}, "odd number of columns"),
])
def test_what_is_not_read_is_refused_before_it_is_asked_for(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(VigilError, match=said):
        frames = ColourFrames(read_instance(picture(np.zeros((6, 9, 3), np.uint8), **changes)))
        for number in range(1, frames.count + 1):
            frames.image(number)


def test_a_damaged_palette_is_a_named_reason() -> None:
    path = DATA / "palettes"
    assert path.exists()
    source = next(path for path in colours() if path.name == "examples_palette.dcm")
    ds = dcmread(source)
    ds.RedPaletteColorLookupTableData = b"\0\0"
    buffer = BytesIO()
    dcmwrite(buffer, ds)
    with pytest.raises(VigilError, match="palette cannot be read"):
        first(buffer.getvalue())
