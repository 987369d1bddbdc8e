"""What was encoded here is decoded by others: dcmtk for RLE and JPEG-LS, OpenJPEG through Pillow for JPEG 2000."""

from __future__ import annotations

import copy
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from encoded_objects import binary_segmentation, capture, grey, picture, report
from PIL import Image
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import generate_frames
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from vigil.delivery.encoding import possible_syntaxes, reencode
from vigil.results.viewer_profile import Encoding

RGB = picture()
GREY_16 = np.random.default_rng(2).integers(0, 65536, (3, 33, 21)).astype("<u2")
GREY_8 = np.random.default_rng(3).integers(0, 5, (2, 17, 301)).astype(np.uint8)


def encoded(source: Dataset, syntax: UID) -> Dataset:
    made = copy.deepcopy(source)
    reencode(made, syntax)
    return made


def through_dcmtk(ds: Dataset, program: str, folder: Path) -> Dataset:
    before, after = folder / "before.dcm", folder / "after.dcm"
    dcmwrite(before, ds, enforce_file_format=True)
    subprocess.run([program, str(before), str(after)], check=True, timeout=60)
    return dcmread(after)


def values(ds: Dataset, like: np.ndarray) -> np.ndarray:
    return np.frombuffer(ds.PixelData, like.dtype, count=like.size).reshape(like.shape)


@pytest.mark.parametrize(("syntax", "program"), [(RLELossless, "dcmdrle"), (JPEGLSLossless, "dcmdjpls")])
@pytest.mark.parametrize(("source", "pixels"), [(capture(RGB), RGB), (grey(GREY_16), GREY_16), (grey(GREY_8), GREY_8)],
                         ids=["rgb", "16 bits, 3 frames", "8 bits, long runs"])
def test_dcmtk_decodes_every_pixel(syntax: UID, program: str, source: Dataset, pixels: np.ndarray, tmp_path: Path) -> None:
    made = encoded(source, syntax)
    assert made.file_meta.TransferSyntaxUID == syntax
    decoded = through_dcmtk(made, program, tmp_path)
    got = values(decoded, pixels)
    if decoded.get("PlanarConfiguration") == 1:
        got = got.reshape(3, *pixels.shape[:2]).transpose(1, 2, 0)
    assert np.array_equal(got, pixels)


@pytest.mark.parametrize(("source", "pixels"), [(capture(RGB), RGB), (grey(GREY_8), GREY_8)], ids=["rgb", "grey"])
def test_openjpeg_decodes_every_pixel(source: Dataset, pixels: np.ndarray) -> None:
    made = encoded(source, JPEG2000Lossless)
    frames = [np.asarray(Image.open(BytesIO(frame)))
              for frame in generate_frames(made.PixelData, number_of_frames=int(source.get("NumberOfFrames") or 1))]
    assert np.array_equal(np.stack(frames).reshape(pixels.shape), pixels)
    assert made.PhotometricInterpretation == ("YBR_RCT" if pixels.shape[-1] == 3 else "MONOCHROME2")


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_it_stays_the_same_instance_and_nothing_but_its_pixels_is_written_otherwise(syntax: UID) -> None:
    source = capture(RGB)
    made = encoded(source, syntax)
    assert made.SOPInstanceUID == source.SOPInstanceUID
    assert made.LossyImageCompression == "00"
    changed = {element.keyword for element in made if element != source[element.tag]}
    assert changed == {"PixelData"} | ({"PhotometricInterpretation"} if syntax == JPEG2000Lossless else set())
    assert encoded(capture(RGB), syntax).PixelData == made.PixelData, "the same bytes each time"


def test_what_has_pixels_of_whole_bytes_can_be_compressed_and_nothing_else() -> None:
    every = tuple(Encoding)
    plain = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    assert possible_syntaxes(capture(RGB), every) == (*plain, RLELossless, JPEGLSLossless, JPEG2000Lossless)
    assert possible_syntaxes(capture(RGB), (Encoding.JPEG_LS, Encoding.UNCOMPRESSED)) == (JPEGLSLossless, *plain)
    assert possible_syntaxes(binary_segmentation(), (Encoding.RLE,)) == plain
    assert possible_syntaxes(report(), (Encoding.RLE,)) == plain
    assert possible_syntaxes(encoded(capture(RGB), RLELossless), every) == (RLELossless,), "it travels as it is"
    planar = capture(RGB)
    planar.PlanarConfiguration = 1
    assert possible_syntaxes(planar, (Encoding.RLE,)) == plain
